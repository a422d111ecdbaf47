"""What changed between two editions of a contract, graded clause by clause.

A promise changed where a term of the Contract did. A clause whose terms are equal and whose words
are not was only reworded, since every word of it was read; but words for people were not, so that a
change of those is for people to judge. Text that belongs to no clause is nobody's promise and is
not compared.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from contract_checks.changes.grades import Bump, Grade
from contract_checks.changes.grading import GRADING, NAMES, version_number
from contract_checks.language.contract import Contract
from contract_checks.language.document import Bullet, parse
from contract_checks.language.feature_columns import ALSO_LANDS, RANGES, feature_of
from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import load
from contract_checks.language.outline import NOTES_CLAUSE
from contract_checks.language.terms import Terms

BY_ID = {clause.id: clause for clause in CLAUSES}
LANDING = {clause.lands: clause.id for clause in CLAUSES if clause.lands} | ALSO_LANDS
REWORDED = "worded otherwise; the terms are the same"
PROSE = "words for people changed, and only they can say whether the promise did"

Place = tuple[str, str]
"""A clause ID and, where the clause is a list, one of its items; else an empty text."""


@dataclass(frozen=True)
class Passage:
    """The words of a place, and their 1-based line."""

    words: str
    line: int


@dataclass(frozen=True)
class Edition:
    """A contract, and the passages it was read from."""

    contract: Contract
    passages: dict[Place, Passage]

    def line(self, place: Place) -> int | None:
        """Where the place is; None if this edition does not have it."""
        return self.passages[place].line if place in self.passages else None


def read_edition(path: str | Path) -> Edition:
    """The edition at a path; raises InvalidContract if it is none."""
    contract = load(path)
    text = contract.path.read_text(encoding="utf-8-sig")
    bullets = [b for section in parse(text).sections for b in _flat(section.bullets)]
    passages = {
        place: passage
        for clause, line in contract.lines.items()
        for place, passage in _passages(contract, clause, _items(clause, line, bullets))
    }
    return Edition(contract, passages)


@dataclass(frozen=True)
class Change:
    """One difference between two editions; None stands for what an edition does not have."""

    place: Place
    term: str
    """Path into the Contract, such as `quality.freshness`; empty where only words changed."""
    old: Any
    new: Any
    old_line: int | None
    new_line: int | None
    grade: Grade
    why: str

    @property
    def clause(self) -> str:
        """The clause's name, such as `§6 freshness`."""
        return self.place[0]


@dataclass(frozen=True)
class Diff:
    """All changes from the old edition to the new one, in the document's order."""

    old: Contract
    new: Contract
    changes: tuple[Change, ...]

    def having(self, grade: Grade) -> list[Change]:
        """The changes of that grade."""
        return [change for change in self.changes if change.grade is grade]

    @property
    def grade(self) -> Grade | None:
        """The gravest grade; None if nothing changed."""
        return max((change.grade for change in self.changes), default=None)

    @property
    def changes_a_promise(self) -> bool:
        """Whether more changed than plain words: a term, or words that only people can judge."""
        return self.grade not in (None, Grade.EDITORIAL)

    @property
    def bump(self) -> Bump:
        """What the changes require together."""
        return Bump.NONE if self.grade is None else self.grade.bump

    @property
    def bump_is_present(self) -> bool:
        """Whether the new edition has what the changes require.

        A changelog holds an entry per version, so an entry is a new line or new words in one.
        """
        old, new = self.old.overview.version, self.new.overview.version
        if version_number(new) > version_number(old) or self.bump is Bump.NONE:
            return True
        logged = any(change.clause == LANDING["versioning.changelog"] for change in self.changes)
        return self.bump is Bump.CHANGELOG and logged


def diff(old: Edition, new: Edition) -> Diff:
    """Compare two editions of a contract."""
    promises = [
        replace(change, old_line=old.line(change.place), new_line=new.line(change.place))
        for change in changed_promises(old.contract, new.contract)
    ]
    reworded = [*_reworded(old, new, {change.place for change in promises}), *_noted(old, new)]
    clauses = new.contract.lines  # every one: a document that lacks a clause is invalid
    changes = sorted(
        [*promises, *reworded],
        key=lambda change: (clauses.get(change.clause, math.inf), change.new_line or 0),
    )
    return Diff(old.contract, new.contract, tuple(changes))


def changed_promises(old: Contract, new: Contract) -> Iterator[Change]:
    """The changed terms alone, without their lines."""
    for lands, clause in LANDING.items():
        group, name = lands.split(".")
        before, after = (getattr(getattr(contract, group), name) for contract in (old, new))
        for path, one, other in differences((group, name), before, after):
            place = (clause, path[2] if BY_ID[clause].entry else "")
            verdict = GRADING[row(path)](one, other)
            yield Change(place, ".".join(path), one, other, None, None, verdict.grade, verdict.why)


def differences(path: tuple[str, ...], old: Any, new: Any) -> Iterator[tuple[Any, Any, Any]]:
    """The path, old and new value of every term that differs, lists member by member."""
    if isinstance(old, Terms) and type(old) is type(new):
        for name in type(old).model_fields:
            yield from differences((*path, name), getattr(old, name), getattr(new, name))
    elif isinstance(old, dict):
        for key in old | new:
            yield from differences((*path, key), old.get(key), new.get(key))
    elif isinstance(old, tuple):
        yield from ((path, member, None) for member in _missing(path, old, new))
        yield from ((path, None, member) for member in _missing(path, new, old))
    elif _plain(path, old) != _plain(path, new):
        yield path, old, new


def row(path: tuple[str, ...]) -> str:
    """The row of the grading table a path belongs to: item names become `*`."""
    has_items = BY_ID[LANDING[".".join(path[:2])]].entry
    return ".".join((*path[:2], "*", *path[3:]) if has_items else path)


def _missing(path: tuple[str, ...], members: Any, other: Any) -> list[Any]:
    """The members the other list lacks, in any order."""
    present = {_plain(path, member) for member in other}
    return [member for member in members if _plain(path, member) not in present]


def _plain(path: tuple[str, ...], value: Any) -> Any:
    """The value, with the case of a name for people taken away."""
    return value.casefold() if isinstance(value, str) and row(path) in NAMES else value


def _reworded(old: Edition, new: Edition, besides: set[Place]) -> Iterator[Change]:
    for place, before in old.passages.items():
        after = new.passages.get(place)
        if after and before.words != after.words and place not in besides:
            grade, why = (
                (Grade.PROSE, PROSE) if _is_for_people(place) else (Grade.EDITORIAL, REWORDED)
            )
            words, lines = (before.words, after.words), (before.line, after.line)
            yield Change(place, "", *words, *lines, grade, why)


def _noted(old: Edition, new: Edition) -> Iterator[Change]:
    """The change of the notes, which bind nobody."""
    before, after = (edition.contract.prose.get(NOTES_CLAUSE) for edition in (old, new))
    if before != after:
        place, grade = (NOTES_CLAUSE, ""), Grade.EDITORIAL
        yield Change(place, "", before, after, None, None, grade, "notes bind nobody")


def _is_for_people(place: Place) -> bool:
    """Whether words stand there that are part of no term: a clause in words, a release's note."""
    return BY_ID[place[0]].is_prose or place[0] == LANDING["versioning.changelog"]


def _passages(
    contract: Contract, clause: str, items: tuple[Bullet, ...]
) -> Iterator[tuple[Place, Passage]]:
    kind, line = BY_ID[clause], contract.lines[clause]
    yield (clause, ""), Passage("" if kind.entry or kind.group else contract.texts[clause], line)
    if kind.entry:
        for item in items:
            words = f"{item.label}: {item.text}"
            is_feature = clause == RANGES
            key = feature_of(item)[0] if is_feature else kind.entry(item.label, item.text)[0]
            yield (clause, key), Passage(words, item.line)


def _items(clause: str, line: int, bullets: list[Bullet]) -> tuple[Bullet, ...]:
    """What stands below a clause; several may stand on one line of a table."""
    on_line = (b for b in bullets if b.line == line and BY_ID[clause].accepts(b.label))
    return next((bullet.items for bullet in on_line), ())


def _flat(bullets: tuple[Bullet, ...]) -> Iterator[Bullet]:
    for bullet in bullets:
        yield bullet
        yield from _flat(bullet.items)
