"""Readers of plain values: the text of one clause to a name, list, date, quantity or range.

Each takes the text as written and returns its value, or raises Unreadable saying what it expected.
Clauses worded as sentences are read in `phrases`.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from typing import TypeVar

from contract_checks.language.absence import is_none, refuse_none
from contract_checks.language.plain_words import ALERTS
from contract_checks.language.sentence import (
    FLAGS,
    IDENTIFIER,
    Sentence,
    Unreadable,
    quote,
    tidy,
)
from contract_checks.language.terms import DataType, PersonalData

Value = TypeVar("Value")

VERSION = r"\bv[0-9]{1,4}\b"
JOINT = r"\s*[,;]\s*(?:and\s+)?|\s+(?:and|&)\s+"
_UTC = r"(?:utc|z|coordinated universal time(?: \(utc\))?)"
_ALL_UTC = rf"all timestamps (?:are )?(?:stored )?in {_UTC}"
_TYPES = "struct|int(?:eger|32|64)?|bigint|float(?:32|64)?|double|decimal|string|bool(?:ean)?"


def whole(pattern: str, text: str, expected: str) -> re.Match[str]:
    """The match of a pattern with the whole text; raises Unreadable where there is none."""
    found = re.fullmatch(pattern, tidy(text), FLAGS)
    if not found:
        raise Unreadable(f"expected {expected}; got {quote(text)}")
    return found


def prose(text: str) -> str:
    """Words for people: only their absence can be wrong."""
    if not re.search(r"[^\W\d_]", text) or re.fullmatch(r"(?i)\W*(?:tbd|todo|tba|fixme)\W*", text):
        raise Unreadable(f"expected words, got {quote(text)}")
    return text


def name(text: str) -> str:
    """The name of a team, person or unit."""
    refuse_none(text, "a name")
    named = prose(text).rstrip(".")
    if re.search(r"\b(?:see|as listed|tbd)\b", named, FLAGS):
        raise Unreadable(f"expected a name; got {quote(text)}")
    return named


def answerer(text: str) -> str:
    """The name of who answers: a team, a person, or a team and its person."""
    if ";" in text:
        raise Unreadable(f"expected one name: write who answers for all of it; got {quote(text)}")
    return name(text)


def choice(*values: str, **synonyms: str) -> Callable[[str], str]:
    """A reader of one of these words, in any case."""
    words = {value: value for value in values} | synonyms

    def read(text: str) -> str:
        word = tidy(text).lower()
        if word not in words:
            raise Unreadable(f"expected one of {', '.join(values)}; got {quote(text)}")
        return words[word]

    return read


def yes_no(text: str) -> bool:
    """`yes` or `no`, also `true`, `required`, `mandatory`, `enabled`, `on`, or what denies it."""
    also = dict.fromkeys(("true", "y", "required", "mandatory", "enabled", "on"), "yes")
    also |= dict.fromkeys(("false", "n", "not required", "disabled", "off"), "no")
    also |= {"yes, required": "yes", "yes (required)": "yes", "no, not required": "no"}
    return choice("yes", "no", **also)(text) == "yes"


def nullable(text: str) -> bool:
    """`yes` or `no`, also as `true` or `false`."""
    return choice("yes", "no", true="yes", false="no")(text) == "yes"


def nullable_column(text: str) -> bool:
    """As `nullable`, also by the first letter."""
    return nullable({"y": "yes", "n": "no"}.get(text.strip().lower(), text))


def requirement(text: str) -> bool:
    """`required` or `not required`."""
    also = dict.fromkeys(("mandatory", "yes", "yes, required", "yes (required)"), "required")
    return choice("required", "not required", **also)(text) == "required"


def identifier(text: str) -> str:
    """A column or feature name: letters, digits and underscores."""
    expected = "a name such as customer_id"
    found = whole(IDENTIFIER, text, expected)[0]
    if found != "no":  # as tables of some countries call a number
        refuse_none(found, expected)
    return found


def identifiers(text: str) -> tuple[str, ...]:
    """Column names separated by commas, '+', '/' or 'and', perhaps in parentheses."""
    parts = re.split(rf"{JOINT}|\s*\+\s*|\s+/\s+", tidy(text).strip("(){}"))
    return distinct([identifier(part) for part in parts])


def jobs(text: str) -> tuple[str, ...]:
    """Names of jobs or models separated by commas, or `none`."""
    if is_none(text):
        return ()
    expected = "job names such as orders_ingestion_job, separated by commas"
    parts = re.split(JOINT, tidy(text))
    for part in parts:
        refuse_none(part, expected)
    return distinct([whole(rf"{IDENTIFIER}(?:[.-]\w+)*", part, expected)[0] for part in parts])


def table(text: str) -> str:
    """A table with the schema it stands in."""
    expected = "a table such as warehouse.events"
    refuse_none(text, expected)
    return whole(rf"{IDENTIFIER}(?:\.{IDENTIFIER})+", text, expected)[0]


def tables(text: str) -> tuple[str, ...]:
    """Tables separated by commas."""
    return distinct([table(part) for part in re.split(JOINT, tidy(text))])


def version(text: str) -> str:
    """v1, v2 and so on."""
    return whole(VERSION, text, "a version such as v1")[0].lower()


def title(text: str) -> tuple[str, str]:
    """`Feature Contract — name (v1)`, also `name v1` and `name, version 1`: name and version."""
    expected = "a title such as 'Feature Contract — customer_profile (v1)'"
    version = (
        rf"(?:\s*\(({VERSION})\)|,?\s+({VERSION})|,?\s+version ([0-9]{{1,4}})|_(v[0-9]{{1,4}}))"
    )
    found = whole(rf"feature contract\s*[–—:-]\s*({IDENTIFIER}?){version}", text, expected)
    named = found[2] or found[3] or found[5] or f"v{found[4]}"
    return found[1], named.lower()


def url(text: str) -> str:
    """An http or https address with a host."""
    host = r"[a-z0-9-]+(?:\.[a-z0-9-]+)*(?::[0-9]{1,5})?"
    expected = "an address such as https://catalog.example.com/feature"
    return whole(rf"<?(https?://{host}(?:[/?#][^\s<>]*)?)>?", text, expected)[1]


def timezone(text: str) -> str:
    """A time zone of the IANA database."""
    from zoneinfo import ZoneInfo  # imported late: UTC, the usual answer, needs no database

    if re.fullmatch(rf"{_UTC}(?: \({_ALL_UTC}\))?|{_ALL_UTC}", tidy(text), FLAGS):
        return "UTC"
    expected = "a time zone such as UTC or Europe/Oslo"
    zone = whole(r"[A-Za-z]\w*(?:[/+-]\w+)*", text, expected)[0]
    try:
        return ZoneInfo(zone).key
    except (KeyError, ValueError, OSError):
        raise Unreadable(f"expected {expected}; no zone is called {quote(text)}") from None


def channel(text: str) -> str:
    """A chat channel (`#name`) or an e-mail address."""
    with Sentence(text, "a channel such as #ml-alerts", ALERTS) as words:
        return words.only(r"(?<!\w)#[a-z0-9][\w-]*|(?<![\w.+-])[\w.+-]+@[\w-]+(?:\.[\w-]+)+")[0]


def duration(text: str, bound: str = "", names: frozenset[str] = frozenset()) -> timedelta:
    """A length of time: 30d, 24h, '2 hours', 'last 30 days', '7-day backfill'."""
    with Sentence(text, "a duration such as 30d or 2 hours", names) as words:
        words.has(r"\bmost recent\b")
        return words.duration(bound)


def percent(text: str, bound: str = "", names: frozenset[str] = frozenset()) -> float:
    """A share from 0% to 100%, as a fraction of one."""
    sign = next((sign for sign in "≥≤" if sign in bound), "")
    expected = f"a percentage such as '{sign} 98%'".replace("' ", "'")
    with Sentence(text, expected, names) as words:
        return words.percent(bound)


def naming(names: frozenset[str], read: Callable[..., Value]) -> Callable[..., Value]:
    """A reader of a quantity beside which the clause may name what it speaks of."""
    return partial(read, names=names)


def at_least(read: Callable[..., Value]) -> Callable[[str], Value]:
    """A reader of a quantity that is the least by its label, so that '≥' may be left out."""
    return partial(read, bound="[≥>]?")


def at_most(read: Callable[..., Value]) -> Callable[[str], Value]:
    """A reader of a quantity that is the most by its label, so that '≤' may be left out."""
    return partial(read, bound="[≤<]?")


def data_type(text: str) -> DataType:
    """`struct`, or with its fields listed: `struct(orders_7d, spend_7d)`."""
    found = whole(rf"({_TYPES})(?:\s*[(<](.*)[)>])?", text, "a type such as struct, int or float")
    fields = identifiers(found[2]) if found[2] is not None else ()
    return DataType(name=found[1].lower(), fields=fields)


def personal_data(text: str) -> PersonalData:
    """`no`, `yes`, or yes with the columns: `yes (customer_id)`."""
    expected = "no, or yes with the columns in parentheses"
    found = whole(r"no|none|yes(?:\s*\((.+)\)|\s*[:,]\s*(.+))?", text, expected)
    listed = found[1] or found[2]
    present = found[0].lower().startswith("yes")
    columns = identifiers(listed) if listed else ()
    if said := {"hashed", "masked", "indirect", "gdpr"} & {name.lower() for name in columns}:
        raise Unreadable(f"expected {expected} (cannot place {quote(said.pop())})")
    return PersonalData(present=present, columns=columns)


def distinct(values: Sequence[str]) -> tuple[str, ...]:
    """The values, each of which may stand once."""
    for value, times in Counter(values).items():
        if times > 1:
            raise Unreadable(f"{quote(value)} is listed twice: keep one")
    return tuple(values)
