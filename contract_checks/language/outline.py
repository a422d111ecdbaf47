"""A contract document's outline: sections, the clauses in them, and what no clause takes in."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bullet:
    """One labelled clause, or one item of a clause's list, in whatever layout it stands.

    `line` is 1-based; `written` is the whole item as it stands, its label included.
    """

    label: str
    value: str
    line: int
    items: tuple["Bullet", ...] = ()
    written: str = ""

    @property
    def text(self) -> str:
        """What stands after the label, nested items included, in one line."""
        if not any(item.text for item in self.items):  # a plain list, of values or of names
            below = ", ".join(item.label for item in self.items)
        else:
            below = "; ".join(f"{item.label}: {item.text}" for item in self.items)
        return " ".join(filter(None, (self.value, below)))


NOTES = ("13", "Notes")
"""The number and title of the section whose text is free and binds nobody."""
NOTES_CLAUSE = "§13 notes"


@dataclass(frozen=True)
class Section:
    """A heading below the title; `number` is empty when the form has no such section."""

    number: str
    title: str
    line: int
    bullets: tuple[Bullet, ...]


@dataclass(frozen=True)
class Fault:
    """Text that stands where clauses stand and is none, at a 1-based line."""

    line: int
    section: str
    """The section's number; empty before the first."""
    message: str


@dataclass(frozen=True)
class Document:
    """A whole document.

    `strays` are bullets that stand before the first section, `between` is the text beside clauses,
    each with its line, and `faults` is what a layout holds beside labels and values.
    """

    title: str
    title_line: int
    sections: tuple[Section, ...]
    strays: tuple[Bullet, ...]
    between: tuple[tuple[int, str], ...]
    faults: tuple[Fault, ...]
    last_line: int
    notes: str = ""
    """The text of the section of notes, which no clause is read from."""
