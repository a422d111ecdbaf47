"""Readers of the clauses about privacy (§9): masking, retention, reviews of access."""

import re
from datetime import timedelta

from contract_checks.language.absence import is_none
from contract_checks.language.phrases import SEVERAL
from contract_checks.language.plain_words import RETENTION
from contract_checks.language.sentence import FLAGS, Sentence, Unreadable, quote, tidy
from contract_checks.language.terms import Masking
from contract_checks.language.values import duration, identifiers, prose, whole

_METHODS = "hashed|tokeni[sz]ed|masked|encrypted|redacted|pseudonymi[sz]ed"


def retention(text: str) -> timedelta:
    """The longest time that data is kept."""
    line = tidy(text)
    gone = re.search(r"\bdeleted? after\b|\bthen (?:is |are )?deleted?\b", line, FLAGS)
    if re.search(r"\b(?:after|deleted?)\b", line, FLAGS) and not gone:
        raise Unreadable(f"expected a duration such as 365 days; got {quote(text)}")
    return duration(text, "[≤<]?", RETENTION)


_UNMASKED = {"no", "not", "none", "never", "nothing", "optionally", "partially", "sometimes"}
_UNLESS = (
    rf"\b(?:nothing|neither|all but|only|except|but|if|until|unless|without|possible|{_METHODS})\b"
)


def masking(text: str) -> Masking | None:
    """Columns, what is done to them and where, or `none`."""
    if is_none(text):
        return None
    expected = "a rule such as 'customer_id is hashed in training datasets', or none"
    how = rf"(?:is|are|must be|will be) ({_METHODS})(?: \((?=[a-z-]*[0-9])[\w-]+\))?"
    found = whole(rf"(.+?) {how}(?: in (?!no(?:t|ne)?\b)(.+))?", text, expected)
    method = found[2].lower().replace("ised", "ized")
    scope = prose(found[3]) if found[3] else ""
    columns = identifiers(found[1])
    if _UNMASKED & {name.lower() for name in columns} or re.search(_UNLESS, scope, FLAGS):
        raise Unreadable(f"expected {expected} and nothing more; got {quote(text)}")
    return Masking.model_validate({"columns": columns, "method": method, "scope": scope})


def access_review(text: str) -> str:
    """How often access is reviewed."""
    expected = "a cadence such as 'Quarterly access review'"
    with Sentence(text, expected, frozenset(("access",))) as words:
        words.has(r"\breview(?:s|ed)?\b")
        if words.has(r"\btwice[ -](?:yearly|a year)\b"):
            return "half-yearly"
        words.refuse(rf"\b(?:twice|other|second|third|alternate|bi-|{SEVERAL})")
        cadence = words.only(r"\b(?:week|month|quarter|half-year|semi-annual|annual|year)(?:ly)?\b")
        word = re.sub("ly$", "", cadence[0].lower())
        return {"annual": "yearly", "semi-annual": "half-yearly"}.get(word, f"{word}ly")
