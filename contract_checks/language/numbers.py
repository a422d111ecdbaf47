"""Units of a length of time, and numbers that half of the world reads otherwise.

10.000 is ten here, and ten thousand there.
"""

import re
from datetime import timedelta
from decimal import Decimal

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
_COUNTED = rf"\b({'|'.join(COUNTS)})(?=[ -](?:{UNIT})\b)"
_ONE = rf"(?:^|(?<=[≤≥<>] )|(?<=\b(?:last|past|than|most) )|(?<=\bof ))an?(?= (?:{UNIT})\b)"
_ISO = r"(?<!\w)P(?:([0-9]{1,5})([YMWD])|T([0-9]{1,5})([HMS]))(?!\w)"
_ISO_UNITS = {"Y": "years", "M": "months", "W": "weeks", "D": "days"}
_ISO_TIMES = {"H": "hours", "M": "minutes", "S": "seconds"}


def in_figures(text: str) -> str:
    """A text in which lengths of time have figures: 'two weeks', 'a day', 'P30D', 'half an hour'.

    ISO 8601 durations of one unit alone; others stay as they are, and are read by nobody.
    """
    text = re.sub(
        _ISO,
        lambda m: f"{m[1]} {_ISO_UNITS[m[2]]}" if m[1] else f"{m[3]} {_ISO_TIMES[m[4]]}",
        text,
    )
    text = re.sub(r"\bhalf[ -](?:an )?hour\b", "30 minutes", text, flags=re.IGNORECASE)
    text = re.sub(r"(?<=[0-9]) calendar days\b", " days", text, flags=re.IGNORECASE)
    text = re.sub(_COUNTED, lambda m: str(COUNTS[m[1].lower()]), text, flags=re.IGNORECASE)
    return re.sub(_ONE, "1", text, flags=re.IGNORECASE)


_ONE_DOT_AND_THREE_DIGITS = re.compile(r"[-+]?0*[1-9][0-9]{0,2}\.[0-9]{3}")


def ambiguity(number: str) -> str:
    """Both readings of a number whose dot may separate thousands; empty where it cannot.

    It cannot where the whole part is 0 or has more than three digits, where a comma stands before
    it, and where other than three digits follow.
    """
    if not _ONE_DOT_AND_THREE_DIGITS.fullmatch(number):
        return ""
    sign, value = number[: number[0] in "-+"], abs(Decimal(number))
    with_decimals = f"{value.normalize():f}"
    if value.as_tuple().digits[-1]:  # three decimals are ambiguous however they are written
        with_decimals = f"{value}0"
    readings = f"{sign}{with_decimals} or {sign}{int(value * 1000):,}"
    return f"{number} may be read as two numbers: write {readings}, whichever is meant"
