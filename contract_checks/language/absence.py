"""The ways in which a document says that there is nothing, or that nobody knows yet."""

from contract_checks.language.sentence import Unreadable, quote, tidy

NONE = (
    *("none", "no", "n/a", "n.a", "na", "not applicable", "not required", "not needed", "nothing"),
    *("-", "–", "—"),
)
_NOT_YET = ("nobody", "nil", "null", "unknown", "tbd", "tba", "todo", "fixme")


def is_none(text: str) -> bool:
    """Whether a document says in one of the usual ways that it has no such rule."""
    return tidy(text).lower() in NONE


def refuse_none(text: str, expected: str) -> None:
    """Raise Unreadable where a document says that there is none of what it has to name."""
    if is_none(text) or tidy(text).lower() in _NOT_YET:
        raise Unreadable(f"expected {expected}: it may not be left out; got {quote(text)}")
