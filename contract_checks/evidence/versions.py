"""Which versions of a feature were promoted and rolled back to, as the operations log tells."""

from collections.abc import Sequence

from contract_checks.evidence.facts import Operations
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record


def moves_of_the_pointer(contract: Contract, operations: Operations) -> tuple[Record, ...]:
    """Promotions and rollbacks that passed, oldest first; the subject is served from then on."""
    moves = (r for r in operations.records if r.job in ("promotion", "rollback"))
    return tuple(r for r in moves if r.passed and contract.has_version(r.subject))


def version_before(moves: Sequence[Record], version: str) -> str | None:
    """What was served when a version was first promoted: where a rollback of it leads.

    A version that was rolled back is passed over by those promoted later; none where nothing was
    served before, or the version was never promoted.
    """
    before = None
    for move in moves:
        if (move.job, move.subject) == ("promotion", version):
            return before
        before = move.subject
    return None
