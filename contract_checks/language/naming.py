"""What a heading or a label of a document names in the form."""

import re
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache

from contract_checks.language.form import CLAUSES, TITLES, Clause, same_title, title_words
from contract_checks.language.marks import plain
from contract_checks.language.outline import Bullet

_NUMBERED = re.compile(
    r"(?:§\s*|section\s+)?(?P<number>[0-9]+(?:\.[0-9]+)*)(?:\s*[.):–—-])?\s+(?P<title>.+)",
    re.IGNORECASE,
)


def section_of(heading: str) -> tuple[str, str]:
    """The number and the title of a heading such as `6. Data Quality`, `§6 Data Quality`.

    A title without a number is that of the one section whose title has all its words; the number
    is empty where there is none, or more than one.
    """
    if numbered := _NUMBERED.fullmatch(heading):
        return numbered["number"], numbered["title"]
    words = title_words(heading)
    titled = [number for number, title in TITLES.items() if words == title_words(title)]
    close = [number for number, title in TITLES.items() if words and words < title_words(title)]
    found = titled or close
    return found[0] if len(found) == 1 else "", heading


def is_title(heading: str) -> bool:
    """Whether a heading is a section's by number and title, or by the whole of its title."""
    number, title = section_of(heading)
    whole = TITLES.get(number, "")
    return title_words(whole) == title_words(title) or (
        title != heading and same_title(title, whole)
    )


@lru_cache(maxsize=32)  # each label of a section is held against them
def clauses_of(section: str) -> tuple[Clause, ...]:
    """The clauses of a section, those of its subsections included."""
    return tuple(c for c in CLAUSES if f"{c.section}.".startswith(f"{section}."))


@lru_cache(maxsize=256)  # each layout that a clause may stand in asks it
def clause_of(section: str, label: str) -> Clause | None:
    """The clause of a section that a label means."""
    return next((clause for clause in clauses_of(section) if clause.accepts(label)), None)


def clause_of_a_group(section: str, label: str) -> Clause | None:
    """A clause that the form has below another, and that may stand beside the others instead."""
    nested = (clause for clause in clauses_of(section) if clause.parent)
    return next((clause for clause in nested if clause.accepts(label)), None)


def with_dash(section: str, bullet: Bullet) -> Bullet:
    """A list item whose label ends with a dash or '=', `Freshness — 2 hours`, as with a colon."""
    items = tuple(with_dash(section, item) for item in bullet.items)
    found = re.fullmatch(r"(?P<label>.+?)\s+[–—=-]\s+(?P<value>.+)", bullet.label)
    label = plain(found["label"]) if found else ""
    if not found or bullet.value or not clause_of(section, label):
        return replace(bullet, items=items)
    return replace(bullet, label=label, value=found["value"], items=items)


def nearly_a_label(section: str, label: str) -> bool:
    """Whether a label means a clause of the section, or would but for a slip of the pen."""
    known = [clause.label.lower() for clause in clauses_of(section)]
    return bool(clause_of(section, label) or get_close_matches(label.lower(), known, 1, 0.85))
