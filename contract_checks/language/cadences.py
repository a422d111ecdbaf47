"""Readers of how often something happens: the refresh, and when on its day (§4)."""

import re
from datetime import timedelta

from contract_checks.language.numbers import COUNTS
from contract_checks.language.sentence import FLAGS, Sentence, Unreadable, quote, tidy
from contract_checks.language.terms import Cadence
from contract_checks.language.values import timezone

_HOUR, _DAY, _WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
_LENGTHS = {"hour": _HOUR, "dai": _DAY, "day": _DAY, "night": _DAY, "week": _WEEK}
_WHAT = r"(?: (?:batch|job|run|refresh))?"
_OFTEN = r"(?:(hour|dai|night|week)ly|(?:every|each|once an?|once per) (hour|day|night|week))"
_TIMES = (
    r"(?:(once|twice|thrice)|([0-9]{1,2}|[a-z]+) (?:times|x)|([0-9]{1,2})x)"
    r" (?:(?:an?|per|each|every) (hour|day|week)|(hour|dai|week)ly)"
)
_EVERY_OTHER = r"every (?:other|second) (hour|day|week)|(?:fortnightly|every fortnight)"
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_ON_A_DAY = rf"(?:,? on|,)? \(?({'|'.join(_DAYS)})s?\)?"
_AT = (
    r",? at (?:([01]?[0-9]|2[0-3]):([0-5][0-9])|(1[0-2]|[1-9]) ?(am|pm)|(midnight|noon))"
    r"(?: \(?([A-Za-z_]+(?:/[A-Za-z_]+)*)\)?)?"
)
_WORDS = {"once": 1, "twice": 2, "thrice": 3} | COUNTS


def refresh(text: str) -> Cadence:
    """`hourly`, `twice a day`, `every other day`, `daily at 04:00 UTC`, `weekly on Sundays`."""
    line = tidy(text)
    if fixed := re.fullmatch(rf"{_OFTEN}{_WHAT}(?:{_ON_A_DAY})?(?:{_AT})?", line, FLAGS):
        every = _LENGTHS[(fixed[1] or fixed[2]).lower()]
        return _at_a_time(text, every, fixed[3], fixed.groups()[3:])
    if often := re.fullmatch(_TIMES, line, FLAGS):
        return Cadence(every=_shared_out(text, often))
    if skipping := re.fullmatch(_EVERY_OTHER, line, FLAGS):
        return Cadence(every=2 * _LENGTHS[(skipping[1] or "week").lower()])
    minutes = re.sub(r"(?<=[0-9])\s?m$", " min", line)  # a cadence of months is no cadence
    minutes = re.sub("^(?=[0-9])", "every ", minutes)
    with Sentence(
        minutes, "hourly, daily, weekly or a cadence such as 'every 15 minutes'"
    ) as words:
        words.take(r"\bevery\b")
        return Cadence(every=words.duration())


def _at_a_time(
    text: str, every: timedelta, weekday: str | None, at: tuple[str | None, ...]
) -> Cadence:
    hour, minute, twelve, half, named, zone = at
    if (weekday and every != _WEEK) or (any(at[:5]) and every < _DAY):
        raise Unreadable(f"expected a day of a weekly, an hour of a daily one; got {quote(text)}")
    if hour:
        at_time = f"{int(hour):02}:{minute}"
    elif twelve:
        at_time = f"{int(twelve) % 12 + (12 if (half or '').lower() == 'pm' else 0):02}:00"
    else:
        at_time = {"midnight": "00:00", "noon": "12:00"}.get((named or "").lower(), "")
    return Cadence(
        every=every,
        at=at_time or None,
        zone=timezone(zone) if zone else None,
        weekday=weekday.capitalize() if weekday else None,
    )


def _shared_out(text: str, often: re.Match[str]) -> timedelta:
    """As many times as are said, at equal distances."""
    said = (often[1] or often[2] or often[3]).lower()
    times = int(said) if said.isdigit() else _WORDS.get(said, 0)
    length = _LENGTHS[(often[4] or often[5]).lower()]
    apart = _HOUR if length > _HOUR else timedelta(minutes=1)
    if not times or length % (times * apart) or (length == _WEEK and times > 1):
        raise Unreadable(f"expected a number of times that share it out evenly; got {quote(text)}")
    return length / times
