"""Readers of the clauses worded as sentences.

Each reader takes its terms out of a `Sentence`; whatever words remain are the team's own.
"""

import re
from datetime import timedelta

from contract_checks.language.absence import is_none
from contract_checks.language.numbers import COUNTS, NUMBER
from contract_checks.language.plain_words import (
    FEATURES,
    JOIN,
    SPAN,
    SUPPORT,
    WINDOW,
)
from contract_checks.language.sentence import (
    FLAGS,
    IDENTIFIER,
    UNDER,
    Sentence,
    decimal_in,
    number_in,
    tidy,
)
from contract_checks.language.terms import (
    ActivityFilter,
    Cardinality,
    ConsistencyRule,
    Deprecation,
    Outliers,
)
from contract_checks.language.values import JOINT, VERSION, whole
from contract_checks.language.values import version as read_version

_MANY = "(?:people|[a-z]+s)"
SEVERAL = "two|three|four|five|six|seven|eight|nine|ten|several|few"
_ACTIONS = {"flag": "flag", "drop": "drop", "remov": "drop", "clip": "clip", "cap": "clip"}


def lateness(text: str) -> timedelta:
    """How long after it happened an event may arrive; zero where none may."""
    with Sentence(text, "a duration such as 24h, or none") as words:
        return words.duration("[≤<]?", least=timedelta(0))


def rolling_window(text: str) -> timedelta:
    """A rolling window."""
    with Sentence(text, "a rolling window such as 'Rolling 30-day window'", WINDOW) as words:
        words.take(r"\b(?:rolling|sliding|trailing)\b")
        words.has(rf"\b(?:updated|refreshed|recomputed) every {NUMBER} ?[a-z]+\b")
        words.has(rf"(?<=window )per {IDENTIFIER}\b")
        return words.duration()


def activity_filter(text: str) -> ActivityFilter | None:
    """At least so many events in the last so long, or `none`."""
    if is_none(text):
        return None
    with Sentence(
        text, "a filter such as 'at least one event in the last 30 days', or none", SPAN
    ) as words:
        words.has(rf"\b(?:only )?(?:active )?{_MANY}(?: who were active)?(?=:| with\b)")
        words.has(r"\bwith\b")
        counts = rf"([1-9][0-9]{{0,8}}|{'|'.join(COUNTS)}|an?)"
        happened = r"\s+[a-z]+(?= in the (?:last|past)\b)"
        count = (words.take(rf"(?:≥\s*{counts}|\ban?){happened}")[1] or "an").lower()
        least = int(count) if count.isdigit() else COUNTS.get(count, 1)
        return ActivityFilter(minimum_events=least, window=words.duration())


def default_value(text: str) -> float | None:
    """A number or `zeros`, or `null`."""
    whose = r"(?:\s+for\s+(?:all\s+|every\s+)?(?:numeric\s+)?(?:fields?|features?))?"
    expected = "a default such as 'zeros for numeric fields', a number or null"
    found = whole(rf"(?:(zeros?|zeroes)|(nulls?)|({NUMBER})){whose}", text, expected)
    if found[2]:
        return None
    return 0.0 if found[1] else number_in(found[3])


def null_rate(text: str) -> float:
    """The most nulls a feature may have, as a share of rows; `no nulls` is none at all."""
    if re.fullmatch(r"no (?:null|missing)(?:s| values?)?(?: (?:are )?allowed)?", tidy(text), FLAGS):
        return 0.0
    filled = rf"(?:≥ ?)?({NUMBER}) ?(?:%|per ?cent) (?:complete|non-null|not null|populated|filled)"
    if complement := re.fullmatch(filled, tidy(text), FLAGS):
        share = float(1 - decimal_in(complement[1]) / 100)
        if 0 <= share <= 1:
            return share
    with Sentence(text, "a limit such as 'null rate ≤ 1%'", frozenset(("rate", "values"))) as words:
        words.take(r"\b(?:nulls?|missing)\b")
        return words.percent(f"{UNDER}?")


def least_value(text: str) -> float:
    """All numeric fields are at or above a number."""
    with Sentence(text, "a rule such as 'All numeric fields must be ≥ 0'", FEATURES) as words:
        return words.number("≥")


def consistency(text: str) -> tuple[ConsistencyRule, ...]:
    """Relations between features, separated by commas, semicolons or 'and'; or `none`."""
    if is_none(text):
        return ()
    expected = "relations between two features such as 'orders_30d ≥ distinct_order_days_30d'"
    chain = rf"{IDENTIFIER}(?:\s*[≥≤<>=]\s*{IDENTIFIER})+"
    rules = []
    for part in re.split(JOINT, tidy(text)):
        names = re.split(r"\s*([≥≤<>=])\s*", whole(chain, part, expected)[0])
        for left, operator, right in zip(names[::2], names[1::2], names[2::2], strict=False):
            rule = {"left": left, "operator": operator, "right": right}
            rules.append(ConsistencyRule.model_validate(rule))
    return tuple(rules)


def outliers(text: str) -> Outliers:
    """What happens to values above a percentile."""
    expected = "a rule such as 'Values above 99.9th percentile are flagged'"
    with Sentence(text, expected, FEATURES | {"anything"}) as words:
        words.has(r"\bthe same in training and production\b")
        words.take(r"\babove\b")
        percentile = words.percentile()
        if percentile < 50:
            raise words.unreadable(" (of the upper half)")
        verb = words.only(r"\b(flag|drop|remov|clip|cap)\w*\b")[1].lower()
        return Outliers.model_validate({"percentile": percentile, "action": _ACTIONS[verb]})


def freshness(text: str) -> timedelta:
    """The greatest age of a served feature."""
    with Sentence(
        text, "a limit such as 'Feature age ≤ 2 hours'", FEATURES | {"age", "old"}
    ) as words:
        return words.duration(f"{UNDER}?")


def cardinality(text: str) -> Cardinality:
    """Least match rate and greatest fan-out ratio of the join."""
    expected = "limits such as 'match rate ≥ 98%, fanout ratio ≤ 1.01'"
    with Sentence(text, expected, JOIN) as words:
        match_rate = words.percent("[≥>]", about=r"\bmatch rate\b")
        words.one_decimal_mark()
        ratio = words.number(UNDER, about=r"\bfan-?out ratio\b")
        if ratio < 1:
            raise words.unreadable(" (a fan-out ratio is 1 or more: one record per matched key)")
        return Cardinality(minimum_match_rate=match_rate, maximum_fanout_ratio=ratio)


_NO_SUPPORT = (
    r"\bin\b|\bgoes\b(?! on)"
    r"|\bout\b(?<!\bafter v[0-9] is out)(?<!\bonce v[0-9] is out)(?<!\bwhen v[0-9] is out)"
)


def deprecation(text: str) -> Deprecation:
    """How long a version is supported after the next one is released."""
    expected = "a plan such as 'v1 is supported for 90 days after v2 release'"
    with Sentence(text, expected, SUPPORT) as words:
        words.refuse(_NO_SUPPORT)
        successor = words.take(rf"\b(?:after|following|once|when)(?: the release of)? ({VERSION})")[
            1
        ]
        current = words.take(VERSION)[0]
        support = words.duration("≥?")
        return Deprecation(
            version=read_version(current), support=support, successor=read_version(successor)
        )
