"""The ODCS document says everything the contract says, and the standard's own model reads it."""

import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from kept_evidence import kept_rows
from open_data_contract_standard.model import OpenDataContractStandard
from pydantic import TypeAdapter

from contract_checks.language import odcs
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.language.terms import Terms

ROOT = Path(__file__).parents[3]
CONTRACTS = sorted([*ROOT.glob("contracts/*.md"), *ROOT.glob("tests/contracts/*.md")])
OURS = ROOT / "contracts" / "customer_profile_v1.md"
DEVICE = ROOT / "tests" / "contracts" / "device_session_v1.md"


@pytest.fixture(params=CONTRACTS, ids=lambda path: path.stem)
def contract(request: pytest.FixtureRequest) -> Contract:
    return load(request.param)


def read(contract: Contract) -> dict[str, Any]:
    document = yaml.safe_load(odcs.document(contract))
    assert isinstance(document, dict)
    return document


# Nothing is lost


def test_the_terms_are_read_back_from_the_document(contract: Contract) -> None:
    assert len(CONTRACTS) >= 3
    assert read_back(read(contract)) == contract.terms()


def test_the_prose_is_in_the_document(contract: Contract) -> None:
    said = "\n".join(map(str, leaves(read(contract))))
    assert len(contract.prose) == 8
    assert [clause for clause, text in contract.prose.items() if text not in said] == []


def read_back(document: dict[str, Any]) -> dict[str, Any]:
    """The contract's terms, from the document alone."""
    (table,) = document["schema"]
    columns = table["properties"]
    *keys, stamp = (column for column in columns if column.get("primaryKey"))
    features = [column for column in columns if not column.get("primaryKey")]
    rules = [rule for feature in features for rule in feature["quality"]]
    levels = {level["property"]: level for level in document["slaProperties"]}
    lineage = document["authoritativeDefinitions"][0]
    unique = next(rule for rule in table["quality"] if rule["name"] == "§6 uniqueness")
    fields = {
        "overview": {
            "feature_name": document["name"],
            "version": document["version"],
            "status": document["status"],
            **{member["role"]: member["username"] for member in document["team"]["members"]},
            "use_cases": document["description"]["usage"].split(", "),
        },
        "entity": {"join_keys": [key["name"] for key in keys]},
        "time": {
            "event_timestamp": stamp["name"],
            "timezone": stamp["logicalTypeOptions"]["defaultTimezone"],
        },
        "source": {
            "systems": only(feature["transformSourceObjects"] for feature in features),
            "refresh_cadence": duration(levels["frequency"]),
            "lineage_link": lineage["url"],
        },
        "definition": {"allowed": dict(allowed(features))},
        "quality": {
            "maximum_null_rate": only(
                rule["mustBeLessOrEqualTo"] / 100 for rule in rules if "§6 comp" in rule["name"]
            ),
            "minimum_value": only(
                float(rule["query"].split()[-1]) for rule in rules if rule["name"] == "§6 validity"
            ),
            "unique_per": unique["arguments"]["properties"][:-1],
            "consistency": list(relations(table["quality"])),
            "freshness": duration(levels["freshness"]),
        },
        "drift": {"alert_channel": document["support"][0]["channel"]},
        "parity": {"offline_path": table["physicalName"]},
        "privacy": {
            "classification": only(column["classification"] for column in columns),
            "retention": duration(levels["retention"]),
            "consumers": [role["role"] for role in document["roles"]],
        },
        "test_plan": {
            "performance": {
                "latency_percentile": levels["latency"]["valueExt"],
                "maximum_latency": duration(levels["latency"]),
                "maximum_error_rate": pytest.approx(levels["errorRate"]["value"] / 100),
            }
        },
    }
    groups = {name: field.annotation for name, field in Contract.model_fields.items()}
    return {
        group: fields.get(group, {}) | dict(custom(document, group, terms))
        for group, terms in groups.items()
        if isinstance(terms, type) and issubclass(terms, Terms)
    }


def custom(document: dict[str, Any], group: str, terms: type[Terms]) -> Iterator[tuple[str, Any]]:
    named = {one["property"]: one["value"] for one in document["customProperties"]}
    for name in terms.model_fields:
        first, *rest = f"{group}_{name}".split("_")
        if (place := first + "".join(map(str.capitalize, rest))) in named:
            value = named[place]
            yield name, None if value == "none" else value


def only(values: Any) -> Any:
    first, *others = values
    assert all(other == first for other in others)
    return first


def duration(level: dict[str, Any]) -> str:
    units = {"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds"}
    length = timedelta(**{units[level["unit"]]: level["value"]})
    whole_days = length == timedelta(length.days)
    iso = TypeAdapter(timedelta).dump_python(length, mode="json")
    return f"P{length.days}D" if whole_days else str(iso)


def allowed(features: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for feature in features:
        rules = {rule["name"]: rule for rule in feature["quality"]}
        if feature["logicalType"] == "string":
            listed = rules["§5.2 allowed range"]["arguments"]["validValues"]
            yield feature["name"], {"values": listed}
        elif bounds := feature.get("logicalTypeOptions"):
            sides = {side: bounds.get(side) for side in ("minimum", "maximum")}
            yield feature["name"], sides


def relations(rules: list[dict[str, Any]]) -> Iterator[dict[str, str]]:
    symbols = {">=": "≥", "<=": "≤", ">": ">", "<": "<", "=": "="}
    for rule in rules:
        if rule["name"] == "§6 consistency":
            left, operator, right = rule["query"].partition(" NOT (")[2].rstrip(")").split()
            yield {"left": left, "operator": symbols[operator], "right": right}


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from leaves(part)
    else:
        yield value


# The standard


def test_the_model_reads_what_it_wrote(contract: Contract) -> None:
    text = odcs.document(contract)
    again = OpenDataContractStandard.from_string(text)
    assert again == odcs.model(contract)
    # The model drops what it does not know below the top: nothing was.
    assert again.model_dump(by_alias=True, exclude_none=True) == yaml.safe_load(text)
    assert again.to_yaml() == text


def test_the_document_has_what_the_standard_requires(contract: Contract) -> None:
    document = read(contract)
    assert document["apiVersion"] == "v3.2.0"
    assert document["kind"] == "DataContract"
    assert {"version", "id", "status"} <= document.keys()
    assert all({"property", "value"} <= one.keys() for one in document["slaProperties"])
    assert all({"property", "value"} <= one.keys() for one in document["customProperties"])
    (table,) = document["schema"]
    rules = [*table["quality"], *(r for c in table["properties"] for r in c.get("quality", []))]
    assert len(rules) > 3
    for rule in rules:
        assert sum(key.startswith("mustBe") for key in rule) == 1
        assert rule["metric" if rule["type"] == "library" else "query"]
    names = [one["property"] for one in document["customProperties"]]
    assert len(set(names)) == len(names)


# What it says of ours


def test_a_column() -> None:
    (table,) = read(load(OURS))["schema"]
    key, stamp, *_, sessions = table["properties"]
    assert key == {
        "name": "customer_id",
        "primaryKey": True,
        "primaryKeyPosition": 1,
        "required": True,
        "classification": "internal",
    }
    assert (stamp["primaryKeyPosition"], stamp["logicalType"]) == (2, "timestamp")
    assert sessions == {
        "name": "sessions_30d",
        "logicalType": "number",
        "logicalTypeOptions": {"minimum": 0, "maximum": 10000},
        "required": False,
        "classification": "internal",
        "transformSourceObjects": ["data_warehouse.customer_events"],
        "quality": [
            {
                "name": "§6 completeness",
                "type": "library",
                "dimension": "completeness",
                "metric": "nullValues",
                "unit": "percent",
                "mustBeLessOrEqualTo": 1,
            },
            {
                "name": "§5.2 allowed range",
                "type": "sql",
                "dimension": "conformity",
                "description": "no row where sessions_30d < 0 OR sessions_30d > 10000",
                "query": "SELECT COUNT(*) FROM {object} "
                "WHERE sessions_30d < 0 OR sessions_30d > 10000",
                "mustBe": 0,
            },
            {
                "name": "§6 validity",
                "type": "sql",
                "dimension": "conformity",
                "description": "no row where sessions_30d < 0",
                "query": "SELECT COUNT(*) FROM {object} WHERE sessions_30d < 0",
                "mustBe": 0,
            },
        ],
    }


def test_service_levels() -> None:
    levels = read(load(OURS))["slaProperties"]
    stamp = "customer_profile.event_timestamp"
    assert levels == [
        {"property": "freshness", "value": 2, "unit": "h", "element": stamp},
        {"property": "frequency", "value": 1, "unit": "h", "element": stamp},
        {"property": "retention", "value": 365, "unit": "d", "element": stamp},
        {
            "property": "latency",
            "value": 50,
            "valueExt": 95,
            "unit": "ms",
            "description": "online look-up, percentile 95",
        },
        {"property": "errorRate", "value": 0.1, "unit": "percent"},
    ]


def test_listed_values_are_a_rule() -> None:
    (table,) = read(load(DEVICE))["schema"]
    tier = next(column for column in table["properties"] if column["name"] == "plan_tier")
    assert tier["logicalType"] == "string"
    assert tier["quality"][1]["arguments"] == {"validValues": ["free", "pro", "enterprise"]}
    assert [column["primaryKeyPosition"] for column in table["properties"][:3]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ("true", []),
        ("sessions_30d = -1", ["§5.2 allowed range", "§6 validity"]),
        ("orders_30d = 1001", ["§5.2 allowed range"]),
        ("distinct_order_days_30d = 4", ["§6 consistency"]),
    ],
)
def test_the_sql_rules_are_sql_and_judge_as_the_checks_do(change: str, broken: list[str]) -> None:
    (table,) = read(load(OURS))["schema"]
    rules = [*(r for c in table["properties"] for r in c.get("quality", [])), *table["quality"]]
    queries = [(rule["name"], rule["query"]) for rule in rules if rule["type"] == "sql"]
    assert len(queries) > 7
    rows = kept_rows()
    if "=" in change:
        column, value = change.split(" = ")
        rows[7][column] = int(value)
    with duckdb.connect() as connection:
        columns = ", ".join(f"{name} {sql_type(value)}" for name, value in rows[0].items())
        connection.execute(f"CREATE TABLE offline ({columns})")
        for row in rows:
            connection.execute("INSERT INTO offline VALUES (?, ?, ?, ?, ?, ?)", [*row.values()])
        counts = [
            (name, connection.execute(query.replace("{object}", "offline")).fetchall()[0][0])
            for name, query in queries
        ]
    assert [name for name, count in counts if count != 0] == broken


def sql_type(value: object) -> str:
    return {int: "BIGINT", float: "DOUBLE"}.get(type(value), "TIMESTAMPTZ")


# The command


def test_export_writes_the_document() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "contract_checks", "export", OURS, "--to", "odcs"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode("utf-8") == odcs.document(load(OURS))
    assert done.stdout.endswith(b"\n")
    assert "§7 join drift checks" in done.stdout.decode("utf-8")


def test_export_of_an_invalid_document_writes_only_problems() -> None:
    several = ROOT / "tests" / "contracts" / "invalid" / "several_defects.md"
    done = subprocess.run(
        [sys.executable, "-m", "contract_checks", "export", several, "--to", "odcs"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr
