"""What is signed is what is seen: characters that look like one thing and are read as another.

A mark that reorders the text around it can show `30 days` where `03 days` is written (Boucher and
Anderson, "Trojan Source", 2021), and a digit of another script ends a number without seeming to.
"""

import re
import unicodedata
from itertools import pairwise

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LONGEST_MESSAGE = 400


def control(text: str) -> str:
    """The first control character, or mark that reorders the text; empty when there is none."""
    found = _CONTROL.search(text)
    return found[0] if found else ""


def disguised(text: str) -> str:
    """The first character that changes how a term looks, but not how patterns of ASCII read it.

    Invisible ones, digits and signs outside ASCII, and accents on an ASCII character that has
    none (`text` is in normal form C); empty when there is none.
    """
    for before, character in pairwise(f" {text}"):
        kind = unicodedata.category(character)
        is_term = kind[0] in "CN" or kind == "Sm" or character in "％‰"
        if not character.isascii() and (is_term or (kind[0] == "M" and before.isascii())):
            return character
    return ""


def named(character: str) -> str:
    """A character by its name, such as `U+202E RIGHT-TO-LEFT OVERRIDE`."""
    return f"U+{ord(character):04X} {unicodedata.name(character, '')}".strip()


def printable(message: str) -> str:
    """The message with invisible characters escaped, its middle left out where it runs on."""
    if not message.isprintable():
        message = "".join(c if c.isprintable() else _escaped(c) for c in message)
    if len(message) <= _LONGEST_MESSAGE:
        return message
    half = _LONGEST_MESSAGE // 2
    return f"{message[:half]} … {message[-half:]}"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
