"""What the operations log tells, and what still lies where it says."""

import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract_checks.digest import digest_of_file
from contract_checks.evidence.facts import MissingEvidence, Operations, TrainingSet
from contract_checks.language.contract import Contract
from contract_checks.language.signing import Signature, read_signatures, signatures_of
from contract_checks.operations.log import OperationsLog, address_of

_SQLITE = "sqlite:///"
_HASH = r"^[0-9a-f]{64}$"


def read_operations(repository: Path, as_of: datetime) -> Operations | MissingEvidence:
    """Every record up to `as_of`; a log is never made by a mere look at it."""
    address = address_of(repository, os.environ)
    if address.startswith(_SQLITE) and not Path(address.removeprefix(_SQLITE)).is_file():
        return MissingEvidence("no operations log: no job of this repository has run yet")
    records = OperationsLog(address).records(until=as_of)
    tests = [record for record in records if record.job == "unit_tests"]
    tested = tests[-1].figures.get("files", {}) if tests else {}
    changed = (f for f, digest in sorted(tested.items()) if _digest(repository / f) != digest)
    return Operations(records, tuple(changed))


def read_training_sets(
    contract: Contract, repository: Path, operations: Operations
) -> tuple[TrainingSet, ...]:
    """The training sets on record that are still there, by path."""
    paths = sorted(
        {record.figures["path"] for record in operations.of("training_set") if record.passed}
    )
    return tuple(
        _training_set(contract, path, repository / path)
        for path in paths
        if (repository / path).is_file()
    )


def read_signed(contract: Contract) -> dict[str, Signature] | MissingEvidence:
    """The contract's signatures, by clause."""
    file = signatures_of(contract)
    if not file.is_file():
        return MissingEvidence(f"no signatures at {file}: run contract-checks sign")
    try:
        return read_signatures(file)
    except ValueError as error:
        return MissingEvidence(str(error))


def _training_set(contract: Contract, name: str, file: Path) -> TrainingSet:
    masking = contract.privacy.masking
    there = pq.read_schema(file).names
    masked = [column for column in (masking.columns if masking else ()) if column in there]
    rows = pq.read_table(file, columns=masked)
    unmasked = {column: _no_hash(rows[column]) for column in masked}
    return TrainingSet(name, pq.read_metadata(file).num_rows, unmasked)


def _no_hash(column: pa.ChunkedArray) -> int:
    """Values that are no hash; null hides what it hid before."""
    present = column.drop_null().cast(pa.string())
    return len(present) - (pc.sum(pc.match_substring_regex(present, _HASH)).as_py() or 0)


def _digest(file: Path) -> str | None:
    return digest_of_file(file) if file.is_file() else None
