"""Other spellings of a clause, each as a whole, and the one that its reader knows.

They stand in spellings.toml. What is known to say the same is said in the reader's words.
"""

import re
import tomllib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from importlib.resources import files

from contract_checks.language.absence import NONE
from contract_checks.language.numbers import NUMBER, UNIT
from contract_checks.language.sentence import FLAGS, IDENTIFIER, Unreadable, tidy

_PARTS = {
    "absent": "|".join(map(re.escape, NONE)),
    "age": "feature age|data age|age|features|values|data|records|rows",
    "keys": rf"\(?{IDENTIFIER}(?:(?: ?[,+] ?| and ){IDENTIFIER})*\)?",
    "length": rf"{NUMBER}[ -]?(?:{UNIT})",
    "most": "(?:[≤<] ?)?",
    "name": IDENTIFIER,
    "number": NUMBER,
    "rank": r"([1-9][0-9]?(?:\.[0-9]{1,6})?)",
    "repeated": (
        "(?:(?:has|have) (?:more than one|several|two) (?:records?|rows?)"
        "|(?:appears?|comes back|shows up|occurs?|exists?) (?:more than once|twice))"
    ),
    "several": (
        "(?:(?:if|where|when|should) (?:there are|a (?:key|pair) has) (?:several|two|more than one)"
        " (?:records?|rows?)(?: (?:for|per) a key)?|should a (?:key|pair) appear more than once)"
    ),
    "share": rf"{NUMBER} ?(?:%|per ?cent)",
    "upper": r"([5-9][0-9](?:\.[0-9]{1,6})?)",
    "whose": "(?: (?:for|in) (?:all|every|each) (?:numeric )?(?:features?|fields?|columns?))?",
}


_TABLES = tomllib.loads(
    files("contract_checks.language").joinpath("spellings.toml").read_text("utf-8")
)


@cache
def _spellings(clause: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The patterns of a clause, and what its reader knows for each."""
    return tuple((_compiled(pattern), said) for pattern, said in _TABLES[clause]["ways"])


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"<(\w+)>", lambda part: _PARTS[part[1]], pattern), FLAGS)


def spelled(clause: str, read: Callable[[str], object]) -> Callable[[str], object]:
    """The reader of a clause, which knows its other spellings, too."""
    if clause not in _TABLES:
        return read

    def read_any(text: str) -> object:
        line = tidy(text)
        for pattern, said in _spellings(clause):
            if found := pattern.fullmatch(line):
                with suppress(Unreadable):  # told of the words that the document has
                    return read(found.expand(said))
        return read(text)

    return read_any
