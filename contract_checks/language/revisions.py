"""What is signed is the text that stands: marks of a revision show one text and hold another.

Struck-out words are not meant and a comment is not seen, yet both are in the file; what is inserted
is meant by one of two who agree. So such a mark is refused, whatever it holds. They are GitHub's
strikethrough and its HTML (GFM 6.5), HTML comments, the idioms for comments in Markdown, and
CriticMarkup (criticmarkup.com).
"""

import re

_CRITIC = r"\{\+\+|\+\+\}|\{--|--\}|\{~~|~~\}|\{>>|<<\}|\{==|==\}"
_IDIOM = r"\[[^\]\n]{0,80}\]:[ \t]*(?:#|<>)"
_COMMENT = rf"<!--|-->|{_IDIOM}"
_STRUCK = (
    r"~~|(?<!~)~(?=[^\s~])[^~\n]*(?<=[^\s~])~(?!~)|</?(?:del|s|strike)\b[^<>]*>?|[\u0335-\u0338]"
    r"|<[a-z][^<>]*(?:line-through|display\s*:\s*none|\shidden\b)"
)
_INSERTED = r"</?(?:ins|mark)\b[^<>]*>?"
_KINDS = (
    (_CRITIC, "a tracked change"),
    (_COMMENT, "a comment"),
    (_STRUCK, "struck-out or hidden text"),
    (_INSERTED, "an insertion"),
)
_ANY = "|".join(pattern for pattern, _ in _KINDS)


def revision(text: str) -> str:
    """What is wrong with a text that holds a mark of a revision; empty where there is none."""
    for pattern, kind in _KINDS:
        if found := re.search(pattern, text, re.IGNORECASE):
            return (
                f"holds {kind} ({found[0][:20]!r}), which readers and programs take differently: "
                "write the text that is agreed on, without the mark"
            )
    return ""


def without_comments(text: str) -> str:
    """The text between clauses as it is shown, where a comment hides nothing that is in force."""
    return re.sub(rf"<!--.*?(?:-->|$)|{_IDIOM}", "", text, flags=re.DOTALL)


def unmarked(text: str) -> str:
    """The text without its marks: what a person would look for."""
    return re.sub(_ANY, "", text, flags=re.IGNORECASE).strip(" *:")
