"""A controlled sentence: every word of it is a term, or one that can change none.

Teams word the same promise differently, so a reader takes out of a sentence the terms it looks
for, wherever they stand. When reading ends, whatever is left over that is no plain word makes the
sentence unreadable rather than half understood.
"""

import re
import unicodedata
from datetime import timedelta
from decimal import Decimal
from functools import lru_cache
from types import TracebackType
from typing import Literal, Self

from contract_checks.language.characters import control, disguised, named
from contract_checks.language.numbers import (
    NUMBER,
    UNFIXED_UNITS,
    UNIT,
    UNITS,
    ambiguity,
    comma_of_decimals,
    in_days,
    in_figures,
)
from contract_checks.language.plain_words import unread
from contract_checks.language.revisions import revision
from contract_checks.language.symbols import SYMBOLS

FLAGS = re.ASCII | re.IGNORECASE
IDENTIFIER = r"[A-Za-z_]\w*"

_SYMBOLS = [(re.compile(spelling, FLAGS), symbol) for spelling, symbol in SYMBOLS]
_UNIT = rf"(?:%|per\s?cent\b|(?:st|nd|rd|th)?\s*percentile\b|(?:{UNIT})\b)"
_AFTER = "and|or|on|for|in|per|over|across|of|at|is|are"  # words that are no unit of a number
_QUANTITY = (
    rf"(?P<sign>[≥≤<>=]?)\s*(?P<number>{NUMBER})"
    rf"(?:\s*-?\s*(?P<unit>{_UNIT}|(?!(?:{_AFTER})\b)[a-z]+\b))?(?!\w)"
)

Kind = Literal["number", "percentage", "percentile", "duration"]
_EXAMPLES: dict[Kind, str] = {
    "number": "a plain number",
    "percentage": "a percentage such as 98%",
    "percentile": "a percentile such as '99.9th percentile'",
    "duration": "a duration such as 30d or 2 hours",
}

UNDER = "[≤<]"  # for a limit, 'below 1%' promises what '≤ 1%' does
_LONGEST = 1000
_ROUGH = r"[~≈±]|(?<![\w.])[0-9][\w.%]*\+|(?<![\w.])\+[0-9]"  # about so much, or more of it
_COLUMN = r"(?u:\b[^\W\d_]\w*_\w+\b)"
_NEGATION = (
    r"\b(?:no|not|never|neither|nor|hardly|rarely|seldom|except|excluding|unless|without|cannot)\b"
    r"|n't\b|\bnon-|\bunsupported\b|\bexceed"
)
_MIXED = r"[a-z][\u0370-\u052f]|[\u0370-\u052f][a-z]"  # Latin with Greek or Cyrillic in one word
_WORKING = r"\b(?:business|working|office|opening|week)[ -]?(?:hours?|days?)\b|\bweekends?\b"
_NOT_FREE = (
    rf"{_NEGATION}|{_WORKING}|{NUMBER}|(?<!\w)[0-9][\w.,]*|\bv[0-9]+\b|[≥≤<>=%]|{_COLUMN}|{_MIXED}"
)


class Unreadable(ValueError):  # noqa: N818  (named for what the text is, as reports say it)
    """A value the form cannot read; the message says what was expected and what was found."""


def quote(text: str) -> str:
    """The text as a message shows it: in quotes, on one line, cut where it runs on."""
    line = " ".join(text.split())
    if len(line) > 80:
        line = f"{line[:77]}..."
    return f"'{line}'" if line else "nothing"


def shown(text: str) -> str:
    """The text, where all see it as it is written; Unreadable where marks reorder or revise it."""
    if found := control(text):
        raise Unreadable(f"{named(found)} makes it read otherwise than it looks: remove it")
    if why := revision(text):
        raise Unreadable(why)
    return text


def spell(length: timedelta) -> str:
    """A duration as a document writes it, in the largest unit that divides it: 30d, 36h, 15min."""
    for unit in ("d", "h", "min", "s"):
        if not length % UNITS[unit]:
            return f"{length // UNITS[unit]}{unit}"
    return f"{length / UNITS['ms']:.15g}ms"


@lru_cache(maxsize=256)  # each way of reading a text begins with it
def tidy(text: str) -> str:
    """One spelling of what can be typed in several ways: spaces, comparisons, minus, code ticks."""
    line = in_figures(" ".join(text.replace("`", "").split()).rstrip("."))
    for spelling, symbol in _SYMBOLS:
        line = spelling.sub(symbol, line)
    return line


def number_in(text: str) -> float:
    """The value of a text that matches `NUMBER`; commas separate thousands."""
    return float(decimal_in(text))


def decimal_in(text: str) -> Decimal:
    """The exact value of such a text; Unreadable where it has another value elsewhere."""
    if why := ambiguity(text):
        raise Unreadable(why)
    return Decimal(text.replace(",", ""))


class Sentence:
    """A sentence being read. Use it in a `with`: leaving the block checks that all was understood.

    Every method raises Unreadable when the sentence does not say what is asked of it.
    """

    def __init__(self, text: str, expected: str, names: frozenset[str] = frozenset()) -> None:
        """The text of a clause; the `names` of what it speaks of may be left over."""
        self._text, self._expected, self._names = text, expected, names
        self._rest = tidy(unicodedata.normalize("NFC", text))
        if found := re.search(_ROUGH, self._rest):
            raise self.unreadable(f" (cannot place {quote(found[0])})")
        if len(text) > _LONGEST:  # searching a sentence takes time that grows with its square
            raise self.unreadable(f", in no more than {_LONGEST} characters")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if kind is None:
            self.refuse(_NOT_FREE, " and nothing more")
            if found := disguised(self._rest):
                raise self.unreadable(f" and nothing more (cannot place {named(found)})")
            if word := unread(self._rest, self._names):
                raise self.unreadable(f" and nothing more (cannot place {quote(word)})")

    def unreadable(self, remark: str = "") -> Unreadable:
        """The error for this sentence."""
        return Unreadable(f"expected {self._expected}{remark}; got {quote(self._text)}")

    def take(self, pattern: str, start: int | str = 0) -> re.Match[str]:
        """Take the first place that matches out of the sentence, from group `start` on."""
        found = re.search(pattern, self._rest, FLAGS)
        if not found:
            raise self.unreadable()
        before, after = self._rest[: found.start(start)], self._rest[found.end() :]
        if any(edge.isalpha() and not edge.isascii() for edge in before[-1:] + after[:1]):
            raise self.unreadable(f" (cannot place the letters around {quote(found[start])})")
        self._rest = f"{before} … {after}"
        return found

    def only(self, pattern: str) -> re.Match[str]:
        """Take the one place that matches; a second one would contradict it."""
        found = self.take(pattern)
        if second := re.search(pattern, self._rest, FLAGS):
            raise self.unreadable(f" (both {quote(found[0])} and {quote(second[0])})")
        return found

    def has(self, pattern: str) -> bool:
        """Take what matches out of the sentence, and say whether anything did."""
        self._rest, times = re.subn(pattern, "…", self._rest, flags=FLAGS)
        return times > 0

    def refuse(self, pattern: str, remark: str = "") -> None:
        """Refuse a sentence in which the pattern still stands."""
        if found := re.search(pattern, self._rest, FLAGS):
            raise self.unreadable(f"{remark} (cannot place {quote(found[0])})")

    def one_decimal_mark(self) -> None:
        """Refuse 1,001 where a number is small: others mean a little more than one by it."""
        if found := re.search("[0-9]+,[0-9]{3}", self._rest):
            raise self.unreadable(f" (decimals or thousands? write {found[0]} with a dot, or none)")

    def columns(self) -> tuple[str, ...]:
        """Take every column name still in the sentence: the words with an underscore in them."""
        names = re.findall(_COLUMN, self._rest, FLAGS)
        self._rest = re.sub(_COLUMN, "…", self._rest, flags=FLAGS)
        return tuple(dict.fromkeys(names))

    def number(self, bound: str = "", about: str = "") -> float:
        """Take a number without a unit."""
        return number_in(self._quantity("number", bound, about)["number"])

    def percentile(self, bound: str = "", about: str = "") -> float:
        """Take a percentile, between 0 and 100."""
        value = number_in(self._quantity("percentile", bound, about)["number"])
        if not 0 < value < 100:
            raise self.unreadable(", between 0 and 100")
        return value

    def percent(self, bound: str = "", about: str = "") -> float:
        """Take a percentage from 0% to 100%, as a fraction of one."""
        number = self._quantity("percentage", bound, about)["number"]
        share = float(decimal_in(number) / 100)
        if not 0 <= share <= 1:
            raise self.unreadable(", from 0% to 100%")
        return share

    def duration(
        self, bound: str = "", about: str = "", *, least: timedelta = timedelta(microseconds=1)
    ) -> timedelta:
        """Take a duration longer than zero, or of the `least`, in units of fixed length."""
        quantity = self._quantity("duration", bound, about)
        try:
            length = UNITS[quantity["unit"].lower()] * number_in(quantity["number"])
        except OverflowError:
            raise self.unreadable(", and no longer than a calendar") from None
        if length < least:
            raise self.unreadable(", longer than zero")
        return length

    def _quantity(self, kind: Kind, bound: str, about: str) -> re.Match[str]:
        """Take the first number `about` something, its comparison sign one `bound` allows."""
        lead = rf"{about}[^≥≤<>=]*?" if about else ""
        if why := comma_of_decimals(self._rest):
            raise self.unreadable(f" ({why})")
        found = self.take(rf"{lead}(?P<quantity>{_QUANTITY})", start="quantity")
        if _kind(found["unit"]) != kind:
            unit = found["unit"] or ""
            if kind == "duration" and unit.lower() in UNFIXED_UNITS:
                days = f"write days{in_days(found['number'], unit.lower())}"
                raise self.unreadable(f" ({quote(unit)} has no fixed length: {days})")
            got, where = quote(found["quantity"].lstrip("≥≤<>= ")), quote(self._text)
            message = f"wrong unit: expected {_EXAMPLES[kind]}, got {got}"
            raise Unreadable(message + (f" in {where}" if where != got else ""))
        if not re.fullmatch(bound, found["sign"]):
            wanted = re.sub(r"[^≥≤]", "", bound) or "no comparison"
            raise self.unreadable(f" (with {wanted}, found {found['sign'] or 'none'})")
        return found


def _kind(unit: str | None) -> Kind | None:
    """The kind of quantity a unit makes; None for one that is not known or not fixed."""
    if not unit:
        return "number"
    if unit.lower() in UNITS:
        return "duration"
    if "percentile" in unit.lower():
        return "percentile"
    return "percentage" if re.fullmatch(r"%|per\s?cent", unit, FLAGS) else None
