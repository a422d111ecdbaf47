"""Units of a length of time, and numbers that half of the world reads otherwise.

10.000 is ten here, and ten thousand there.
"""

import re
from datetime import timedelta
from decimal import Decimal

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
