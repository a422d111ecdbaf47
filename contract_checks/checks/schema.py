"""§3, §5.2: are the columns there, in the declared types, with the promised defaults?"""

from collections.abc import Iterator

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.terms import AllowedValues

# A declared type and the column types of the offline table that hold exactly its values.
_STORED_AS = {
    "Int64": {"BIGINT", "INTEGER", "SMALLINT", "TINYINT"},
    "Int32": {"INTEGER", "SMALLINT", "TINYINT"},
    "Float64": {"DOUBLE", "FLOAT"},
    "Float32": {"FLOAT"},
    "String": {"VARCHAR"},
    "Bool": {"BOOLEAN"},
}
_OWN = {
    "int": {"Int64", "Int32"},
    "int64": {"Int64"},
    "int32": {"Int32"},
    "float": {"Float64", "Float32"},
    "float64": {"Float64"},
    "float32": {"Float32"},
    "string": {"String"},
    "bool": {"Bool"},
}
"""A feature's own type and the declared types that are it."""
_NUMERIC = {"Int64", "Int32", "Float64", "Float32"}


@check("§3 timestamp timezone", held_in="registry, offline")
def timestamps_are_in_the_zone(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The offline table's event timestamps are instants, kept in UTC."""
    column = contract.time.event_timestamp
    stored = evidence.offline.history.columns.get(column, "no such column")
    yield Verdict(
        stored == "TIMESTAMP WITH TIME ZONE",
        f"{column} TIMESTAMP WITH TIME ZONE ({contract.time.timezone})",
        stored,
    )


@check("§5.2 data type", held_in="registry, offline")
def features_have_their_types(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every feature of the document is declared, and stored, in a type that fits its values."""
    declared = {field.name: field.dtype for field in served_view(contract, evidence).fields}
    stored = evidence.offline.history.columns
    for feature in contract.features:
        fitting = _fitting(contract, feature)
        dtype = declared.get(feature, "not declared")
        yield Verdict(
            dtype in fitting, f"{feature} declared as {' or '.join(sorted(fitting))}", dtype
        )
        if dtype in _STORED_AS:
            column = stored.get(feature, "no such column")
            yield Verdict(column in _STORED_AS[dtype], f"{feature} stored as {dtype}", column)
    if extra := tuple(sorted(set(declared) - set(contract.features))):
        yield Verdict(False, "no feature the document does not name", str(extra), len(extra), extra)
    promised = [(f, contract.own(f).data_type or "int") for f in contract.features]
    if unknown := [f"{feature} ({kind})" for feature, kind in promised if kind not in _OWN]:
        raise MissingEvidence(f"the registry has no such type: {', '.join(unknown)}")


def _fitting(contract: Contract, feature: str) -> set[str]:
    """The registry's types that a feature of the document may have."""
    own = contract.own(feature).data_type
    if own in _OWN:
        return _OWN[own]
    listed = isinstance(contract.definition.allowed.get(feature), AllowedValues)
    return {"String"} if listed else _NUMERIC


@check("§5.2 default value", held_in="registry, offline")
def defaults_are_the_promised_ones(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every numeric feature's declared default is the document's, and so is a feature's own."""
    for field in served_view(contract, evidence).fields:
        expected = contract.default_of(field.name)
        if field.dtype in _NUMERIC or contract.own(field.name).default:
            is_text = isinstance(expected, str)
            declared = field.default if is_text else _number(field.default)
            absent = expected is None and field.default is not None
            yield Verdict(
                declared == expected and not absent,
                f"default of {field.name} = {expected}",
                str(field.default),
            )


@check("§5.2 nullable", held_in="registry, offline")
def served_values_are_not_null(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Where null is not allowed, every feature declares the default that stands in for it."""
    fields = served_view(contract, evidence).fields
    nullable = tuple(field.name for field in fields if contract.is_nullable(field.name))
    without = tuple(f.name for f in fields if f.default is None)
    broken = tuple(name for name in without if name not in nullable)
    if len(nullable) == len(fields):
        expected = "null allowed"
    else:
        besides = f" but {', '.join(nullable)}" if nullable else ""
        expected = f"no feature{besides} can be served as null"
    yield Verdict(
        not broken,
        expected,
        f"{len(without)} of {len(fields)} features without a default",
        len(broken),
        broken,
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
