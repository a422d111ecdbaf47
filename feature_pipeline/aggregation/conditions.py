"""`where`: a conjunction of conditions, each a column, a relation and a value."""

from typing import Any

from feature_pipeline.aggregation.declaration import Column, Condition
from feature_pipeline.aggregation.faults import Faults, Place, meant
from feature_pipeline.aggregation.literals import UnreadableError, literal, shown

RELATIONS = ("=", "!=", "<", "<=", ">", ">=", "in")
_OF_TRUTH = ("=", "!=", "in")
_FORM = 'is no list of conditions such as [["orders", ">", 0], ["channel", "in", ["web"]]]'


def conditions_of(
    written: Any, place: Place, columns: dict[str, Column], faults: Faults
) -> tuple[Condition, ...]:
    """The conditions that can be meant; what is wrong with the others is noted."""
    if not isinstance(written, list) or not all(isinstance(one, list) for one in written):
        faults.at(place, f"{shown(written)} {_FORM}")
        return ()
    read = [_condition_of(one, place, columns, faults) for one in written]
    return tuple(condition for condition in read if condition)


def _condition_of(
    written: list[Any], place: Place, columns: dict[str, Column], faults: Faults
) -> Condition | None:
    if len(written) != 3:
        faults.at(place, f"{shown(written)} {_FORM}")
        return None
    name, relation, value = written
    column = columns.get(name) if isinstance(name, str) else None
    if column is None:
        faults.at(place, f"{shown(name)} is no column that is declared{meant(name, columns)}")
        return None
    relations = _OF_TRUTH if column.kind == "bool" else RELATIONS
    if relation not in relations:
        faults.at(place, f"{name} {relation}: a {column.kind} is asked by {' '.join(relations)}")
        return None
    return _with_value(column, relation, value, place, faults)


def _with_value(
    column: Column, relation: str, value: Any, place: Place, faults: Faults
) -> Condition | None:
    if relation == "in" and (not isinstance(value, list) or not value):
        faults.at(place, f'{column.name} in {shown(value)}: write a list, such as ["a", "b"]')
        return None
    try:
        if relation == "in":
            return Condition(column.name, "in", tuple(literal(column.kind, one) for one in value))
        return Condition(column.name, relation, literal(column.kind, value))
    except UnreadableError as error:
        faults.at(place, f"{column.name} is {column.kind}, and {error}")
        return None
