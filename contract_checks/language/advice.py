"""What to do about a clause that is not there or not understood, or a label that is none."""

from collections.abc import Collection
from difflib import get_close_matches

from contract_checks.language.examples import EXAMPLES
from contract_checks.language.form import CLAUSES, TITLES, Clause
from contract_checks.language.naming import clauses_of
from contract_checks.language.sentence import quote

_ADVICE = ("such as", "one of", "write ", "keep one", "remove it")


def missing_section(number: str) -> str:
    """What to add where a section does not stand, its subsections included."""
    labels = ", ".join(clause.label for clause in clauses_of(number))
    return (
        f"section missing: add the heading '{number}. {TITLES[number]}' and its clauses, {labels}"
    )


def foreign_heading(heading: str) -> str:
    """What to do about a heading that is no section's."""
    titles = {title.lower(): f"{number}. {title}" for number, title in TITLES.items()}
    close = get_close_matches(heading.lower(), titles, n=1, cutoff=0.5)
    hint = f"; did you mean {quote(titles[close[0]])}?" if close else ""
    return f"{quote(heading)} is not a heading of the form: remove it or correct its number{hint}"


def missing(clause: Clause) -> str:
    """What to add where a clause does not stand."""
    add = f"missing: add '- **{clause.label}:** ...'"
    if clause.is_prose:
        return f"{add} in words of your own"
    if clause.group:
        return f"{add} with its clauses below it"
    below = " with items below it" if clause.entry else ""
    return f"{add}{below}, such as {quote(EXAMPLES[clause.id])}"


def otherwise(clause: Clause, reason: str) -> str:
    """Why a value was not understood, with a wording that would be, if the reason shows none."""
    example = EXAMPLES.get(clause.id, "")
    if not example or clause.entry or any(words in reason for words in _ADVICE):
        return reason
    return reason if example in reason else f"{reason}; write it such as {quote(example)}"


def unknown(label: str, clauses: list[Clause], present: Collection[str]) -> str:
    """What to do about a label that is not among the clauses expected in its place.

    `present` are the clauses that the document has already.
    """
    if home := next((clause for clause in CLAUSES if clause.accepts(label)), None):
        place = home.parent or f"§{home.section} {TITLES[home.section]}"
        return f"{quote(label)} does not belong here: move it to {place}"
    spelled = {spelling: clause.label for clause in clauses for spelling in clause.spellings}
    close = get_close_matches(label.lower(), spelled, n=1)
    if close:
        return f"unknown label {quote(label)}: did you mean {quote(spelled[close[0]])}?"
    wanted = [c.label for c in clauses if c.id not in present]
    still = f"; of its place are still missing: {', '.join(wanted)}" if wanted else ""
    return f"unknown label {quote(label)}: the form has no such clause: remove it{still}"
