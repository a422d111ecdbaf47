"""Readers of the values that a feature may take (§5.2): a range of numbers, or a set of texts."""

import re
from decimal import Decimal

from contract_checks.language.sentence import (
    FLAGS,
    IDENTIFIER,
    NUMBER,
    Unreadable,
    decimal_in,
    quote,
    tidy,
)
from contract_checks.language.terms import AllowedValues, Range
from contract_checks.language.values import distinct

_THOUSANDS = {"k": 10**3, "thousand": 10**3, "M": 10**6, "million": 10**6, "billion": 10**9}
_TIMES = r"(?: ?(?:k|K|M|thousand|million|billion)\b)?"
_LEAST, _MOST = rf"(?P<least>{NUMBER}{_TIMES})", rf"(?P<most>{NUMBER}{_TIMES}|∞|inf(?:inity)?)"
_WITHIN = (
    rf"{_LEAST} ?(?:–|—|-|\bto\b) ?{_MOST}",
    rf"between {_LEAST} and {_MOST}",
    rf"(?P<opens>[\[(]){_LEAST} ?[,;] ?{_MOST}(?P<closes>[\])])",
    rf"(?P<above>[≥>]) ?{_LEAST} ?(?:,|and|, and) ?(?P<below>[≤<]) ?{_MOST}",
    rf"{_LEAST} ?(?P<up>[≤<]) ?{IDENTIFIER} ?(?P<below>[≤<]) ?{_MOST}",
)
_FROM = (rf"(?P<above>[≥>]) ?{_LEAST}", rf"{_LEAST} (?:and|or) (?:above|up|more)")
_UP_TO = (rf"(?P<below>[≤<]) ?{_MOST}",)
_CURRENCY = "[€$£¥]"
_UNIT = r"(?!(?:and|or|to)\b|(?:k|K|M|thousand|million|billion)$)[A-Za-z°µ][\w°/²³]*"
_KNOWN = (
    r"[A-Z]{3}|ms|s|sec(?:onds?)?|min(?:utes?)?|h|hours?|d|days?|weeks?|months?|years?"
    r"|mm|cm|km|m²|m³|km/h|m/s|mg|g|kg|t|l|ml|°C|°F|K|Pa|hPa|kPa|bar|mmHg|bpm|V|A|W|kW|MW|kWh|MWh"
    r"|Hz|kHz|MHz|GHz|bytes?|kB|MB|GB|TB|points?|pieces|items|events|orders|sessions|clicks|cents"
)
"""Any other word beside a number may say something else of it: `typically`, `daily`, `null`."""
_OPEN = r"etc\.?|null|nan|any|anything|[A-Za-z0-9]-[A-Za-z0-9]"
_ONE_VALUE = r"[A-Za-z][\w-]*|'[A-Za-z][\w -]*'|\"[A-Za-z][\w -]*\""


def allowed(text: str) -> Range | AllowedValues:
    """A range such as `0–10,000`, `≥ 0`, `0 < x ≤ 1` or `0–24 hours`, or a set: `free, pro`."""
    line = re.sub(r" ?\(inclusive\)$| inclusive$", "", tidy(text), flags=FLAGS)
    bare, excluding = re.subn(r" ?\(exclusive\)$| exclusive$", "", line, flags=FLAGS)
    bare = re.sub(r"(?<=[0-9])\.\.(?=[-+0-9])", "–", bare)
    if "%" in bare and re.search("[0-9]", bare):
        raise Unreadable(
            f"a share of one or of a hundred? write 0–1 or 0–100, as it is stored; got "
            f"{quote(text)}"
        )
    numbers, unit = _without_unit(bare, text)
    if within := _first_match(_WITHIN, numbers):
        signs = within.groupdict()
        return Range(
            minimum=_number(within["least"], within["most"], text),
            maximum=_number(within["most"]),
            minimum_excluded=bool(excluding)
            or signs.get("opens") == "("
            or signs.get("above") == ">"
            or signs.get("up") == "<",
            maximum_excluded=bool(excluding)
            or signs.get("closes") == ")"
            or signs.get("below") == "<",
            unit=unit,
        )
    if numbers.lower() == "positive":
        return Range(minimum=0, maximum=None, minimum_excluded=True)
    if least := _first_match(_FROM, numbers):
        above = least.groupdict().get("above") == ">"
        minimum = _number(least["least"])
        return Range(minimum=minimum, maximum=None, minimum_excluded=above, unit=unit)
    if most := _first_match(_UP_TO, numbers):
        below = most["below"] == "<"
        maximum = _number(most["most"])
        return Range(minimum=None, maximum=maximum, maximum_excluded=below, unit=unit)
    return _set(line, text)


def _first_match(patterns: tuple[str, ...], line: str) -> re.Match[str] | None:
    found = (re.fullmatch(pattern, line, FLAGS) for pattern in patterns)
    return next(filter(None, found), None)


def _without_unit(line: str, text: str) -> tuple[str, str | None]:
    """The numbers alone, and the unit that stands beside the last of them, or beside each."""
    if symbols := set(re.findall(_CURRENCY, line)):
        if len(symbols) > 1:
            raise Unreadable(f"expected one currency; got {quote(text)}")
        return re.sub(rf" ?{_CURRENCY} ?", "", line), symbols.pop()
    found = re.fullmatch(rf"(.*[0-9] ?[kKM]) ({_UNIT})|(.*[0-9]) ?({_UNIT})", line)
    if not found:
        return line, None
    numbers, unit = found[1] or found[3], found[2] or found[4]
    if unit == "m":
        raise Unreadable(f"'m' may be metres, minutes or millions: write which; got {quote(text)}")
    if not re.fullmatch(_KNOWN, unit):
        raise Unreadable(
            f"no unit of numbers is called {quote(unit)}: leave it out, and say it in §5.2 units; "
            f"got {quote(text)}"
        )
    return re.sub(rf"(?<=[0-9kKM]) ?{re.escape(unit)}\b", "", numbers), unit


def _number(written: str, beside: str = "", text: str = "") -> float | None:
    """The value; a factor that stands `beside` it alone may be meant for both, and is refused."""
    if written.lower() in ("∞", "inf", "infinity"):
        return None
    figures, factor = _factor(written)
    if beside and factor == 1 and figures and _factor(beside)[1] != 1:
        name = re.sub(r"^[^A-Za-z]*", "", beside)
        why = f"does {quote(name)} count for both bounds? write it out"
        raise Unreadable(f"{why}; got {quote(text)}")
    return float(figures * factor)


def _factor(written: str) -> tuple[Decimal, int]:
    found = re.fullmatch(rf"({NUMBER}) ?([A-Za-z]*)", written)
    if not found:
        return Decimal(1), 1
    name = found[2] if found[2] == "M" else found[2].lower()
    return decimal_in(found[1]), _THOUSANDS.get(name, 1)


def _set(line: str, text: str) -> AllowedValues:
    listed = re.sub(r"^(?:one|any) of:?\s+", "", line.strip("{}"), flags=FLAGS)
    if re.fullmatch(r"true ?/ ?false|true or false", listed, FLAGS):
        return AllowedValues(values=("true", "false"))
    values = [value.strip() for value in re.split(r",\s*(?:or|and)\s|,|\|", listed)]
    listed_whole = all(re.fullmatch(_ONE_VALUE, value) for value in values)
    if len(values) < 2 or not listed_whole or any(re.fullmatch(_OPEN, v, FLAGS) for v in values):
        raise Unreadable(
            "expected a range of plain numbers such as 0–10,000, ≥ 0 or 0–24 hours, or a set such"
            f" as free, pro; got {quote(text)}"
        )
    return AllowedValues(values=distinct([value.strip("'\"") for value in values]))
