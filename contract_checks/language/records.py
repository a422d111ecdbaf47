"""Readers of the clauses about records: what each is of, and which of several is kept."""

import re

from contract_checks.language.absence import is_none
from contract_checks.language.phrases import SEVERAL
from contract_checks.language.plain_words import RECORDS, SEVERAL_RECORDS
from contract_checks.language.sentence import FLAGS, IDENTIFIER, Sentence, tidy
from contract_checks.language.terms import Dedup, FanOut, Keep
from contract_checks.language.values import identifiers

_KEEP = r"\b(?:(latest|newest|most recent|last)|earliest|oldest|first)\b"
_CALENDAR = "(?:minute|hour|day|week|month)"
_KEY_COLUMN = rf"(?!(?:(?:UTC|calendar) )*{_CALENDAR}\b){IDENTIFIER}"
_KEY = (
    rf"\b(?:per|for each|for every)\s+(?:(?:pair|combination)(?: of)? )?\(?({_KEY_COLUMN}"
    rf"(?:\s*(?:,\s*and\s|,|\+|\s[/&]\s|\sand\s)\s*{_KEY_COLUMN})*)(?!\w)\)?"
)
_PERIOD = r"\b(?:per|each|every|and)\s+(?:(?:UTC|calendar)\s+)*(minute|hour|day|week|month)\b"


def fanout(text: str) -> FanOut:
    """Keep the most recent record by a column."""
    expected = "which record is kept, such as 'most recent by event_timestamp'"
    with Sentence(text, expected, SEVERAL_RECORDS) as words:
        keep = _keep(words)
        by = words.take(rf"\b(?:by|based on|according to)\s+(?:the\s+)?({IDENTIFIER})")[1]
        named = re.search(_KEY, tidy(text), FLAGS)
        return FanOut(keep=keep, by=by, key=_key(words) if named else words.columns())


def dedup(text: str) -> Dedup | None:
    """The latest event per key per calendar period, or `none`."""
    if is_none(text):
        return None
    with Sentence(text, "a rule such as 'latest event per customer_id per day', or none") as words:
        keep = _keep(words)
        words.has(r"…\s+[a-z]+(?=\s+(?:per|for)\b)")  # what an event is called
        period = words.take(_PERIOD)[1]
        return Dedup.model_validate({"keep": keep, "key": _key(words), "period": period.lower()})


def one_record_per(text: str) -> tuple[str, ...]:
    """The columns that identify a record."""
    if unique := re.fullmatch(r"(.+) (?:is|must be) unique", tidy(text), FLAGS):
        return identifiers(unique[1])
    expected = "a rule such as 'One record per customer_id'"
    with Sentence(text, expected, RECORDS | {"exactly"}) as words:
        words.take(
            r"(?<!more than )(?<!zero or )(?<!0 or )(?:≤ )?\b(?:one|1|single) (?:record|row)\b"
        )
        words.refuse(_PERIOD)
        return _key(words)


def _keep(words: Sentence) -> Keep:
    words.refuse(rf"{_KEEP} (?:{SEVERAL})\b|\b(?:{SEVERAL}) {_KEEP}")
    return "latest" if words.only(_KEEP)[1] else "earliest"


def _key(words: Sentence) -> tuple[str, ...]:
    """The columns after 'per'."""
    return identifiers(words.take(_KEY)[1])
