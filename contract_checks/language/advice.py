"""What to do about a clause that is not there or not understood, or a label that is none."""

import re
from collections.abc import Collection
from difflib import get_close_matches

from contract_checks.language import people, phrases, values
from contract_checks.language.examples import EXAMPLES
from contract_checks.language.form import CLAUSES, TITLES, Clause
from contract_checks.language.naming import clauses_of
from contract_checks.language.sentence import Unreadable, quote

_ADVICE = ("write ", "keep one", "remove it")
_NAMES = (
    *(people.names, values.identifier, values.identifiers, values.tables, values.jobs),
    *(phrases.consistency, values.table),
)
_OF_FEATURES = {
    "§5.2 nullable": "nullable",
    "§5.2 default value": "default",
    "§6 completeness": "null rate",
    "§7 warn": "PSI warn",
    "§7 fail": "PSI fail",
}
"""The clauses of which a feature may have a value of its own, and the column it stands in."""
_LONGEST_PART = 300  # a person reads no more of it in a message


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


def otherwise(clause: Clause, text: str, reason: str) -> str:
    """Why a value was not understood, with a wording that would be, its own or an example."""
    if clause.is_prose or any(words in reason for words in _ADVICE):
        return reason
    if column := _OF_FEATURES.get(clause.id, "") if re.search(r"\w_\w", text) else "":
        of_one = (
            f"what one feature promises of its own stands in a table of §5.2, column {column!r}"
        )
        return (
            f"{reason}; {of_one}, and write one value for all here, such as {EXAMPLES[clause.id]!r}"
        )
    if part := _readable_part(clause, text):
        rest = text[len(part) :].strip()
        return f"{reason}; {quote(part)} alone would be read, and {quote(rest)} is not"
    example = EXAMPLES[clause.id]
    shown = example in reason or "such as" in reason or "one of" in reason
    return reason if shown else f"{reason}; write it such as {quote(example)}"


def _readable_part(clause: Clause, text: str) -> str:
    """The most of a value, from its beginning, that is understood; of names nothing."""
    if clause.reader in _NAMES:
        return ""
    ends = [found.start() for found in re.finditer(r"\s", text[:_LONGEST_PART])]
    for end in reversed(ends):
        part = text[:end].rstrip(" ,;:.–—-(")
        if part.count("(") != part.count(")"):
            continue
        try:
            clause.reader(part)
        except Unreadable:
            continue
        return part
    return ""


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
