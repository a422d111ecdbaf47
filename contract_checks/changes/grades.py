"""Grades of change, and the rules that give them.

A rule is given the old and the new value of a term, one of them None where something was added or
removed, and says how grave the change is and why: `looser_when_higher("...")(1, 2)` is breaking.
"""

import operator
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any


class Bump(StrEnum):
    """What a change asks of the document that makes it."""

    VERSION = "new version"
    CHANGELOG = "changelog entry"
    NONE = "none"


class Grade(IntEnum):
    """How grave a change is; the gravest of several is their maximum."""

    EDITORIAL = 0
    """Plain words alone: every word of the clause was read, and the terms are the same."""
    PROSE = 1
    """Words that only people read; whether the promise is the same is for them to say."""
    COMPATIBLE = 2
    BREAKING = 3

    @property
    def word(self) -> str:
        """The grade in a word, such as `breaking`."""
        return self.name.lower()

    @property
    def bump(self) -> Bump:
        """What a change of this grade requires."""
        return (Bump.NONE, Bump.CHANGELOG, Bump.CHANGELOG, Bump.VERSION)[self]


@dataclass(frozen=True)
class Verdict:
    """A grade, and why it was given."""

    grade: Grade
    why: str


Rule = Callable[[Any, Any], Verdict]
Rank = Callable[[Any], Any]

STRICTER = "stricter, and whoever relied on the old promise still can"


def _itself(value: Any) -> Any:
    return value


def any_change_breaks(why: str) -> Rule:
    """Readers are built on the exact value."""
    return lambda old, new: Verdict(Grade.BREAKING, why)


def any_change_is_compatible(why: str) -> Rule:
    """Worth recording, though nothing that is read depends on it."""
    return lambda old, new: Verdict(Grade.COMPATIBLE, why)


def any_change_is_editorial(why: str) -> Rule:
    """Another clause decides; this one only repeats it."""
    return lambda old, new: Verdict(Grade.EDITORIAL, why)


def breaks_either_way(higher: str, lower: str) -> Rule:
    """Both directions break somebody, for different reasons."""
    return lambda old, new: Verdict(Grade.BREAKING, higher if new > old else lower)


def looser_when_higher(looser: str, tighter: str = STRICTER, rank: Rank = _itself) -> Rule:
    """A limit from above: raising it breaks, lowering it does not. Yes ranks above no."""
    return _limit(operator.gt, looser, tighter, rank)


def looser_when_lower(looser: str, tighter: str = STRICTER, rank: Rank = _itself) -> Rule:
    """A limit from below: lowering it breaks, raising it does not. No ranks below yes."""
    return _limit(operator.lt, looser, tighter, rank)


def removal_breaks(removed: str, added: str) -> Rule:
    """What is promised may grow: an addition is compatible, a removal or a replacement breaks."""
    return _breaks_if(lambda old, new: old is not None, removed, added)


def addition_breaks(added: str, removed: str = STRICTER) -> Rule:
    """What may occur may shrink: a removal is compatible, an addition breaks."""
    return _breaks_if(lambda old, new: new is not None, added, removed)


def breaks_on_becoming(*words: str, why: str, otherwise: str) -> Rule:
    """Some values withdraw the promise, whatever stood before."""
    return _breaks_if(lambda old, new: new in words, why, otherwise)


def where_both_are_told(rule: Rule) -> Rule:
    """A value of its own that comes or goes is another than the general one, whatever that is."""

    def judge(old: Any, new: Any) -> Verdict:
        if {type(old), type(new)} & {type(None), str}:
            return Verdict(
                Grade.BREAKING, "a value of its own took the general one's place, or left it"
            )
        return rule(old, new)

    return judge


def _limit(is_looser: Callable[[Any, Any], bool], looser: str, tighter: str, rank: Rank) -> Rule:
    def loosened(old: Any, new: Any) -> bool:
        # None is no limit at all: nothing is looser.
        return new is None or (old is not None and is_looser(rank(new), rank(old)))

    return _breaks_if(loosened, looser, tighter)


def _breaks_if(breaks: Callable[[Any, Any], bool], broken: str, compatible: str) -> Rule:
    def judge(old: Any, new: Any) -> Verdict:
        if breaks(old, new):
            return Verdict(Grade.BREAKING, broken)
        return Verdict(Grade.COMPATIBLE, compatible)

    return judge
