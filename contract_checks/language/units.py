"""Units that a number of a range may carry (§5.2).

A closed list: another word beside a number may change what it says, `0–10 usually`, `0–5 bn`.
"""

from contract_checks.language.numbers import UNITS as _TIMES


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_WORDS = _words(
    """
    month months year years metre metres meter meters mile miles foot feet gram grams kilogram
    kilograms tonne tonnes pound pounds litre litres liter liters bit bits byte bytes pixel pixels
    degree degrees point points piece pieces item items event events order orders
    session sessions click clicks cent cents euro euros dollar dollars
    """
)
_SYMBOLS = _words(
    """
    mm cm km km² m² m³ mi ft mg kg g lb ml l kB KB MB GB TB KiB MiB GiB TiB W kW MW Wh kWh MWh V kV
    Hz kHz MHz GHz Pa hPa kPa bar °C °F ° dB mmHg bpm rpm mph px ppm s/km mg/dL mmol/L
    AUD BRL CAD CHF CNY CZK DKK EUR GBP HKD HUF ILS INR JPY KRW MXN NOK NZD PLN RON SEK SGD THB TRY
    TWD USD ZAR
    """
)


def is_unit(word: str) -> bool:
    """Whether the word is a unit, or one by another: `hours`, `EUR`, `km/h`."""
    return all(
        part in _SYMBOLS or part.lower() in _WORDS or part in _TIMES or _is_a_long_time(part)
        for part in word.split("/")
    ) or (word in _SYMBOLS)


def _is_a_long_time(part: str) -> bool:
    """Whether it is a unit of time written out, in any case."""
    return len(part) > 3 and part.lower() in _TIMES
