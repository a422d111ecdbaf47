"""What is wrong in a declaration, each fault with the line where it stands."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path

from storage.errors import RefusedError

Place = tuple[str, ...]
"""The keys that lead to a value of a TOML file, from its top."""

_KEY = r"""[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*'"""
_DOTTED = rf"(?:{_KEY})(?:\s*\.\s*(?:{_KEY}))*"
_HEADER = re.compile(rf"\s*\[\[?\s*({_DOTTED})\s*\]")
_ASSIGNED = re.compile(rf"\s*({_DOTTED})\s*=")


class InvalidDeclarationError(RefusedError):
    """A declaration that cannot be meant; the message has a line for each of its faults."""


@dataclass
class Faults:
    """The faults of one file, as they are met."""

    file: Path
    text: str
    met: list[tuple[int, str]] = field(default_factory=list)

    def at(self, place: Place, words: str) -> None:
        """Note what is wrong at a place."""
        self.met.append((line_of(self.text, place), f"{'.'.join(place)}: {words}"))

    def unknown(self, place: Place, told: Iterable[str], known: Iterable[str]) -> bool:
        """Note each key told at a place that means nothing there; whether there are some."""
        known, before = list(known), len(self.met)
        for key in told:
            if key not in known:
                hint = meant(key, known) or f"; known are {', '.join(known)}"
                self.at((*place, key), f"means nothing here{hint}")
        return len(self.met) > before

    def refuse_any(self) -> None:
        """Raises InvalidDeclarationError: there are some."""
        if self.met:
            raise InvalidDeclarationError(
                "\n".join(f"{self.file}:{line}: {words}" for line, words in sorted(set(self.met)))
            )


def line_of(text: str, place: Place) -> int:
    """The line where the value at the place is assigned, or else what it is part of; the first."""
    lines: dict[Place, int] = {(): 1}
    table: Place = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _keys(header[1])
            lines.setdefault(table, number)
        elif assigned := _ASSIGNED.match(line):
            whole = (*table, *_keys(assigned[1]))
            for end in range(len(table) + 1, len(whole) + 1):
                lines.setdefault(whole[:end], number)
    return next(lines[place[:end]] for end in range(len(place), -1, -1) if place[:end] in lines)


def _keys(dotted: str) -> Place:
    return tuple(key.strip("\"'") for key in re.findall(_KEY, dotted))


def one_of(words: Iterable[str]) -> str:
    """The words as a choice: `a, b or c`."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last


def meant(word: object, words: Iterable[str]) -> str:
    """A question after the one that was nearly written, to be put after a fault; or nothing."""
    near = get_close_matches(str(word), list(words), n=1)
    return f"; did you mean {near[0]}?" if near else ""
