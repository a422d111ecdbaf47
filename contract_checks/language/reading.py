"""What was understood of each clause, as a plain sentence that its owner can sign.

A sentence is made of terms alone and never of the document's words, so two wordings of the same
terms give the same sentence; and it shows every part of a term, so other terms give another. A
part that no sentence below has a place for is added at its end by its name.
"""

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from string import Formatter
from typing import Any

from pydantic.fields import FieldInfo

from contract_checks.language.contract import Contract
from contract_checks.language.feature_columns import RANGES
from contract_checks.language.feature_terms import PER_FEATURE
from contract_checks.language.form import CLAUSES, Clause
from contract_checks.language.terms import Range, Terms
from contract_checks.language.wordings import KINDS, NOTHING, SAYS, YES_NO

FOR_PEOPLE = "words that only people read: no term is taken from them"
NOT_UNDERSTOOD = "not understood"
OF_A_GROUP = "what it holds is told clause by clause"
_RESERVED = {"none", "yes", "no", "and"}
_UNITS = {
    "day": timedelta(days=1),
    "hour": timedelta(hours=1),
    "minute": timedelta(minutes=1),
    "second": timedelta(seconds=1),
    "millisecond": timedelta(milliseconds=1),
    "microsecond": timedelta(microseconds=1),
}


def readings(contract: Contract) -> dict[str, str]:
    """The sentence of every clause of the document, by its ID, in the document's order.

    A clause that a draft has no value for is not understood.
    """
    clauses = {clause.id: clause for clause in CLAUSES}
    return {name: _of_clause(contract, clauses[name]) for name in contract.lines if name in clauses}


def sentence(term: str, value: Any) -> str:
    """The sentence of a value of a field of Contract, such as `quality.freshness`.

    Injective: of one field, equal values give one sentence and others another.
    """
    if isinstance(value, bool) and term in YES_NO:
        return YES_NO[term][not value]
    if value == PER_FEATURE:
        return f"{term.split('.')[1].replace('_', ' ')}: each feature has its own ({RANGES})"
    if term in NOTHING and value in (None, (), {}):
        return NOTHING[term]
    name = term.split(".")[1]
    return SAYS.get(term, f"{name.replace('_', ' ')}: {{}}").format(_words(name, value))


def _of_clause(contract: Contract, clause: Clause) -> str:
    if not clause.lands:
        return OF_A_GROUP if clause.group else FOR_PEOPLE
    group, field = clause.lands.split(".")
    try:
        said = sentence(clause.lands, getattr(getattr(contract, group), field))
        own = contract.definition.features if clause.id == RANGES else {}
    except AttributeError:
        return NOT_UNDERSTOOD
    return f"{said}; {sentence('definition.features', own)}" if own else said


def _words(name: str, value: Any) -> str:
    """A value of the field of this name; a share of one is named for a rate or a delta."""
    match value:
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            is_share = name.endswith(("_rate", "_delta"))
            number = Decimal(repr(value)) * (100 if is_share else 1)
            return f"{number.normalize() + 0:,f}" + (" %" if is_share else "")
        case timedelta():
            return _cadence(value) if name == "every" else _length(value)
        case str():
            plain = re.fullmatch(r"\w[\w.:/+-]*|#[\w-]+|[≥≤<>=]", value) and value not in _RESERVED
            is_name = plain and name != "value"  # a default may be a text of figures
            return value if is_name else json.dumps(value, ensure_ascii=False)
        case tuple():
            joined = " and ".join(_words(name, each) for each in value) or "none"
            is_key = name in ("key", "unique_per") and len(value) > 1
            return f"combination of {joined}" if is_key else joined
        case Mapping():
            listed = (f"{_words('', key)} {_words(name, value[key])}" for key in sorted(value))
            return "; ".join(listed) or "none"
        case Terms():
            return _terms(value)
    return str(value)


def _terms(value: Terms) -> str:
    """A group of terms: the sentence for its kind, and what that has no place for."""
    said = _range(value) if isinstance(value, Range) else KINDS.get(type(value), "")
    places = {place for _, place, _, _ in Formatter().parse(said) if place}
    if not places <= dict(value).keys():  # written for other parts than it has
        said, places = "", set()
    fields = type(value).model_fields
    more = (
        f"{name.replace('_', ' ')} {_words(name, part)}"
        for name, part in value
        if name not in places and not _is_unsaid(part, fields[name])
    )
    return ", ".join(
        filter(None, (said.format(**{p: _words(p, getattr(value, p)) for p in places}), *more))
    )


def _is_unsaid(part: Any, field: FieldInfo) -> bool:
    if field.is_required():
        return part is None or part is False or part in ((), "")
    return bool(part == field.get_default(call_default_factory=True))


def _range(allowed: Range) -> str:
    match allowed.minimum is None, allowed.maximum is None:
        case False, False:
            return "from {minimum} to {maximum}"
        case False, True:
            return "{minimum} or more"
        case True, False:
            return "{maximum} or less"
    return "any number"


def _length(length: timedelta) -> str:
    unit, one = next((unit, one) for unit, one in _UNITS.items() if not length % one)
    count = length // one
    return f"{count:,} {unit}" + ("" if count == 1 else "s")


def _cadence(length: timedelta) -> str:
    count, unit = _length(length).split()
    if count != "1":
        return f"every {count} {unit}"
    return f"an {unit}" if unit == "hour" else f"a {unit}"
