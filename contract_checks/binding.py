"""Which check holds each clause of a contract, and why some clauses need none."""

from dataclasses import asdict, dataclass

from contract_checks import checks as _bound  # noqa: F401  (importing binds the checks)
from contract_checks.judge import CHECKS
from contract_checks.language.contract import Contract
from contract_checks.language.form import CLAUSES

INFORMATIVE = {
    "§5.1 definition": "says in words what the aggregation and schema clauses say in terms",
    "§5.2 units": "describes the features to people; the values carry no unit to compare",
    "§7 thresholds": "is the heading of the warn and fail clauses, which are judged",
}
"""Clauses that no check judges, with the reason."""


@dataclass(frozen=True)
class Binding:
    """A clause of one document and what holds it."""

    id: str
    line: int
    value: str
    held_in: str
    check: str
    reason: str
    """Why no check holds it; empty where one does."""


def bindings(contract: Contract) -> list[Binding]:
    """Every clause of the document, in its order."""
    return [_binding(contract, clause) for clause in contract.lines]


def unbound() -> list[str]:
    """Clauses of the form that are neither judged nor informative: there may be none."""
    judged = {check.clause for check in CHECKS}
    return [c.id for c in CLAUSES if c.id not in judged and c.id not in INFORMATIVE]


def as_row(binding: Binding) -> dict[str, object]:
    """The binding as JSON has it."""
    return asdict(binding)


def _binding(contract: Contract, clause: str) -> Binding:
    bound = [check for check in CHECKS if check.clause == clause]
    places = dict.fromkeys(place for check in bound for place in check.held_in.split(", "))
    return Binding(
        id=clause,
        line=contract.lines[clause],
        value=contract.texts[clause],
        held_in=", ".join(places) or "document",
        check=", ".join(check.name for check in bound),
        reason="" if bound else INFORMATIVE[clause],
    )
