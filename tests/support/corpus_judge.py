"""Judge a repository with its own code, each time in a process that has loaded none of it yet."""

import gc
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from warm_start import start_the_first_script_warm, warm


@dataclass(frozen=True)
class Judged:
    """A finding, in plain words."""

    name: str
    """Clause and check."""
    outcome: str
    expected: str
    got: str


def fresh_processes() -> ProcessPoolExecutor:
    """Each task in a process of its own."""
    return ProcessPoolExecutor(1, mp_context=warm(), max_tasks_per_child=1)


def judge_repository(
    repository: Path, as_of: datetime, *, apply: bool, sign: bool
) -> tuple[Judged, ...]:
    """What the repository's checks say of its contract, after `feast apply` and signing anew."""
    start_the_first_script_warm()
    gc.disable()  # as in warm_start.py
    sys.path.insert(0, str(repository))
    os.chdir(repository)
    os.environ.pop("FEATURE_STORE_OPERATIONS_LOG", None)
    if apply:
        _apply(repository)

    import contract_checks.checks  # binds them
    from contract_checks.evidence.gather import gather
    from contract_checks.judge import judge
    from contract_checks.language.loader import load

    assert Path(contract_checks.checks.__file__).is_relative_to(repository)
    contract = load(repository / "contracts" / "customer_profile_v1.md")
    if sign:
        _sign(contract.path)
    report = judge(contract, gather(contract, repository, as_of))
    return tuple(
        Judged(f"{f.clause}: {f.check}", f.outcome.name.lower(), f.expected, f.got)
        for f in report.findings
    )


def _apply(repository: Path) -> None:
    """What `feast apply` does, without the seconds it takes to start.

    By Feast's own method: ours refuses to move a pointer, and a case may be about one that moved.
    """
    from feast import FeatureStore
    from feast.repo_config import load_repo_config
    from feast.repo_operations import apply_total

    config = load_repo_config(repository, repository / "feature_store.yaml")
    assert config.offline_store  # loads the store, which guards the method
    FeatureStore.apply = FeatureStore.apply.__wrapped__
    apply_total(config, repository, skip_source_validation=False)


def _sign(document: Path) -> None:
    """The three sign again what the document says now."""
    from contract_checks.language.loader import load
    from contract_checks.language.signing import (
        Role,
        Signature,
        as_text,
        signatures_of,
        signed_content,
    )

    contract = load(document)
    content = signed_content(contract)
    given = {role.clause: role.approval(contract) for role in Role}
    signatures = {clause: Signature(a.name, a.date, content) for clause, a in given.items()}
    signatures_of(contract).write_text(as_text(signatures), encoding="utf-8")
