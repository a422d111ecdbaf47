"""What one feature promises of its own (§5.2): the columns of its row, or the list below it."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from contract_checks.language import items, limits, values
from contract_checks.language.contract import Definition
from contract_checks.language.feature_terms import Default, FeatureTerms
from contract_checks.language.numbers import NUMBER
from contract_checks.language.outline import Bullet
from contract_checks.language.sentence import FLAGS, Unreadable, number_in, quote, tidy
from contract_checks.language.terms import AllowedValues, Column, DriftThreshold, Range

RANGES = "§5.2 allowed range"
"""The clause whose items the features are."""
LEFT = {
    "§5.2 data type": "data_type",
    "§5.2 units": "unit",
    "§5.2 nullable": "nullable",
    "§5.2 default value": "default",
}
"""The clauses that may leave their value to the features' own, and the column that has it."""
ALSO_LANDS = {"definition.features": RANGES}
"""Where the terms land that an item of the clause has besides its range."""
_NAMES = {
    "feature": "feature | feature name | field | field name | name | column",
    "data_type": "type | data type | dtype",
    "unit": "unit | units",
    "nullable": "nullable | null | nulls | null allowed | nulls allowed | nullability",
    "default": "default | default value",
    "range": (
        "range | ranges | allowed range | allowed values | values | range / values"
        " | allowed range / values | allowed | valid range | valid values"
    ),
    "least": "min | minimum | minimum value",
    "most": "max | maximum | maximum value",
    "maximum_null_rate": "null rate | max null rate | maximum null rate",
    "window": "window | lookback | look-back | lookback window",
    "warn": "psi warn | warn | warn psi | psi warning | warn at | drift warn",
    "fail": "psi fail | fail | fail psi | fail at | block | psi block | drift fail",
}
_COLUMN = {
    spelling.strip(): column
    for column, spellings in _NAMES.items()
    for spelling in spellings.split("|")
}
_ABSENT = ("-", "–", "—", "n/a")
_EACH = "per (?:feature|field)"
_SEE = rf"(?:mixed,? )?(?:{_EACH},? ?)?(?:see|as in|in) (?:the )?table(?: below)?|{_EACH}"


def column_of(label: str) -> str | None:
    """The column that a header or a label names, such as `maximum_null_rate`."""
    words = re.sub(r"\s*/\s*", " / ", label.strip().rstrip("?").lower())
    return _COLUMN.get(" ".join(words.split()))


def is_left_to_features(text: str) -> bool:
    """Whether a clause of all features says that each has its own: `see table`."""
    return bool(re.fullmatch(_SEE, tidy(text), FLAGS))


def missing_of_features(clause: str, definition: Definition) -> str:
    """What is missing where that clause leaves its value to the features; empty where none is."""
    column, features = LEFT[clause], definition.features
    named = dict.fromkeys((*getattr(definition, "allowed", ()), *features))
    without = [f for f in named if getattr(features.get(f), column, None) is None]
    if len(without) < len(named) and (not without or column == "unit"):  # some numbers have none
        return ""
    return f"no {column.replace('_', ' ')} of {', '.join(without) or 'any feature'}"


def has_columns(item: Bullet) -> bool:
    """Whether what stands below a feature are columns, each with a value."""
    return bool(item.items) and all(column_of(c.label) and c.text for c in item.items)


def feature_of(item: Bullet) -> tuple[Column, Range | AllowedValues | None, FeatureTerms]:
    """A feature, the values it may take if it says so, and its own terms.

    Raises Unreadable where one of its columns does not say what is asked of it.
    """
    if not has_columns(item):
        return *items.feature(item.label, item.text), FeatureTerms()
    cells = _cells(item.items)
    allowed = _range_of(item.value, cells)
    terms = {column: _read(column, cell) for column, cell in cells.items() if column in _READERS}
    own = FeatureTerms(**terms)
    if not allowed:
        return values.identifier(item.label), None, own
    name, read = items.feature(item.label, allowed)
    if isinstance(read, Range) and own.unit and read.unit not in (None, own.unit):
        raise Unreadable(f"in {read.unit} by its range, but in {own.unit} by its unit")
    return name, read, own


def _cells(columns: Sequence[Bullet]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for cell in columns:
        column = column_of(cell.label) or ""
        if column in cells:
            raise Unreadable(f"{quote(cell.label)} is told twice: keep one")
        cells[column] = cell.text
    absent = [c for c in cells if c not in ("default", "nullable") and cells[c].lower() in _ABSENT]
    absent += ["unit"] if cells.get("unit", "").lower() == "none" else []
    return {column: cell for column, cell in cells.items() if column not in absent}


def _range_of(value: str, cells: dict[str, str]) -> str:
    """The range, from the one place where it stands."""
    bounds = [("≥", cells.get("least")), ("≤", cells.get("most"))]
    bounded = ", ".join(f"{sign} {bound}" for sign, bound in bounds if bound)
    told = [text for text in (value, cells.get("range", ""), bounded) if text]
    if len(told) > 1:
        raise Unreadable(f"{quote(told[0])} and {quote(told[1])} both tell its range: keep one")
    return told[0] if told else ""


def _read(column: str, cell: str) -> Any:
    try:
        return _READERS[column](cell)
    except Unreadable as reason:
        raise Unreadable(f"{column.replace('_', ' ')}: {reason}") from None


def _type(text: str) -> str:
    """The type of one column, as SQL and Python have them."""
    expected = "a type such as int, int32, float, double, decimal(12,2), string or bool"
    kinds = "|".join((*_TYPES, r"decimal(?:\([0-9]{1,2}(?:, ?[0-9]{1,2})?\))?"))
    written = values.whole(kinds, text, expected)[0].lower().replace(" ", "")
    return _TYPES.get(written, written)


_TYPES = {
    **dict.fromkeys(("int", "integer"), "int"),
    **dict.fromkeys(("int64", "bigint", "long"), "int64"),
    **{kind: kind for kind in ("int32", "int8", "float")},
    **dict.fromkeys(("int16", "smallint"), "int16"),
    **dict.fromkeys(("float64", "double", "double precision"), "float64"),
    **dict.fromkeys(("float32", "real"), "float32"),
    **dict.fromkeys(("string", "str", "text", "varchar", "enum"), "string"),
    **dict.fromkeys(("bool", "boolean"), "bool"),
}


def _unit(text: str) -> str:
    """Whatever a number may be in: `%`, `km/h`, `clicks`."""
    if len(text) > 40 or re.search(r";|\b(?:see|tbd|as)\b", text, FLAGS):
        raise Unreadable(f"expected a unit such as km/h; got {quote(text)}")
    return text


def _default(text: str) -> Default:
    line = tidy(text)
    if line.lower() in ("null", "none"):
        return Default(value=None)
    if re.fullmatch(NUMBER, line):
        return Default(value=number_in(line))
    word = re.fullmatch(r"([A-Za-z][\w-]*)|'([^']+)'|\"([^\"]+)\"", line)
    if not word:
        raise Unreadable(f"expected a number, a word or null; got {quote(text)}")
    return Default(value=word[1] or word[2] or word[3])


def _null_rate(text: str) -> float:
    return values.percent(text, "[≤<]?", frozenset(("null", "rate", "nulls")))


def _threshold(text: str) -> DriftThreshold:
    bare = re.fullmatch(rf"[≥>]? ?({NUMBER})", tidy(text))
    return limits.drift_threshold(f"PSI ≥ {bare[1]}" if bare else text)


_READERS: dict[str, Callable[[str], Any]] = {
    "data_type": _type,
    "unit": _unit,
    "nullable": values.nullable_column,
    "default": _default,
    "maximum_null_rate": _null_rate,
    "window": values.duration,
    "warn": _threshold,
    "fail": _threshold,
}
