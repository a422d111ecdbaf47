"""Days of the calendar as people write them, where one day alone can be meant."""

import re
from datetime import date

from contract_checks.language.sentence import FLAGS, Unreadable, quote, tidy

_NAMES = "january february march april may june july august september october november december"
_MONTHS = {
    written: number
    for number, name in enumerate(_NAMES.split(), start=1)
    for written in (name, name[:3], *(["sept"] if name == "september" else []))
}
_MONTH = rf"(?:{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_DAY, _YEAR = r"[0-3]?[0-9]", "[12][0-9]{3}"
_NAMED = (
    rf"(?P<day>{_DAY})(?:st|nd|rd|th)?[ -](?:of )?(?P<month>{_MONTH})[ ,-] ?(?P<year>{_YEAR})",
    rf"(?P<month>{_MONTH}) (?P<day>{_DAY})(?:st|nd|rd|th)?,? (?P<year>{_YEAR})",
)
_YEAR_FIRST = rf"(?P<year>{_YEAR})(?P<mark>[-/.])(?P<month>[0-9]{{2}})(?P=mark)(?P<day>[0-9]{{2}})"
_YEAR_LAST = rf"(?P<one>{_DAY})(?P<mark>[-/.])(?P<two>{_DAY})(?P=mark)(?P<year>{_YEAR})"
DATED = (
    rf"{_YEAR}[-/.][0-9/.-]+[^()]{{0,40}}|{_DAY}[-/.]{_DAY}[-/.]{_YEAR}"
    rf"|{_DAY}(?:st|nd|rd|th)?[ -](?:of )?{_MONTH}[ ,-] ?{_YEAR}"
    rf"|{_MONTH} {_DAY}(?:st|nd|rd|th)?,? {_YEAR}"
)
"""What `calendar_date` is to read, at the end of a longer text."""


def calendar_date(text: str) -> date:
    """`2026-01-31`, `31 Jan 2026`, `January 31, 2026`, `31.01.2026`.

    Raises Unreadable with both days where day and month may stand in either order.
    """
    line = tidy(text)
    if first := re.fullmatch(_YEAR_FIRST, line, FLAGS):
        return _day(first["year"], first["month"], first["day"], text)
    for pattern in _NAMED:
        if named := re.fullmatch(pattern, line, FLAGS):
            month = _MONTHS[named["month"].lower().rstrip(".")]
            return _day(named["year"], str(month), named["day"], text)
    if last := re.fullmatch(_YEAR_LAST, line, FLAGS):
        return _in_either_order(last["one"], last["two"], last["year"], text)
    raise Unreadable(f"expected a date such as 2026-01-31; got {quote(text)}")


def _in_either_order(one: str, two: str, year: str, text: str) -> date:
    if int(one) > 12:
        return _day(year, two, one, text)
    if int(two) > 12 or int(one) == int(two):
        return _day(year, one, two, text)
    readings = f"{_day(year, two, one, text)} or {_day(year, one, two, text)}"
    raise Unreadable(f"{quote(text)} may be two days: write {readings}, whichever is meant")


def _day(year: str, month: str, day: str, text: str) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise Unreadable(f"no such day in the calendar: {quote(text)}") from None
