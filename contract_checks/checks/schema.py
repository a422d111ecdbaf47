"""§3, §5.2: are the columns there, in the declared types, with the promised defaults?"""

from collections.abc import Iterator

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.evidence import Evidence
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
        listed = isinstance(contract.definition.allowed.get(feature), AllowedValues)
        fitting = {"String"} if listed else _NUMERIC
        dtype = declared.get(feature, "not declared")
        yield Verdict(
            dtype in fitting, f"{feature} declared as {' or '.join(sorted(fitting))}", dtype
        )
        if dtype in _STORED_AS:
            column = stored.get(feature, "no such column")
            yield Verdict(column in _STORED_AS[dtype], f"{feature} stored as {dtype}", column)
    if extra := tuple(sorted(set(declared) - set(contract.features))):
        yield Verdict(False, "no feature the document does not name", str(extra), len(extra), extra)


@check("§5.2 default value", held_in="registry, offline")
def defaults_are_the_promised_ones(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every numeric feature's declared default is the document's."""
    expected = contract.definition.default
    for field in served_view(contract, evidence).fields:
        if field.dtype in _NUMERIC:
            yield Verdict(
                _number(field.default) == expected,
                f"default of {field.name} = {expected}",
                str(field.default),
            )


@check("§5.2 nullable", held_in="registry, offline")
def served_values_are_not_null(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Where null is not allowed, every feature declares the default that stands in for it."""
    fields = served_view(contract, evidence).fields
    without = tuple(field.name for field in fields if field.default is None)
    broken = bool(without) and not contract.definition.nullable
    yield Verdict(
        not broken,
        "null allowed" if contract.definition.nullable else "no feature can be served as null",
        f"{len(without)} of {len(fields)} features without a default",
        len(without) if broken else 0,
        without if broken else (),
    )


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None
