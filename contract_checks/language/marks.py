"""The marks by which a line is told to be a label with its value: bold, a colon, a table's bars."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BOLD = r"(?P<mark>\*\*|__)"
_BOLD_LABEL = re.compile(
    rf"{_BOLD}(?P<label>[^*]+?)\s*:?(?P=mark)\s*(?:[:–—](?=\s|$))?\s*(?P<value>.*)"
)
_PLAIN_LABEL = re.compile(r"(?P<label>[^:]+?)\s*:\s*(?P<value>.*)")
_LABEL_OF_A_LINE = re.compile(r"(?P<label>[A-Za-z§][^:|]{0,59}?)\s*:(?=\s|$)\s*(?P<value>.*)")
_ALONE = re.compile(rf"{_BOLD}(?P<text>[^*]+?)(?P=mark)")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)
_ITEM = re.compile(r"^(?:[-*+•]|[0-9]+[.)])\s+")


class Labelled(NamedTuple):
    """A label and what stands after it."""

    label: str
    value: str


class Row(NamedTuple):
    """The cells of a table's row, and its 1-based line."""

    cells: tuple[str, ...]
    line: int


def labelled(text: str) -> Labelled:
    """A list item's label and value; all of it is the label where no mark ends one."""
    found = _BOLD_LABEL.fullmatch(text) or _PLAIN_LABEL.fullmatch(text)
    if found is None:
        return Labelled(text.strip(), "")
    return Labelled(plain(found["label"]), found["value"].strip())


def label_of_line(line: str) -> Labelled | None:
    """The label and value of a line outside lists, where bold or a colon after few words ends one.

    A colon within an address ends none.
    """
    found = _BOLD_LABEL.fullmatch(line) or _LABEL_OF_A_LINE.fullmatch(line)
    if found is None or len(found["label"].split()) > 7:
        return None
    return Labelled(plain(found["label"]), found["value"].strip())


def bold_line(text: str) -> str:
    """The words of a line that is bold from end to end, a heading in all but name; else nothing."""
    found = _ALONE.fullmatch(text)
    return "" if found is None or found["text"].rstrip().endswith(":") else found["text"].strip()


def plain(text: str) -> str:
    """A label or heading without emphasis around it or a colon behind it."""
    return text.strip().strip("*_`").strip().removesuffix(":").strip()


def unbroken(line: str) -> str:
    """A line without the mark of a hard line break at its end."""
    return re.sub(r"(?:\\|<br\s*/?>)$", "", line.strip(), flags=re.IGNORECASE).strip()


def parts(cell: str) -> Iterator[str]:
    """The items of a table's cell, which `<br>` separates."""
    items = (_ITEM.sub("", part.strip()) for part in _BREAK.split(cell))
    return (item for item in items if item)


def row(line: str, number: int) -> Row:
    """The cells of a table's line, all of them: renderers drop those beyond the header's."""
    inner = re.sub(r"^\|", "", re.sub(r"(?<!\\)\|$", "", line.strip()))
    cells = (cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", inner))
    return Row(tuple(cells), number)
