"""What a contract's Feast definitions say: entities, fields, tags and the names they go by."""

from collections.abc import Mapping
from dataclasses import dataclass
from keyword import iskeyword

from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.language.terms import AllowedValues, Range
from contract_checks.scaffold.declared import Declared

_NO_COUNTS = {
    *("amount", "average", "avg", "cost", "fraction", "mean", "median", "percent", "price"),
    *("probability", "rate", "ratio", "revenue", "score", "share", "spend", "value"),
}
"""Words of a feature's name that say it may be a fraction."""


@dataclass(frozen=True)
class EntityDefinition:
    """An entity; Feast has one join key per entity, so several keys are several entities."""

    variable: str
    name: str
    join_key: str
    value_type: str
    module: str
    """The module that declares it already, to import it from; empty where none does."""


@dataclass(frozen=True)
class FieldDefinition:
    """A feature with its Feast type; `default` is None where the contract has none for it."""

    name: str
    dtype: str
    default: str | None


@dataclass(frozen=True)
class Names:
    """The variables of the module: no keyword of Python, and no two alike."""

    view: str
    pointer: str
    pinned: str
    source: str


def entities(contract: Contract, declared: Mapping[str, Declared]) -> tuple[EntityDefinition, ...]:
    """An entity per join key, the primary one first; one that is declared already is imported.

    The primary entity's key is the one of its name, or begins with it, or is the first. Every other
    entity is called as its key.
    """
    primary, keys = contract.entity.primary_entity, contract.entity.join_keys
    own = min(keys, key=lambda key: (key != primary, not key.startswith(primary)))
    named = {primary: own} | {key: key for key in keys if key != own}
    taken = {contract.view_name, contract.overview.feature_name}
    found = []
    for name, key in named.items():
        there = declared.get(name)
        variable = there.variable if there else _variable(name.removesuffix("_id"), "entity", taken)
        taken.add(variable)
        module = there.module if there else ""
        found.append(EntityDefinition(variable, name, key, _key_type(key), module))
    return tuple(found)


def _key_type(join_key: str) -> str:
    """An id is a number, as in the warehouse's tables; a code or a name is text."""
    return "INT64" if f"_{join_key.lower()}".endswith("_id") else "STRING"


def fields(contract: Contract) -> tuple[FieldDefinition, ...]:
    """Every feature of the document, in its order: those with a range first."""
    order = dict.fromkeys((*contract.definition.allowed, *contract.features))
    return tuple(_field(contract, feature) for feature in order)


def _field(contract: Contract, feature: str) -> FieldDefinition:
    dtype, default = feature_type(contract, feature), contract.default_of(feature)
    if isinstance(default, str):
        return FieldDefinition(feature, dtype, default)
    if default is None or dtype == "String":  # the document's default is a number
        return FieldDefinition(feature, dtype, None)
    return FieldDefinition(feature, dtype, str(int(default) if default.is_integer() else default))


_OWN = {"int": "Int64", "int64": "Int64", "int32": "Int32", "string": "String", "bool": "Bool"}
_OWN |= {"float": "Float64", "float64": "Float64", "float32": "Float32"}


def feature_type(contract: Contract, feature: str) -> str:
    """Its own type, else String for listed values, Int64 for a count, Float64 for all else.

    A count has whole bounds on both sides, no default that is a fraction, and no word in its name
    that says otherwise (`avg`, `rate`, `value`).
    """
    allowed, default = contract.definition.allowed.get(feature), contract.default_of(feature)
    if (own := contract.own(feature).data_type) and not own.startswith("decimal"):
        return _OWN[own]
    if isinstance(allowed, AllowedValues) or isinstance(default, str):
        return "String"
    bounds = (allowed.minimum, allowed.maximum) if isinstance(allowed, Range) else (None,)
    whole = all(bound is not None and bound.is_integer() for bound in bounds)
    counted = not _NO_COUNTS & set(feature.lower().split("_"))
    return "Int64" if whole and counted and (default or 0.0).is_integer() else "Float64"


def tags(contract: Contract) -> dict[str, str]:
    """The view's tags, as the checks of the registry read them."""
    overview, source, privacy = contract.overview, contract.source, contract.privacy
    written = contract.texts
    return {
        "feature": overview.feature_name,
        "version": overview.version,
        "status": overview.status.capitalize(),
        "steward": overview.steward,
        "use_cases": written["§1 model"].rstrip("."),
        "source": ", ".join(source.systems),
        "source_owner": source.owner,
        "refresh_cadence": written["§4 refresh cadence"],
        "upstream": ", ".join(source.upstream) or "none",
        "lineage": source.lineage_link,
        "alerts": written["§7 alert routing"],
        "classification": privacy.classification.capitalize(),
        "pii": ", ".join(privacy.personal_data.columns) or "none",
        "masking": written["§9 masking"],
        "retention": spell(privacy.retention),
        "approved_consumers": written["§9 approved consumers"].rstrip("."),
    }


def names(contract: Contract, about: tuple[EntityDefinition, ...]) -> Names:
    """What the module calls its view, services and source beside its entities."""
    taken = {entity.variable for entity in about}

    def claim(name: str, role: str) -> str:
        variable = _variable(name, role, taken)
        taken.add(variable)
        return variable

    return Names(
        view=claim(contract.view_name, "view"),
        pointer=claim(contract.overview.feature_name, "service"),
        pinned=claim(f"pinned_{contract.view_name}", "service"),
        source=claim(contract.parity.offline_path.rsplit(".", 1)[-1], "source"),
    )


def _variable(name: str, role: str, taken: set[str]) -> str:
    variable = name.lower()
    while variable in taken or iskeyword(variable) or variable == "timedelta":
        variable = f"{variable}_{role}"
    return variable
