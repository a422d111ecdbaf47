"""Readers of the values that a feature may take (§5.2): a range of numbers, or a set of texts."""

import re
from decimal import Decimal

from contract_checks.language.numbers import NUMBER
from contract_checks.language.sentence import FLAGS, IDENTIFIER, Unreadable, decimal_in, quote, tidy
from contract_checks.language.terms import AllowedValues, Range
from contract_checks.language.units import is_unit
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
_ONE_WAY = (
    (r"\b(?:above|over|(?:more|greater|higher) than) (?=[-+€$£¥]?[0-9])", "> "),
    (r"(?<![\w.,])([1-9][0-9]{0,2}) ([0-9]{3})(?: ([0-9]{3}))?(?! ?[0-9]|[\w.,])", r"\1\2\3"),
    (r"^\[([^,\s]+),([^,\s]+)([\])])", r"[\1, \2\3"),  # two numbers, or it were no range
    (r"^\(([^,\s]+),([^,\s]+)\]", r"(\1, \2]"),
    (r"^from (?=[-+0-9€$£¥].* (?:to|through) )", ""),
    (r"(?<=[\w%]) through (?=[-+0-9€$£¥])", " to "),
    (r"^([≥>] ?\S+), (?:and )?no upper (?:limit|bound)$", r"\1"),
    (r"(?<=[0-9]) ?(?:\.{2,3}|…) ?(?=[-+]?[0-9])", "–"),
)
"""Ways to write the same range, each with the one that is read."""
_SHARE = r"[0-9] ?(?:%|per ?cent(?:age)?\b|pct\b)"
_CURRENCY = "[€$£¥]"
_UNIT = r"(?!(?:and|or|to)\b)[A-Za-z°µ][\w°/²³]*"
_OPEN = r"etc\.?|null|nan|any|anything|[A-Za-z0-9]-[A-Za-z0-9]"
_ONE_VALUE = r"[A-Za-z][\w-]*|'[A-Za-z][\w -]*'|\"[A-Za-z][\w -]*\""


def allowed(text: str) -> Range | AllowedValues:
    """A range such as `0–10,000`, `≥ 0`, `0 < x ≤ 1` or `0–24 hours`, or a set: `free, pro`."""
    line = tidy(text)
    for written, read in _ONE_WAY:
        line = re.sub(written, read, line, flags=FLAGS)
    bare, ends = _without_ends(line)
    if re.search(_SHARE, bare, FLAGS):
        raise Unreadable(
            f"a share of one or of a hundred? write 0–1 or 0–100, as it is stored; got "
            f"{quote(text)}"
        )
    numbers, unit = _without_unit(bare, text)
    if bounds := _first_match((*_WITHIN, *_FROM, *_UP_TO), numbers):
        return _range(bounds.groupdict(), ends, unit, text)
    if numbers.lower() == "positive" and not ends:
        return Range(minimum=0, maximum=None, minimum_excluded=True)
    return _set(line, text)


def _without_ends(line: str) -> tuple[str, str]:
    """The line without the word whether its ends are in it, and that word, or nothing."""
    found = re.fullmatch(r"(.+?) ?(?:\((in|ex)clusive\)|\b(in|ex)clusive)", line, FLAGS)
    return (found[1], f"{found[2] or found[3]}clusive".lower()) if found else (line, "")


def _range(bounds: dict[str, str | None], ends: str, unit: str | None, text: str) -> Range:
    """The range of such bounds; Unreadable where a sign and the word about the ends differ."""
    signs = {name: bounds.get(name) or "" for name in ("opens", "above", "up", "below", "closes")}
    said = "".join(signs.values())
    if (ends == "exclusive" and said) or (ends == "inclusive" and set(said) & set("<>()")):
        raise Unreadable(f"{quote(ends)} beside a sign: write < or ≤ alone; got {quote(text)}")
    least, most = bounds.get("least"), bounds.get("most")
    minimum = _number(least, most or "", text) if least else None
    maximum = _number(most) if most else None
    without = ends == "exclusive"
    return Range(
        minimum=minimum,
        maximum=maximum,
        minimum_excluded=minimum is not None
        and (without or signs["opens"] == "(" or ">" in said or signs["up"] == "<"),
        maximum_excluded=maximum is not None
        and (without or signs["closes"] == ")" or signs["below"] == "<"),
        unit=unit,
    )


def _first_match(patterns: tuple[str, ...], line: str) -> re.Match[str] | None:
    found = (re.fullmatch(pattern, line, FLAGS) for pattern in patterns)
    return next(filter(None, found), None)


def _without_unit(line: str, text: str) -> tuple[str, str | None]:
    """The numbers alone, and the unit that stands beside the last of them, or beside each."""
    if symbols := set(re.findall(_CURRENCY, line)):
        if len(symbols) > 1:
            raise Unreadable(f"expected one currency; got {quote(text)}")
        signed = re.sub(rf"([-+]) ?{_CURRENCY} ?(?=[0-9])", r"\1", line)
        return " ".join(re.sub(_CURRENCY, " ", signed).split()), symbols.pop()
    found = re.fullmatch(rf"(.*[0-9] ?[kKM]) ({_UNIT})|(.*[0-9]) ?({_UNIT})", line)
    if not found:
        return line, None
    numbers, unit = found[1] or found[3], found[2] or found[4]
    if unit == "m":
        raise Unreadable(f"'m' may be metres, minutes or millions: write which; got {quote(text)}")
    if unit == "K" and " K" in line:
        raise Unreadable(f"'K' may be kelvin or thousands: write which; got {quote(text)}")
    if re.fullmatch("(?i:k|thousand|million|billion)|M", unit):
        return line, None
    if not is_unit(unit):
        raise Unreadable(
            f"no unit of numbers is called {quote(unit)}: write it out, or in §5.2 units; "
            f"got {quote(text)}"
        )
    return re.sub(rf"(?<=[0-9kKM]) ?{re.escape(unit)}(?!\w)", "", numbers), unit


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
    between = r"\s/\s" if re.search(r"\s/\s", listed) else r",\s*(?:or|and)\s|,|\||\s(?:or|and)\s"
    values = [value.strip() for value in re.split(between, listed)]
    listed_whole = all(re.fullmatch(_ONE_VALUE, value) for value in values)
    if len(values) < 2 or not listed_whole or any(re.fullmatch(_OPEN, v, FLAGS) for v in values):
        raise Unreadable(
            "expected a range of plain numbers such as 0–10,000, ≥ 0 or 0–24 hours, or a set such"
            f" as free, pro; got {quote(text)}"
        )
    return AllowedValues(values=distinct([value.strip("'\"") for value in values]))
