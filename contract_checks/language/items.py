"""Readers of the items of a list, each a label and a text: a feature's range, a release."""

import re

from contract_checks.language import ranges, values


def feature(label: str, text: str) -> tuple[str, object]:
    """A feature and the values it may take."""
    return values.identifier(label), ranges.allowed(text)


def release(label: str, note: str) -> tuple[str, object]:
    """A version and the day of its release; the note is for people, and has to be there."""
    if not note and (
        dashed := re.fullmatch(r"(.*[0-9]{4}-[0-9]{2}-[0-9]{2}\)?)\s*[–—-]\s+(.+)", label)
    ):
        label, note = dashed.groups()
    values.prose(note)
    expected = "an entry such as 'v1 — 2026-01-31: note'"
    dated = rf"({values.VERSION})\s*(?:[–—-]\s*(.+)|\((.+)\))"
    found = values.whole(dated, label, expected)
    return values.version(found[1]), values.calendar_date(found[2] or found[3])
