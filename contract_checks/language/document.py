"""The Markdown of a feature contract as an outline of sections and clauses, each with its line.

Only the shape is read here, and what the labels mean is the form's business. `layouts` knows the
ways in which a clause may stand.
"""

import re
from functools import lru_cache
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from contract_checks.language.layouts import Outlining
from contract_checks.language.outline import Bullet, Document, Fault, Section
from contract_checks.language.sentence import Unreadable

__all__ = ["Bullet", "Document", "Fault", "Section", "parse", "text_of"]

_LONGEST = 200_000  # bytes; forty times a usual contract, and a few seconds of reading at worst
# Values are read as they are typed, and a link definition is not to vanish from one.
_MARKDOWN = MarkdownIt("commonmark").enable("table").disable(["inline", "reference"])


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


@lru_cache(maxsize=4)  # one command reads a document to check, to compare and to sign it
def parse(text: str) -> Document:
    """Read Markdown into an outline; any text is a document, if perhaps an empty one."""
    outlining = Outlining(text.split("\n"))
    for node in SyntaxTreeNode(_MARKDOWN.parse(text)).children:
        outlining.take(node)
    return outlining.document()
