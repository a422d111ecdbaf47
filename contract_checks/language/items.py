"""Readers of the items of a list, each a label and a text: a feature's range, a release."""

import re

from contract_checks.language import ranges, values
from contract_checks.language.dates import DATED, calendar_date
from contract_checks.language.sentence import FLAGS, Unreadable, quote
from contract_checks.language.terms import AllowedValues, Range
from contract_checks.language.units import is_unit


def feature(label: str, text: str) -> tuple[str, Range | AllowedValues]:
    """A feature and the values it may take; its unit may stand in brackets, `length (km)`."""
    beside = re.fullmatch(r"(\S+) \(([^()]+)\)", label)
    if not beside or not is_unit(beside[2]):
        return values.identifier(label), ranges.allowed(text)
    name, unit = values.identifier(beside[1]), beside[2]
    allowed = ranges.allowed(text)
    if not isinstance(allowed, Range) or allowed.unit not in (None, unit):
        raise Unreadable(f"expected a range of {unit}; got {quote(text)}")
    return name, allowed.model_copy(update={"unit": unit})


_RELEASE = (
    rf"{values.VERSION}\s*(?:[–—(,-])\s*(?:{DATED})|(?:{DATED})\)?\s*[–—-]\s*{values.VERSION}"
)


def release(label: str, note: str) -> tuple[str, object]:
    """A version and the day of its release; the note is for people, and has to be there."""
    dashed = rf"({values.VERSION}\s*[–—-]\s*(?:{DATED}))\s+[–—-]\s+(.+)"
    if not note and (whole := re.fullmatch(dashed, label, FLAGS)):
        label, note = whole.groups()
    parts = re.fullmatch(
        rf"date: ({DATED}); (?:change|changes|note|what changed): (.+)", note, FLAGS
    )
    if parts and re.fullmatch(values.VERSION, label, FLAGS):
        label, note = f"{label} — {parts[1]}", parts[2]
    expected = "an entry such as 'v1 — 2026-01-31: note'"
    if not note:
        raise Unreadable(f"expected {expected}; got {quote(label)}")
    values.prose(note)
    if another := re.search(_RELEASE, note, FLAGS):
        raise Unreadable(f"{quote(another[0])} is another release: write each on a line of its own")
    version_first = rf"({values.VERSION})\s*(?:[–—-]\s*(.+)|,\s*(.+)|\((.+)\))"
    if day_first := re.fullmatch(rf"({DATED}) [–—-] ({values.VERSION})", label, FLAGS):
        return values.version(day_first[2]), calendar_date(day_first[1])
    version, *dated = values.whole(version_first, label, expected).groups()
    return values.version(version), calendar_date(next(filter(None, dated)))
