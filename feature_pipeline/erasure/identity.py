"""One customer, in every spelling that a file or a store may hold."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

_IN_ITS_PLACE = "[erased]"
_TOLD_APART = 8
"""Characters from which on a text is not found by chance among bytes."""


@dataclass(frozen=True, repr=False)
class Identity:
    """Whom a search is for. It never shows itself: not in a message, nor in a traceback."""

    column: str
    """The join key, such as `customer_id`."""
    text: str
    hashed: str
    """As training sets hold it."""
    keys: tuple[bytes, ...]
    """As online stores spell it, each unlike any other entity's key."""

    def is_in(self, text: str) -> bool:
        """Whether a text tells of the customer."""
        return self.hashed in text or self._told.search(text) is not None

    def is_in_bytes(self, content: bytes) -> bool:
        """Whether bytes tell of the customer; a short one counts in longer spellings only."""
        long = not self.text.isdigit() and len(self.text) >= _TOLD_APART
        sought = (*self._ends, self.hashed.encode(), *([self.text.encode()] if long else ()))
        return any(spelling in content for spelling in sought)

    @property
    def _ends(self) -> tuple[bytes, ...]:
        """The keys from the join key's name on: of what is deleted the beginning goes first."""
        return tuple(key[max(key.find(self.column.encode()), 0) :] for key in self.keys)

    def names(self, column: str) -> bool:
        """Whether a column of that name holds identifiers, so that its numbers are some."""
        return column == "id" or column.endswith("_id") or self._stem in column

    def redacted(self, value: Any, under: str = "") -> Any:
        """What JSON holds, with the customer's spellings blotted out."""
        if isinstance(value, Mapping):
            return {self.redacted(k): self.redacted(v, under=str(k)) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.redacted(one, under) for one in value]
        if self.names(under) and str(value) == self.text:
            return _IN_ITS_PLACE
        if isinstance(value, str):
            blotted = value.replace(self.hashed, _IN_ITS_PLACE)
            return self._told.sub(lambda told: (told[1] or "") + _IN_ITS_PLACE, blotted)
        return value

    def __repr__(self) -> str:
        return "Identity()"

    @property
    def _stem(self) -> str:
        return self.column.removesuffix("_id")

    @cached_property
    def _told(self) -> re.Pattern[str]:
        """A number alone may count anything: it tells of a customer only where it is called one."""
        spelled = rf"{re.escape(self.text)}(?!\w|\.\d)"
        if self.text.lstrip("-").isdigit():
            stem = re.escape(self._stem)
            called = rf"{stem}(?:_id)?[^\w-]{{1,8}}"
            end = rf"(?={re.escape(self.text)}[\"',)\t\\])"
            # What PostgreSQL quotes below an error: a row that a COPY was at, one that a table
            # refused, and what was bound to a statement.
            copied = rf'\bline \d+[^"\n]*"(?:[^"\n]*[,\t])?{end}'
            refused = rf"\brow contains \((?:[^)\n]*, )?{end}"
            bound = rf"\bparameters: (?:[^\n]*, )?\$\d+ = '{end}"
            quoted = f"{copied}|{refused}|{bound}"
            return re.compile(rf"({called}|{quoted}){spelled}", re.IGNORECASE)
        return re.compile(rf"(?<!\w)(){spelled}")


def without(text: str, identity: Identity) -> str:
    """A message that may quote the customer anywhere, without the quote."""
    anywhere = re.compile(rf"(?<!\w){re.escape(identity.text)}(?!\w)")
    return anywhere.sub(_IN_ITS_PLACE, text.replace(identity.hashed, _IN_ITS_PLACE))
