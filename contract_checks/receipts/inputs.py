"""What a judgement is made on: data, declarations, records and software, each by its digest."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from contract_checks.digest import digest_of, digest_of_file
from contract_checks.evidence import registry
from contract_checks.evidence.declared import RegisteredView, Registry
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.probes import probes_of
from contract_checks.evidence.stored import (
    ParquetTable,
    StoredTable,
    WarehouseTable,
    events_of,
    offline_of,
    quarantine_of,
)
from contract_checks.evidence.warehouse import content_of, session
from contract_checks.language.contract import Contract
from contract_checks.language.signing import signatures_of
from contract_checks.operations.log import Record
from contract_checks.receipts.receipt import File, Inputs, Records

_WAREHOUSE = "warehouse:"
"""Before the name of a table of the warehouse, where a file has its path."""
_PACKAGES = ("contract-feature-store", "duckdb", "feast")


def read_inputs(contract: Contract, repository: Path) -> Inputs | MissingEvidence:
    """The inputs as they are now, or why they cannot be named."""
    try:
        declared = registry.read_registry(repository)
        if isinstance(declared, MissingEvidence):
            return declared
        view = declared.views.get(contract.view_name)
        if view is None:
            return MissingEvidence(f"feature view {contract.view_name} is not registered")
        quarantine = quarantine_of(contract, view)
        data = [offline_of(view), events_of(contract, view)]
        data += [quarantine] if quarantine.is_there() else []
        return Inputs(
            contract=file_at(contract.path, repository),
            signatures=file_at(signatures_of(contract), repository),
            probes=file_at(probes_of(contract), repository),
            data=tuple(data_in(table, repository) for table in data),
            registry=digest_of(declarations(declared, repository, contract.view_name)),
            versions=versions(),
        )
    except Exception as error:  # a damaged registry raises whatever its reader does
        reason = (str(error) or "no reason given").splitlines()[0]
        return MissingEvidence(f"{type(error).__name__}: {reason}")


def data_in(table: StoredTable, repository: Path) -> File:
    """A table's name and content; raises OSError or MissingEvidence where there is none."""
    if isinstance(table, ParquetTable):
        return file_at(table.path, repository)
    with session(table.warehouse) as connection:
        content = content_of(connection, table.name)
    return File(path=f"{_WAREHOUSE}{table.name}", sha256=content.sha256, size=content.size)


def is_in_warehouse(data: File) -> bool:
    """Whether a receipt's data is no file, but a table of the warehouse."""
    return data.path.startswith(_WAREHOUSE)


def data_now(file: File, view: RegisteredView | None, repository: Path) -> File:
    """What a receipt's data is now: a file, or a table of the warehouse of the view.

    Raises:
        OSError: there is no such file.
        MissingEvidence: the view is in no warehouse any more, or see `data_in`.
    """
    if not is_in_warehouse(file):
        return file_at(repository / file.path, repository)
    if view is None or view.warehouse is None:
        raise MissingEvidence("the view lies in no warehouse: choose the profile of the receipt")
    table = WarehouseTable(view.warehouse, file.path.removeprefix(_WAREHOUSE))
    return data_in(table, repository)


def file_at(path: Path, repository: Path) -> File:
    """A file's name and content, a table's by its parts; raises OSError where there is none."""
    name = name_from(repository, path)
    if not path.is_dir():
        return File(path=name, sha256=digest_of_file(path), size=path.stat().st_size)
    root = path.resolve()
    parts = sorted(root.rglob("*.parquet"))
    content = [(part.relative_to(root).as_posix(), digest_of_file(part)) for part in parts]
    return File(path=name, sha256=digest_of(content), size=sum(p.stat().st_size for p in parts))


def name_from(repository: Path, path: Path) -> str:
    """A path from the repository, or the whole of it where that lies outside."""
    root, whole = repository.resolve(), Path(os.path.normpath(path.absolute()))
    inside = next((p for p in (whole, whole.resolve()) if p.is_relative_to(root)), None)
    return (inside.relative_to(root) if inside else whole).as_posix()


def declarations(declared: Registry, repository: Path, view_name: str) -> dict[str, Any]:
    """Everything a registry declares, the same wherever repository and warehouse lie.

    But for where the feature's pointer points: the promotion that the receipt is for moves it, and
    where it is to be, the log says (§10 rollback plan).
    """
    content = asdict(declared)
    content["services"].pop(view_name.rpartition("_v")[0], None)
    for view in content["views"].values():
        del view["materialized_to"], view["warehouse"]
        view["ttl"] = view["ttl"].total_seconds()
        if Path(view["source_path"]).is_absolute():
            view["source_path"] = name_from(repository, Path(view["source_path"]))
    return content


def records_of(records: Sequence[Record]) -> Records:
    """How many records there are, and the digest of all of them in their order."""
    content = [asdict(record) | {"at": record.at.isoformat()} for record in records]
    return Records(count=len(content), digest=digest_of(content))


def versions() -> dict[str, str]:
    """Versions of the software that judges."""
    return {"python": platform.python_version()} | {name: version(name) for name in _PACKAGES}
