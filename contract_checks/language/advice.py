"""What to do about a clause that is not there, or a label that is none."""

from difflib import get_close_matches

from contract_checks.language.form import CLAUSES, TITLES, Clause
from contract_checks.language.sentence import quote


def missing(clause: Clause) -> str:
    """What to add where a clause does not stand."""
    return f"missing: add '- **{clause.label}:** ...'"


def unknown(label: str, clauses: list[Clause]) -> str:
    """What to do about a label that is not among the clauses expected in its place."""
    if home := next((clause for clause in CLAUSES if clause.accepts(label)), None):
        place = home.parent or f"§{home.section} {TITLES[home.section]}"
        return f"{quote(label)} does not belong here: move it to {place}"
    close = get_close_matches(label, [clause.label for clause in clauses], n=1)
    hint = f"did you mean {quote(close[0])}?" if close else "the form has no such clause: remove it"
    return f"unknown label {quote(label)}: {hint}"
