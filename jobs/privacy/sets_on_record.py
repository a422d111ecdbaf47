"""The training sets on record that hold one customer, hashed, and what erasing does to them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract_checks.digest import digest_of_file
from contract_checks.operations.log import Record
from feature_pipeline.change_log.removal import Unwanted, rewritten, rows_to_go
from feature_pipeline.erasure.identity import Identity
from jobs.privacy.customer import hash_of, known_customers
from jobs.privacy.old_records import everything_on_record
from jobs.reporting.recording import operations_log
from jobs.repository import ROOT
from jobs.training.training_receipt import receipt_beside
from storage.errors import RefusedError


@dataclass(frozen=True)
class SetOnRecord:
    """A training set that is there, by the path on record."""

    path: str
    view: str
    built: datetime

    @property
    def file(self) -> Path:
        """Where it lies."""
        return ROOT / self.path

    def rows_of(self, identity: Identity) -> int:
        """The customer's."""
        return rows_to_go(self.file, _of(identity))

    def erase(self, identity: Identity, as_of: datetime) -> None:
        """Take the customer's rows out, with the new digest on record before the file is another.

        Its receipt is of all its rows, and goes.
        """
        if not self.rows_of(identity):
            return
        with rewritten(self.file, _of(identity)) as draft:
            rows = pq.read_metadata(draft).num_rows
            figures = {"path": self.path, "digest": digest_of_file(draft), "rows": rows}
            at = max(as_of, self.built)  # of one path the last record stands
            operations_log().append(Record("erasure", self.view, at, True, None, figures))
            receipt_beside(self.file).unlink(missing_ok=True)


def sets_on_record(column: str) -> tuple[SetOnRecord, ...]:
    """All with that column, of whatever version."""
    built = {r.figures["path"]: r for r in everything_on_record().of("training_set") if r.passed}
    there = (SetOnRecord(path, r.subject, r.at) for path, r in sorted(built.items()))
    return tuple(s for s in there if s.file.is_file() and column in _columns(s.file))


def refuse_another_key(sets: tuple[SetOnRecord, ...], identity: Identity, hash_key: bytes) -> None:
    """Make sure that the key is the one each set was hashed with: another finds nobody in it.

    Raises:
        RefusedError: no hash in a set is that of a customer known here.
    """
    if not sets:
        return
    known = {hash_of(one, hash_key) for one in known_customers(identity.column)} | {identity.hashed}
    for one in sets:
        ids = pq.read_table(one.file, columns=[identity.column])[identity.column]
        if len(ids) and not known & set(pc.unique(ids.cast(pa.string())).to_pylist()):
            raise RefusedError(
                f"{one.path} holds the hash of no customer known here: set the "
                "FEATURE_STORE_HASH_KEY it was built with, or delete it; nothing was erased"
            )


def _of(identity: Identity) -> Unwanted:
    """Rows under the hash, or under the identifier itself where a set was not masked."""

    def unwanted(table: pa.Table) -> pa.ChunkedArray:
        spelled = pa.array([identity.hashed, identity.text])
        return pc.is_in(table[identity.column].cast(pa.string()), value_set=spelled)

    return unwanted


def _columns(file: Path) -> list[str]:
    try:
        return list(pq.read_schema(file).names)
    except pa.ArrowException as error:
        raise RefusedError(f"{file} is on record and cannot be read: remove it") from error
