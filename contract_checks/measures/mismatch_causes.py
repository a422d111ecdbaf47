"""Why does a served value differ from the offline one? One cause for every mismatch.

A rule looks at one read: the two answers, the change log of its entity as the offline table has it,
and, where the events are there, what they make of it. Most rules ask of the whole row served, not
of the one value: that four features at once are those of an earlier row is no coincidence. The
rules are asked in order, from the cause that leaves the plainest trace to the one that leaves none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from itertools import chain

from contract_checks.measures.differing_read import LogRow, Read, Values, is_one_of, newest
from contract_checks.measures.likeness import cast_between, is_multiple, steady_factor

_CONSISTENT = 0.2
"""The share of an entity's other rows that must differ from what the events make, too."""


class Cause(StrEnum):
    """What made two answers differ."""

    DUPLICATED = "duplicated key"
    TTL = "ttl"
    TYPE = "type"
    DEFAULT = "default"
    LATE = "late arrival"
    STALE = "stale materialization"
    LOGIC = "changed logic"
    TAMPERED = "tampered value"


@dataclass(frozen=True)
class Judged:
    """A cause, and what it was told by."""

    cause: Cause
    reason: str


def causes_of(reads: Sequence[Read]) -> list[dict[str, Judged]]:
    """For each read, why each of its differing features does."""
    found = [{feature: _judged(read, feature) for feature in read.differing} for read in reads]
    _name_steady_factors(reads, found)
    return [
        {feature: judged or _TAMPERED for feature, judged in features.items()} for features in found
    ]


_TAMPERED = Judged(Cause.TAMPERED, "nothing that is known of it makes this value")


def _judged(read: Read, feature: str) -> Judged | None:
    for rule in _RULES:
        if judged := rule(read, feature):
            return judged
    return None


def _duplicated(read: Read, feature: str) -> Judged | None:
    """The key has several rows, of which each side gives another."""
    if read.repeated:
        return Judged(Cause.DUPLICATED, "one side answers more than once for this key")
    rows = _filled(read, read.in_force)
    if len(rows) > 1 and read.served(rows) and is_one_of(read.offline, rows):
        stamp = read.in_force[0].stamp.isoformat()
        return Judged(Cause.DUPLICATED, f"{len(rows)} offline rows are stamped {stamp}")
    return None


def _outlived(read: Read, feature: str) -> Judged | None:
    """The newest row is older than the ttl: one side gives it still, the other its defaults."""
    ttl, age = read.declared.ttl, _age(read)
    if not ttl or age is None or age <= ttl:
        return None
    rows = _filled(read, read.in_force)
    if is_one_of(read.offline, [read.declared.defaults]) and read.served(rows):
        return Judged(Cause.TTL, f"online still gives a row {age} old")
    if read.serves_defaults() and is_one_of(read.offline, rows):
        return Judged(Cause.TTL, f"offline still gives a row {age} old")
    return None


def _of_other_type(read: Read, feature: str) -> Judged | None:
    """The values are the same but for a change of type."""
    if read.online is None or read.offline is None:
        return None
    declared = read.declared.types.get(feature, "")
    if cast := cast_between(read.offline[feature], read.online[feature], declared):
        return Judged(Cause.TYPE, f"equal as {cast}, declared {declared or 'nothing'}")
    return None


def _missing_offline(read: Read, feature: str) -> Judged | None:
    """The offline table has no value where the online store has one."""
    if read.offline is None:
        return Judged(Cause.DEFAULT, "no row offline")
    stored = read.in_force[0].values.get(feature) if read.in_force else None
    unfounded = read.recomputed is not None and not read.served(read.right)
    if (
        stored is None
        and read.declared.is_default(feature, read.offline[feature])
        and not unfounded
    ):
        return Judged(Cause.DEFAULT, "no value offline, so the default")
    return None


def _arrived_later(read: Read, feature: str) -> Judged | None:
    """Offline counts an event that had happened by the read, and had not arrived."""
    if read.by_happening is None or not read.right:
        return None
    with_all = read.declared.answer(read.by_happening, read.at)
    counted = is_one_of(read.offline, [with_all]) and not is_one_of(with_all, read.right[:1])
    if counted and read.served(read.right):
        return Judged(Cause.LATE, "offline counts an event that arrived after the read")
    return None


def _offline_astray(read: Read, feature: str) -> Judged | None:
    """What is served is what the events make; the offline row is not.

    By another logic many of an entity's rows were computed; a hand changes one.
    """
    if not read.served(read.right) or is_one_of(read.offline, read.right[:1]):
        return None
    others = [row for row in read.log if row not in read.in_force]
    astray = [row for row in others if not _follows(row, read)]
    if len(astray) > _CONSISTENT * len(others):
        told = f"{len(astray)} of the key's {len(others)} other offline rows are not, either"
        return Judged(Cause.LOGIC, f"the offline row is not what the events make; {told}")
    return Judged(Cause.TAMPERED, "the offline row is not what the events make; its others are")


def _stale(read: Read, feature: str) -> Judged | None:
    """What is served is an earlier row, which the one in force replaced."""
    stamp = read.in_force[0].stamp if read.in_force else None
    if stamp is None or read.online_stamp == stamp.replace(microsecond=0):
        return None
    until = read.materialized_to
    if until and until < stamp:
        then = _filled(read, newest(read.log, until)) or [read.declared.defaults]
        if read.served(then):
            told = f"changed at {stamp.isoformat()}, materialized to {until.isoformat()}"
            return Judged(Cause.STALE, told)
    if read.serves_defaults():
        return None  # a row of zeros is somewhere in many a log
    for row in read.log:
        if row.stamp < stamp and read.served(_filled(read, [row])):
            return Judged(Cause.STALE, f"the row of {row.stamp.isoformat()} was never replaced")
    return None


def _otherwise_computed(read: Read, feature: str) -> Judged | None:
    """What is served is what another logic makes of the events."""
    if read.serves_defaults():
        return None  # which many a logic makes, and a missing row as well
    for name, log in read.otherwise.items():
        if read.served(read.answers(log)):
            return Judged(Cause.LOGIC, f"online as if {name}")
    return None


def _missing_online(read: Read, feature: str) -> Judged | None:
    """The online store has no value where the offline table has one."""
    if read.online is None:
        return Judged(Cause.DEFAULT, "no row online")
    if read.declared.is_default(feature, read.online[feature]):
        return Judged(Cause.DEFAULT, "no value online, so the default")
    return None


def _filled(read: Read, rows: Sequence[LogRow]) -> list[Values]:
    return [read.declared.filled(row.values) for row in rows]


def _age(read: Read) -> timedelta | None:
    return read.at - read.in_force[0].stamp if read.in_force else None


def _follows(row: LogRow, read: Read) -> bool:
    """Whether the row is what the events make at its stamp."""
    made = read.declared.answer(read.recomputed or (), row.stamp)
    return is_one_of(read.declared.filled(row.values), [made])


_RULES: tuple[Callable[[Read, str], Judged | None], ...] = (
    _duplicated,
    _outlived,
    _of_other_type,
    _missing_offline,
    _arrived_later,
    _offline_astray,
    _stale,
    _otherwise_computed,
    _missing_online,
)


def _name_steady_factors(reads: Sequence[Read], found: list[dict[str, Judged | None]]) -> None:
    """What no read tells alone, many do: one factor between the answers is another logic."""
    for feature in sorted(set(chain.from_iterable(found))):
        left = [
            (features, (read.offline[feature], read.online[feature]))
            for read, features in zip(reads, found, strict=True)
            if feature in features and not features[feature] and read.offline and read.online
        ]
        if steady := steady_factor(pair for _, pair in left):
            factor, times = steady
            told = f"online is {factor:g} times offline in {times} reads"
            for features, pair in left:
                if is_multiple(*pair, factor):
                    features[feature] = Judged(Cause.LOGIC, told)
