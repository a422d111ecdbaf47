"""What the operations log tells, and what still lies where it says."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
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


def read_operations(
    repository: Path, as_of: datetime, jobs: Iterable[str] = ()
) -> Operations | MissingEvidence:
    """Every record up to `as_of`, of those jobs alone where any are named.

    A log is never made by a mere look at it.
    """
    address = address_of(repository, os.environ)
    if address.startswith(_SQLITE) and not Path(address.removeprefix(_SQLITE)).is_file():
        return MissingEvidence("no operations log: no job of this repository has run yet")
    records = OperationsLog(address).records(as_of, jobs)
    ran = {(record.job, record.subject): record.figures.get("files", {}) for record in records}
    return Operations(
        records,
        {
            last: tuple(f for f, then in sorted(files.items()) if _digest(repository / f) != then)
            for last, files in ran.items()
        },
    )


def read_training_sets(
    contract: Contract, repository: Path, operations: Operations
) -> tuple[TrainingSet, ...]:
    """The training sets on record that are still there, by path."""
    # Of one path the last one stands, whatever version it was built of; an erasure leaves another.
    written = (r for r in operations.records if r.job in ("training_set", "erasure") and r.passed)
    built = {r.figures["path"]: r for r in written if "path" in r.figures}
    return tuple(
        _training_set(contract, path, repository / path, record.figures.get("digest"))
        for path, record in sorted(built.items())
        if record.subject == contract.view_name and (repository / path).is_file()
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


def _training_set(contract: Contract, name: str, file: Path, built: str | None) -> TrainingSet:
    masking, time = contract.privacy.masking, contract.time.event_timestamp
    columns = pq.read_schema(file).names
    masked = [column for column in (masking.columns if masking else ()) if column in columns]
    rows = pq.read_table(file, columns=[*masked, *({time} & {*columns})])
    return TrainingSet(
        path=name,
        rows=rows.num_rows,
        unmasked={column: _no_hash(rows[column]) for column in masked},
        as_built=digest_of_file(file) == built,
        oldest=_oldest(rows[time]) if time in columns else None,
    )


def _oldest(times: pa.ChunkedArray) -> datetime | None:
    """Naive times are UTC, as Feast takes them."""
    oldest: datetime | None = pc.min(times.cast(pa.timestamp("us"))).as_py()
    return oldest and oldest.replace(tzinfo=UTC)


def _no_hash(column: pa.ChunkedArray) -> int:
    """Values that are no hash; null hides what it hid before."""
    present = column.drop_null().cast(pa.string())
    return len(present) - (pc.sum(pc.match_substring_regex(present, _HASH)).as_py() or 0)


def _digest(file: Path) -> str | None:
    return digest_of_file(file) if file.is_file() else None
