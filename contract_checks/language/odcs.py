"""The contract as a document of the Open Data Contract Standard (ODCS v3.2.0, Bitol).

The document describes the offline table, one property a column. A term stands in the field the
standard has for it; a term it has none for is a custom property named after its place, so that
`time.lookback` is `timeLookback`. Nothing is added that the contract does not say: the keys have
no logical type, for instance, because the contract gives them none.
"""

from collections.abc import Iterator
from datetime import timedelta

from open_data_contract_standard.model import (
    AuthoritativeDefinition,
    CustomProperty,
    DataQuality,
    Description,
    OpenDataContractStandard,
    Role,
    SchemaObject,
    SchemaProperty,
    ServiceLevelAgreementProperty,
    Support,
    Team,
    TeamMember,
)
from pydantic.alias_generators import to_camel

from contract_checks.language.contract import Contract
from contract_checks.language.terms import SQL, AllowedValues, Range

_HAVE_A_FIELD = {
    "overview": {"feature_name", "version", "status", "owner", "steward", "use_cases"},
    "entity": {"join_keys"},
    "time": {"event_timestamp", "timezone"},
    "source": {"systems", "refresh_cadence", "lineage_link"},
    "definition": {"allowed"},
    "quality": {"maximum_null_rate", "minimum_value", "unique_per", "consistency", "freshness"},
    "drift": {"alert_channel"},
    "parity": {"offline_path"},
    "privacy": {"classification", "retention", "consumers"},
    "test_plan": {"performance"},
}
_PROSE_WITH_A_FIELD = (
    "§1 business purpose",
    "§3 leakage guardrails",
    "§5.1 definition",
    "§5.1 edge cases",
)
_UNITS = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "min": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}


def document(contract: Contract) -> str:
    """The ODCS document in YAML, as the standard's own model writes it."""
    return model(contract).to_yaml()


def model(contract: Contract) -> OpenDataContractStandard:
    """The ODCS document, validated by the standard's own model."""
    overview, prose = contract.overview, contract.prose
    return OpenDataContractStandard(
        apiVersion="v3.2.0",
        kind="DataContract",
        # Two versions are served side by side, so they are two contracts.
        id=f"{overview.feature_name}_{overview.version}",
        name=overview.feature_name,
        version=overview.version,
        status=overview.status,
        description=Description(
            purpose=prose["§1 business purpose"],
            usage=", ".join(overview.use_cases),
            limitations=f"{prose['§3 leakage guardrails']}\n{prose['§5.1 edge cases']}",
        ),
        authoritativeDefinitions=[
            AuthoritativeDefinition(type="lineage", url=contract.source.lineage_link)
        ],
        schema=[_table(contract)],
        team=Team(
            name=overview.owner,
            members=[
                TeamMember(username=overview.owner, role="owner"),
                TeamMember(username=overview.steward, role="steward"),
            ],
        ),
        roles=[Role(role=consumer, access="read") for consumer in contract.privacy.consumers],
        support=[Support(channel=contract.drift.alert_channel, scope="notifications")],
        slaProperties=list(_service_levels(contract)),
        customProperties=[*_terms_without_a_field(contract), *_prose_without_a_field(contract)],
    )


def _table(contract: Contract) -> SchemaObject:
    return SchemaObject(
        name=contract.overview.feature_name,
        physicalName=contract.parity.offline_path,
        physicalType="table",
        logicalType="object",
        description=contract.prose["§5.1 definition"],
        properties=[*_keys(contract), *(_feature(contract, name) for name in contract.features)],
        quality=list(_rules_of_the_table(contract)),
    )


def _keys(contract: Contract) -> Iterator[SchemaProperty]:
    """What identifies a row: the join keys, and the moment its values became known."""
    keys, time = contract.entity.join_keys, contract.time
    for position, key in enumerate(keys, start=1):
        yield SchemaProperty(
            name=key,
            required=True,
            primaryKey=True,
            primaryKeyPosition=position,
            classification=contract.privacy.classification,
        )
    yield SchemaProperty(
        name=time.event_timestamp,
        logicalType="timestamp",
        logicalTypeOptions={"timezone": True, "defaultTimezone": time.timezone},
        required=True,
        primaryKey=True,
        primaryKeyPosition=len(keys) + 1,
        classification=contract.privacy.classification,
    )


def _feature(contract: Contract, name: str) -> SchemaProperty:
    allowed = contract.definition.allowed.get(name)
    bounds = _bounds(allowed) if isinstance(allowed, Range) else {}
    return SchemaProperty(
        name=name,
        logicalType=_logical_type(contract, name),
        logicalTypeOptions=bounds or None,
        # Served values are never null where the contract says so: the default stands in for the
        # nulls that the table may hold.
        required=not contract.is_nullable(name) and contract.null_rate_of(name) == 0,
        classification=contract.privacy.classification,
        transformSourceObjects=list(contract.source.systems),
        quality=list(_rules_of_a_feature(contract, name)),
    )


def _logical_type(contract: Contract, name: str) -> str:
    own, allowed = contract.own(name).data_type, contract.definition.allowed.get(name)
    if own is None:
        return "string" if isinstance(allowed, AllowedValues) else "number"
    kinds = {"string": "string", "bool": "boolean"}
    return kinds.get(own, "integer" if own.startswith("int") else "number")


def _bounds(allowed: Range) -> dict[str, float]:
    return {_SIDES[operator]: _plain(bound) for operator, bound in allowed.bounds}


_SIDES = {"≥": "minimum", ">": "exclusiveMinimum", "≤": "maximum", "<": "exclusiveMaximum"}
_OUTSIDE = {"≥": "<", ">": "<=", "≤": ">", "<": ">="}


def _rules_of_a_feature(contract: Contract, name: str) -> Iterator[DataQuality]:
    nulls = _percent(contract.null_rate_of(name))
    yield _metric(
        "§6 completeness", "completeness", "nullValues", unit="percent", mustBeLessOrEqualTo=nulls
    )
    allowed = contract.definition.allowed.get(name)
    if isinstance(allowed, AllowedValues):
        listed = {"validValues": list(allowed.values)}
        yield _metric(
            "§5.2 allowed range", "conformity", "invalidValues", arguments=listed, mustBe=0
        )
        return
    if isinstance(allowed, Range):
        outside = [f"{name} {_OUTSIDE[sign]} {_plain(bound)}" for sign, bound in allowed.bounds]
        yield _no_row("§5.2 allowed range", "conformity", " OR ".join(outside))
    least = _plain(contract.quality.minimum_value)
    yield _no_row("§6 validity", "conformity", f"{name} < {least}")


def _rules_of_the_table(contract: Contract) -> Iterator[DataQuality]:
    record = {"properties": [*contract.quality.unique_per, contract.time.event_timestamp]}
    yield _metric("§6 uniqueness", "uniqueness", "duplicateValues", arguments=record, mustBe=0)
    for rule in contract.quality.consistency:
        relation = f"{rule.left} {SQL[rule.operator]} {rule.right}"
        yield _no_row("§6 consistency", "consistency", f"NOT ({relation})")


def _metric(clause: str, dimension: str, metric: str, **rule: object) -> DataQuality:
    named = {"name": clause, "type": "library", "dimension": dimension, "metric": metric}
    return DataQuality.model_validate(named | rule)


def _no_row(clause: str, dimension: str, condition: str) -> DataQuality:
    query = f"SELECT COUNT(*) FROM {{object}} WHERE {condition}"
    named = {"name": clause, "type": "sql", "dimension": dimension, "query": query, "mustBe": 0}
    return DataQuality.model_validate(named | {"description": f"no row where {condition}"})


def _service_levels(contract: Contract) -> Iterator[ServiceLevelAgreementProperty]:
    """Named as the data QoS table names them, which the standard recommends; and `freshness`."""
    stamp = f"{contract.overview.feature_name}.{contract.time.event_timestamp}"
    yield _lasting("freshness", contract.quality.freshness, element=stamp)
    yield _lasting("frequency", contract.source.refresh_cadence.every, element=stamp)
    yield _lasting("retention", contract.privacy.retention, element=stamp)
    serving = contract.test_plan.performance
    for latency in reversed(serving.latencies):
        percentile = _plain(latency.percentile)
        served = f"online look-up, percentile {percentile}"
        yield _lasting("latency", latency.maximum, valueExt=percentile, description=served)
    yield ServiceLevelAgreementProperty(
        property="errorRate", value=_percent(serving.maximum_error_rate), unit="percent"
    )


def _lasting(name: str, length: timedelta, **more: object) -> ServiceLevelAgreementProperty:
    """A service level in the largest unit that divides it."""
    unit = next((unit for unit, one in _UNITS.items() if not length % one), "ms")
    level = {"property": name, "value": _plain(length / _UNITS[unit]), "unit": unit}
    return ServiceLevelAgreementProperty.model_validate(level | more)


def _terms_without_a_field(contract: Contract) -> Iterator[CustomProperty]:
    """The rest of the terms, as `export --to json` spells them."""
    for group, terms in contract.terms().items():
        for name, value in terms.items():
            if name not in _HAVE_A_FIELD.get(group, ()):
                yield CustomProperty(
                    property=to_camel(f"{group}_{name}"),
                    value="none" if value is None else value,  # the document's own word
                )


def _prose_without_a_field(contract: Contract) -> Iterator[CustomProperty]:
    for clause, text in contract.prose.items():
        if clause not in _PROSE_WITH_A_FIELD:
            label = clause.partition(" ")[2].replace(" ", "_")
            yield CustomProperty(property=to_camel(label), value=text, description=clause)


def _percent(share: float) -> float:
    return _plain(round(share * 100, 10))


def _plain(number: float) -> float:
    """A whole number without its decimal point."""
    return int(number) if number == int(number) else number
