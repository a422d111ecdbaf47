"""What the operations log, and the training sets on it, hold that is too old (contract §9)."""

from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from contract_checks.evidence.facts import MissingEvidence, Operations, TrainingSet
from contract_checks.evidence.operations import read_operations, read_training_sets
from contract_checks.evidence.retention import WITHOUT_ENTITIES
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record
from jobs.reporting.recording import operations_log
from jobs.repository import ROOT
from jobs.training.training_receipt import receipt_beside
from storage.errors import RefusedError

_ALWAYS = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class OldRecords:
    """Records of before the cutoff; those that tell of versions, not of entities, are for ever."""

    count: int
    cutoff: datetime
    replaced: frozenset[str]
    """Views with a baseline of a window that is not too old."""
    staying: tuple[str, ...]

    @classmethod
    def of(cls, cutoff: datetime) -> "OldRecords":
        """What is too old now."""
        records = everything_on_record().records
        baselines = [r for r in records if r.job == "baseline" and r.passed]
        old = [r for r in baselines if _begins(r) < cutoff]
        replaced = frozenset(r.subject for r in baselines if _begins(r) >= cutoff)
        found = cls(0, cutoff, replaced, ())
        return cls(
            sum(map(found.is_among, records)),
            cutoff,
            replaced,
            tuple(
                f"the baseline of {r.subject} from {_begins(r).isoformat()}, which drift is "
                "measured from: freeze another with scripts/freeze_baseline.py, and run this again"
                for r in old
                if not found.is_among(r)
            ),
        )

    def is_among(self, record: Record) -> bool:
        """Whether the record is to go. A baseline stays until another can take its place."""
        if record.job == "baseline" and record.passed:
            return _begins(record) < self.cutoff and record.subject in self.replaced
        return record.at < self.cutoff and record.job not in WITHOUT_ENTITIES - {"baseline"}

    def delete(self) -> None:
        """Let them go, all or none."""
        operations_log().revise(lambda record: None if self.is_among(record) else record)


@dataclass(frozen=True)
class OldTrainingSets:
    """Training sets with a label of before the cutoff, or built before it.

    A training set is what it was built as, so it goes as a whole.
    """

    view: str
    cutoff: datetime
    sets: tuple[TrainingSet, ...]
    staying: tuple[str, ...]

    @classmethod
    def of(cls, contract: Contract, cutoff: datetime) -> "OldTrainingSets":
        """What is too old now.

        Raises:
            RefusedError: a training set on record cannot be read.
        """
        operations = everything_on_record()
        built = {r.figures["path"]: r.at for r in operations.of("training_set") if r.passed}
        try:
            there = read_training_sets(contract, ROOT, operations)
        except (pa.ArrowException, KeyError) as error:
            raise RefusedError(
                f"a training set on record cannot be read ({error}): remove it, and run again"
            ) from error
        old = [t for t in there if min(t.oldest or built[t.path], built[t.path]) < cutoff]
        return cls(
            contract.view_name,
            cutoff,
            tuple(t for t in old if t.as_built),
            tuple(
                f"{t.path}, which is another file than the one on record: see to it yourself"
                for t in old
                if not t.as_built
            ),
        )

    @property
    def rows(self) -> int:
        """Rows of them all."""
        return sum(t.rows for t in self.sets)

    def delete(self, as_of: datetime) -> None:
        """Put each on record as deleted, then delete it and its receipt."""
        for old in self.sets:
            figures = {"cutoff": self.cutoff.isoformat(), "deleted": old.path, "rows": old.rows}
            operations_log().append(Record("retention", self.view, as_of, True, None, figures))
            for file in (receipt_beside(ROOT / old.path), ROOT / old.path):
                file.unlink(missing_ok=True)


def everything_on_record() -> Operations:
    """All records, of whatever time; none where no job has run yet."""
    operations = read_operations(ROOT, _ALWAYS)
    return Operations(()) if isinstance(operations, MissingEvidence) else operations


def _begins(baseline: Record) -> datetime:
    return datetime.fromisoformat(baseline.figures["from"])
