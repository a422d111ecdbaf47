"""Units of a length of time, and numbers that half of the world reads otherwise.

10.000 is ten here, and ten thousand there.
"""

import re
from datetime import date, timedelta
from decimal import Decimal
from functools import partial

NUMBER = (
    r"(?<![\w.,])[-+]?(?:[0-9]{1,3}(?:,[0-9]{3}){1,4}|[0-9]{1,15})(?:\.[0-9]{1,9})?"
    r"(?![0-9]|[.,][0-9])"
)
UNITS = {
    unit: length
    for units, length in {
        "ms millisecond milliseconds": timedelta(milliseconds=1),
        "s sec secs second seconds": timedelta(seconds=1),
        "min mins minute minutes": timedelta(minutes=1),
        "h hr hrs hour hours": timedelta(hours=1),
        "d day days": timedelta(days=1),
        "w week weeks": timedelta(weeks=1),
    }.items()
    for unit in units.split()
}
UNFIXED_UNITS = ["m", "month", "months", "quarter", "quarters", "year", "years"]
UNIT = "|".join(sorted([*UNITS, *UNFIXED_UNITS], key=len, reverse=True))
_NAMES = "one two three four five six seven eight nine ten eleven twelve"
COUNTS = {name: number for number, name in enumerate(_NAMES.split(" "), start=1)}
COUNTS |= {"fifteen": 15, "twenty": 20, "thirty": 30, "forty": 40, "sixty": 60, "ninety": 90}
_COUNTED = rf"(?<![\w-])({'|'.join(COUNTS)})(?=[ -](?:{UNIT})\b)"
_ONE = rf"(?:^|(?<=[≤≥<>] )|(?<=\b(?:last|past|than|most) )|(?<=\bof ))an?(?= (?:{UNIT})\b)"
_ISO = (
    r"(?<!\w)P(?=[0-9T])(?:([0-9]{1,5})Y)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})W)?(?:([0-9]{1,5})D)?"
    r"(?:T(?=[0-9])(?:([0-9]{1,5})H)?(?:([0-9]{1,5})M)?(?:([0-9]{1,5})S)?)?(?!\w)"
)
_ISO_UNITS = ("years", "months", "weeks", "days", "hours", "minutes", "seconds")


def _of_two(larger: str, smaller: str) -> re.Pattern[str]:
    between = "(?: and | |(?=[0-9]))"
    return re.compile(
        rf"(?<![\w.,])([0-9]{{1,4}}) ?(?:{larger}){between}([0-9]{{1,2}}) ?(?:{smaller})(?!\w)",
        re.IGNORECASE,
    )


_OF_TWO = (
    (7, "days", _of_two("w|weeks?", "d|days?")),
    (24, "hours", _of_two("d|days?", "h|hrs?|hours?")),
    (60, "minutes", _of_two("h|hrs?|hours?", "m|mins?|minutes?")),
    (60, "seconds", _of_two("mins?|minutes?", "s|secs?|seconds?")),
)


def in_figures(text: str) -> str:
    """A text in which lengths of time have figures: 'two weeks', 'a day', 'P30D', 'half an hour'.

    A length of two units, the second less than one of the first, is one in the second: '1h30m'.
    """
    text = re.sub(_ISO, _iso_parts, text)
    text = re.sub(r"\bhalf[ -](?:an )?hour\b", "30 minutes", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[0-9]) calendar days\b", " days", text, flags=re.IGNORECASE)
    text = re.sub(_COUNTED, lambda m: str(COUNTS[m[1].lower()]), text, flags=re.IGNORECASE)
    text = re.sub(_ONE, "1", text, flags=re.IGNORECASE)
    for times, unit, lengths in _OF_TWO:
        text = lengths.sub(partial(_sum, times=times, unit=unit), text)
    return text


def _iso_parts(written: re.Match[str]) -> str:
    told = (
        f"{count} {unit}" for count, unit in zip(written.groups(), _ISO_UNITS, strict=True) if count
    )
    return " ".join(told)


def _sum(written: re.Match[str], *, times: int, unit: str) -> str:
    larger, smaller = int(written[1]), int(written[2])
    return f"{larger * times + smaller} {unit}" if smaller < times else written[0]


_ONE_DOT_AND_THREE_DIGITS = re.compile(r"[-+]?0*[1-9][0-9]{0,2}\.[0-9]{3}")


def ambiguity(number: str) -> str:
    """Why a number may be read as another; empty where it cannot.

    A dot may separate thousands, but where the whole part is 0 or has more than three digits, where
    a comma stands before it, or where other than three digits follow. A comma after a leading zero
    separates none.
    """
    if re.match("[-+]?0+,", number):
        return f"{number} has a comma before its decimals: write {number.replace(',', '.', 1)}"
    if not _ONE_DOT_AND_THREE_DIGITS.fullmatch(number):
        return ""
    sign, value = number[: number[0] in "-+"], abs(Decimal(number))
    with_decimals = f"{value.normalize():f}"
    if value.as_tuple().digits[-1]:  # three decimals are ambiguous however they are written
        with_decimals = f"{value}0"
    readings = f"{sign}{with_decimals} or {sign}{int(value * 1000):,}"
    return f"{number} may be read as two numbers: write {readings}, whichever is meant"


_MONTHS = {"month": 1, "quarter": 3, "year": 12}


def in_days(number: str, unit: str) -> str:
    """How many days a whole number of months, quarters or years may be; nothing if it is none."""
    months = _MONTHS.get(unit.removesuffix("s"), 0) * (int(number) if number.isdigit() else 0)
    if not 0 < months <= 1200:
        return ""
    ends = (2000 * 12 + start for start in range(48))  # four years have a leap day
    lengths = {(_first_day(start + months) - _first_day(start)).days for start in ends}
    least, most = min(lengths), max(lengths)
    return f", {least} to {most} of them" if least < most else f", {least} of them"


def _first_day(months: int) -> date:
    return date(months // 12, months % 12 + 1, 1)


def comma_of_decimals(text: str) -> str:
    """What to write instead of the first comma that can only stand before decimals, or nothing."""
    found = re.search(r"(?<![\w.,])[0-9]+,[0-9]{1,2}(?![\w.,])", text)
    return f"{found[0]} has a comma: write {found[0].replace(',', '.')}" if found else ""
