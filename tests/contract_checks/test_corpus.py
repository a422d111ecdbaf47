"""Every check can fail: a kept repository, changed a case at a time, and what must be found.

The repository is the demonstration's: real customers, Feast's registry, both stores, the jobs'
records. `corpus_case.py` tells how a case is written; a new one is a new folder.
"""

import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from pathlib import Path

import pytest
from corpus_case import Case, Found, read_case
from corpus_judge import Judged, fresh_processes, judge_repository
from waiting import GIVE_UP_SECONDS

from contract_checks import checks
from contract_checks.judge import CHECKS

assert checks.__all__, "importing the package binds the checks"

CORPUS = Path(__file__).parents[1] / "corpus" / "customer_profile_v1"
CASES = [read_case(folder) for folder in sorted(CORPUS.iterdir())]


def with_every_change(cases: list[Case]) -> Iterator[Case]:
    """Those on the edge, and as few as break every check between them."""
    yield from (case for case in cases if not case.breaks)
    missing = {name for case in cases for name in case.breaks}
    while missing:
        most = max(cases, key=lambda case: len(missing & case.breaks.keys()))
        yield most
        missing -= most.breaks.keys()


AT_ONCE = [*with_every_change(CASES)]
LINKED = ("contract_checks", "customer_activity", "report.html", "tests")
"""What no case changes: two files of three, which would be copied for every one."""
PRESENT = datetime.fromisoformat("2017-12-01T00:00:00+00:00")


@pytest.fixture(scope="module")
def processes() -> Iterator[ProcessPoolExecutor]:
    with fresh_processes() as pool:
        yield pool


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the repository lies when it is judged: its registry holds absolute paths."""
    return tmp_path_factory.mktemp("corpus") / "repository"


@pytest.fixture(scope="module")
def pristine(kept_repository: Path, place: Path, processes: ProcessPoolExecutor) -> Path:
    """The kept repository, applied at that place; not to be changed."""
    shutil.copytree(kept_repository, place, symlinks=True)
    judged(processes, place, PRESENT, apply=True)
    return place.rename(place.with_name("pristine"))


@pytest.fixture
def repository(pristine: Path, place: Path) -> Iterator[Path]:
    """A copy that may be changed, but for what is only linked to."""
    place.mkdir()
    for name in LINKED:
        (place / name).symlink_to(pristine / name)
    shutil.copytree(
        pristine,
        place,
        symlinks=True,
        dirs_exist_ok=True,
        ignore=lambda folder, _: LINKED if Path(folder) == pristine else (),
    )
    yield place
    shutil.rmtree(place)


def judged(
    processes: ProcessPoolExecutor,
    repository: Path,
    as_of: datetime,
    *,
    apply: bool = False,
    sign: bool = False,
) -> tuple[Judged, ...]:
    task = processes.submit(judge_repository, repository, as_of, apply=apply, sign=sign)
    return task.result(timeout=GIVE_UP_SECONDS)


def found(findings: tuple[Judged, ...], outcome: str) -> Found:
    got: dict[str, tuple[str, ...]] = {}
    for finding in findings:
        if finding.outcome == outcome:
            got[finding.name] = (*got.get(finding.name, ()), finding.got)
    return got


def as_expected(got: Found, expected: Found) -> bool:
    """The same checks, each with the findings it was to have, told as they were to be told."""
    return got.keys() == expected.keys() and all(
        len(told) == len(expected[name])
        and all(part in text for part, text in zip(expected[name], told, strict=True))
        for name, told in got.items()
    )


def test_the_untouched_repository_is_kept(repository: Path, processes: ProcessPoolExecutor) -> None:
    findings = judged(processes, repository, PRESENT)
    assert [f for f in findings if f.outcome != "kept"] == []
    assert {f.name for f in findings} == {f"{c.clause}: {c.name}" for c in CHECKS}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[] if case in AT_ONCE else pytest.mark.slow)
        for case in CASES
    ],
)
def test_a_case_breaks_what_it_must_and_nothing_else(
    case: Case, repository: Path, processes: ProcessPoolExecutor
) -> None:
    case.change(repository)
    as_of = datetime.fromisoformat(case.as_of) if case.as_of else PRESENT
    findings = judged(processes, repository, as_of, apply=case.declares, sign=case.sign)
    broken, unknown = found(findings, "broken"), found(findings, "unknown")
    assert as_expected(broken, case.breaks), broken
    assert as_expected(unknown, case.unknown), unknown


def test_every_check_of_every_clause_has_a_case_that_breaks_it() -> None:
    bound = {f"{check.clause}: {check.name}" for check in CHECKS}
    assert len(bound) > 70
    assert bound == {name for case in CASES for name in case.breaks}


def test_every_place_a_promise_is_held_in_is_changed_by_a_case() -> None:
    changed = {change["file"] for case in CASES for change in (*case.edits, *case.sql)}
    for place in (
        "contracts/customer_profile_v1.md",
        "feature_repo/customer_profile.py",
        "data/data_warehouse/customer_events.parquet",
        "data/data_warehouse/customer_features_offline.parquet",
        "data/online_store.db",
        "data/operations.db",
    ):
        assert place in changed
    assert not {place.partition("/")[0] for place in changed} & {*LINKED}


def test_cases_are_told_apart_by_what_they_change() -> None:
    assert len({case.what for case in CASES}) == len(CASES)
    assert any(not case.breaks for case in CASES), "one at least is on the edge, and kept"
