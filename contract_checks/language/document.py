"""The Markdown of a feature contract as sections and bullets, each with its line.

Only the shape is read here: `## N. Title` and `### N.M Title` open a section, `- **Label:** value`
is a bullet, and bullets may hold bullets. Whatever else stands in a bullet, such as a quotation or
a block of code, is part of its value. What the labels mean is the form's business.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from contract_checks.language.sentence import Unreadable

_NUMBERED = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]+)*)\.?\s+(?P<title>.+)")
_BOLD_LABEL = re.compile(r"\*\*(?P<label>[^*]+?)\s*:?\*\*\s*:?\s*(?P<value>.*)")
_PLAIN_LABEL = re.compile(r"(?P<label>[^:]+?)\s*:\s*(?P<value>.*)")
_LONGEST = 200_000  # bytes; forty times a usual contract, and a few seconds of reading at worst
# Values are read as they are typed, and a link definition is not to vanish from one.
_MARKDOWN = MarkdownIt("commonmark").disable(["inline", "reference"])


@dataclass(frozen=True)
class Bullet:
    """One list item: its label, the text after the colon, its 1-based line, its nested items."""

    label: str
    value: str
    line: int
    items: tuple["Bullet", ...] = ()

    @property
    def text(self) -> str:
        """What stands after the label, nested items included, in one line."""
        below = "; ".join(f"{item.label}: {item.text}" for item in self.items)
        return " ".join(filter(None, (self.value, below)))


@dataclass(frozen=True)
class Section:
    """A heading below the title; `number` is empty when the heading carries none."""

    number: str
    title: str
    line: int
    bullets: tuple[Bullet, ...]


@dataclass(frozen=True)
class Document:
    """A whole document.

    `strays` are bullets that stand before the first section, `between` is the text beside bullets,
    each with its line.
    """

    title: str
    title_line: int
    sections: tuple[Section, ...]
    strays: tuple[Bullet, ...]
    between: tuple[tuple[int, str], ...]
    last_line: int


def text_of(source: Path) -> str:
    """The text of a file; raises Unreadable where it has none."""
    try:
        with source.open("rb") as file:
            written = file.read(_LONGEST + 1)
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise Unreadable(f"not a path: {error}") from None
    if len(written) > _LONGEST:
        raise Unreadable(f"longer than {_LONGEST:,} bytes: a contract is for people to sign")
    try:
        text = written.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        reason = f"not UTF-8 at byte {error.start}: save the contract as UTF-8 Markdown"
        raise Unreadable(reason) from None
    if "\0" in text:
        raise Unreadable("binary data: a contract is a Markdown text")
    if not text.strip():
        raise Unreadable("empty: a contract has the twelve sections of the form")
    return re.sub(r"\r\n?", "\n", text)


def parse(text: str) -> Document:
    """Read Markdown into sections and bullets; any text is a document, if perhaps an empty one."""
    title, title_line = "", 1
    headings: list[SyntaxTreeNode] = []
    bullets: list[list[Bullet]] = [[]]
    between: list[tuple[int, str]] = []
    for node in SyntaxTreeNode(_MARKDOWN.parse(text)).children:
        if node.type == "heading" and node.tag == "h1" and not title:
            title, title_line = _text(node), _line(node)
        elif node.type == "heading":
            headings.append(node)
            bullets.append([])
        elif node.type == "bullet_list":
            bullets[-1].extend(_bullets(node))
        else:
            between.append((_line(node), _text(node)))
    sections = tuple(map(_section, headings, bullets[1:]))
    last_line = text.rstrip().count("\n") + 1
    return Document(title, title_line, sections, tuple(bullets[0]), tuple(between), last_line)


def _section(heading: SyntaxTreeNode, bullets: list[Bullet]) -> Section:
    text = _text(heading)
    numbered = _NUMBERED.fullmatch(text)
    number, title = (numbered["number"], numbered["title"]) if numbered else ("", text)
    return Section(number, title, _line(heading), tuple(bullets))


def _bullets(bullet_list: SyntaxTreeNode) -> Iterator[Bullet]:
    for item in bullet_list.children:
        text = " ".join(_text(part) for part in item.children if part.type != "bullet_list")
        lists = [part for part in item.children if part.type == "bullet_list"]
        nested = tuple(bullet for part in lists for bullet in _bullets(part))
        labelled = _BOLD_LABEL.fullmatch(text) or _PLAIN_LABEL.fullmatch(text)
        label, value = (labelled["label"], labelled["value"]) if labelled else (text, "")
        yield Bullet(label.strip(), value.strip(), _line(item), nested)


def _text(node: SyntaxTreeNode) -> str:
    """The node's source text on one line: a wrapped sentence is still one value."""
    return " ".join(" ".join(part.content for part in node.walk()).split())


def _line(node: SyntaxTreeNode) -> int:
    return node.map[0] + 1 if node.map else 1
