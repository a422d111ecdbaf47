"""The files of a contract's feature: what each says, and how they are put in place together."""

import json
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from jinja2 import Environment, StrictUndefined

from contract_checks.language.contract import Contract
from contract_checks.scaffold import definitions
from contract_checks.scaffold.corpus import cases
from contract_checks.scaffold.declared import declared_entities
from contract_checks.scaffold.literals import argument, length_of_time


class CannotScaffold(Exception):  # noqa: N818  (a refusal, as with contracts)
    """The files cannot be put in place; the message says which, why and what to do."""


@dataclass(frozen=True)
class File:
    """A file to be written, by its path in the repository."""

    path: Path
    text: str


def scaffolded(contract: Contract, repository: Path) -> tuple[File, ...]:
    """The definitions, the document unless it lies there already, the probe set, the corpus."""
    module, document = module_of(contract), document_of(contract)
    written = contract.path.read_bytes().decode()
    return (
        File(module, _definitions(contract, repository)),
        *([] if _lies_there(repository / document, written) else [File(document, written)]),
        File(document.with_suffix(".probes.toml"), _probes(contract)),
        *(
            File(
                corpus_of(contract) / case.folder / "case.toml",
                _render("case.toml.j2", case=case, definitions=module.as_posix()),
            )
            for case in cases(contract)
        ),
    )


def module_of(contract: Contract) -> Path:
    """The definitions, like every path here below the repository."""
    return Path("feature_repo", f"{contract.overview.feature_name}.py")


def document_of(contract: Contract) -> Path:
    """The repository's own copy of the document."""
    return Path("contracts", f"{contract.path.stem}.md")


def job_of(contract: Contract) -> Path:
    """The aggregation job, which the team is to write."""
    return Path("scripts", f"aggregate_{contract.overview.feature_name}.py")


def corpus_of(contract: Contract) -> Path:
    """The folder of the cases."""
    return Path("tests", "corpus", contract.view_name)


def write_new(repository: Path, planned: tuple[File, ...]) -> None:
    """Write all files, or none; the folders they need are made.

    Raises:
        CannotScaffold: a file exists already, or one cannot be written.
    """
    refuse_existing(repository, planned)
    try:
        with TemporaryDirectory(dir=repository, prefix=".scaffold-") as drafts, ExitStack() as undo:
            for number, file in enumerate(planned):
                Path(drafts, str(number)).write_bytes(file.text.encode())
            for number, file in enumerate(planned):
                target = repository / file.path
                target.parent.mkdir(parents=True, exist_ok=True)
                Path(drafts, str(number)).rename(target)
                undo.callback(target.unlink)
            undo.pop_all()
    except OSError as error:
        raise CannotScaffold(
            f"nothing written, because a file cannot be ({error}): make room for it and run again"
        ) from error


def refuse_existing(repository: Path, planned: tuple[File, ...]) -> None:
    """Make sure that no file is there yet.

    Raises:
        CannotScaffold: some are, and the message names every one.
    """
    there = [str(file.path) for file in planned if _stands(repository / file.path)]
    if there:
        raise CannotScaffold(
            f"nothing written: {', '.join(there)} would be overwritten. A scaffold is for a "
            "feature's first version; write a later one beside it by hand, or move these away"
        )


def _stands(path: Path) -> bool:
    return path.exists() or path.is_symlink()  # a link to nowhere is somebody's, too


def _lies_there(document: Path, written: str) -> bool:
    return document.is_file() and document.read_bytes() == written.encode()


def _definitions(contract: Contract, repository: Path) -> str:
    about = definitions.entities(contract, declared_entities(repository))
    fields = definitions.fields(contract)
    imported: dict[str, list[str]] = {}
    for entity in sorted(about, key=lambda entity: entity.variable):
        if entity.module:
            imported.setdefault(entity.module, []).append(entity.variable)
    classes = {"FeatureView", "Field", "FileSource"}
    if any(not entity.module for entity in about):
        classes |= {"Entity", "ValueType"}
    if contract.overview.status in ("active", "deprecated"):
        classes.add("FeatureService")
    return _render(
        "feature.py.j2",
        contract=contract,
        overview=contract.overview,
        entities=about,
        fields=fields,
        names=definitions.names(contract, about),
        tags=definitions.tags(contract),
        ttl=length_of_time(contract.time.lookback),
        classes=sorted(classes),
        types=sorted({field.dtype for field in fields}),
        imported=dict(sorted(imported.items())),
    )


def _probes(contract: Contract) -> str:
    fields = definitions.fields(contract)
    numbers = [field for field in fields if field.dtype != "String"]
    summed = next((field for field in numbers if field.dtype == "Int64"), (numbers or fields)[0])
    filters = contract.definition.filters
    return _render(
        "probes.toml.j2",
        job=job_of(contract).as_posix(),
        texts=contract.texts,
        timestamp=contract.time.event_timestamp,
        source=contract.source.systems[0],
        feature=summed.name,
        one_is_enough=filters is None or filters.minimum_events == 1,
        dedup=_dedup(contract),
        defaults=[f"{field.name} = {field.default}" for field in numbers if field.default],
    )


def _dedup(contract: Contract) -> dict[str, Any]:
    """Two events of one period, of amounts that tell which of them counted."""
    rule = contract.definition.dedup
    if rule is None:
        told = {"name": "every event counts", "later": 1, "earlier": 9, "sum": 10}
        return told | {"ends_at_midnight": False}
    later, earlier = (1, 9) if rule.keep == "latest" else (9, 1)
    name = f"of one {rule.period}'s events the {rule.keep} counts, whatever the order of arrival"
    told = {"name": name, "later": later, "earlier": earlier, "sum": 1}
    return told | {"ends_at_midnight": rule.period in ("minute", "hour", "day")}


def _render(template: str, **values: Any) -> str:
    # Python and TOML are written, so there is nothing to escape for HTML.
    environment = Environment(  # noqa: S701
        trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True, undefined=StrictUndefined
    )
    environment.filters["toml"] = lambda text: json.dumps(text, ensure_ascii=False)
    environment.globals["argument"] = argument
    text = files("contract_checks.scaffold").joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(text).render(values)
