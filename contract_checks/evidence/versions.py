"""Which versions of a feature were promoted and rolled back to, as the operations log tells."""

from collections.abc import Sequence
from datetime import datetime

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


def superseded(moves: Sequence[Record], version: str, successor: str) -> datetime | None:
    """Since when another is served in the version's place; None before the successor's release.

    None as well while the version is served again. The move after that counts anew, so that readers
    have the whole of the promised time to leave the version (§10 deprecation plan).
    """
    since, released = None, False
    for move in moves:
        released |= (move.job, move.subject) == ("promotion", successor)
        if move.subject == version:
            since = None
        elif since is None and released:
            since = move.at
    return since
