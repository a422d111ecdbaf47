"""Evidence for which every check is kept, small enough to read, and ways to break it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.evidence.facts import (
    Evidence,
    Parity,
    ProbeAnswer,
    ProbeRun,
    RegisteredEntity,
    RegisteredField,
    RegisteredView,
    Registry,
)
from contract_checks.evidence.probes import load_probes, probes_of
from contract_checks.evidence.tables import read_join, read_offline_store
from contract_checks.language.contract import Contract

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEW = "customer_profile_v1"
FEATURES = ("avg_order_value_30d", "distinct_order_days_30d", "orders_30d", "sessions_30d")
_ZONED = pa.timestamp("us", tz="UTC")

Rows = list[dict[str, Any]]


def kept_rows() -> Rows:
    """An offline table of 200 customers, one row each, stamped within the last hour."""
    return [
        {
            "customer_id": customer,
            "event_timestamp": AS_OF - timedelta(minutes=customer % 60),
            "avg_order_value_30d": 25.5,
            "orders_30d": 3,
            "sessions_30d": 4,
            "distinct_order_days_30d": 2,
        }
        for customer in range(200)
    ]


def kept_events() -> Rows:
    """An event of each of those customers, arrived within the hour."""
    return [
        {
            "customer_id": customer,
            "event_timestamp": AS_OF - timedelta(days=1, minutes=customer),
            "created_timestamp": AS_OF - timedelta(days=1, minutes=customer) + timedelta(hours=1),
        }
        for customer in range(200)
    ]


def kept_view(offline: Path) -> RegisteredView:
    """The feature view as feature_repo declares it."""
    entity = RegisteredEntity("customer_id", ("customer_id",), "INT64")
    return RegisteredView(
        name=VIEW,
        entities=(entity,),
        ttl=timedelta(days=30),
        owner="Customer Analytics Team",
        description="",
        tags={
            "version": "v1",
            "status": "Active",
            "steward": "Data Platform Team",
            "use_cases": (
                "Churn prediction, customer segmentation, personalization, retention scoring"
            ),
            "source": "data_warehouse.customer_events",
            "source_owner": "Data Engineering",
            "refresh_cadence": "hourly",
            "lineage": "https://catalog.company.com/lineage/customer_profile",
            "classification": "Internal",
            "pii": "customer_id",
            "retention": "365 days",
            "approved_consumers": "ML Platform, Marketing Analytics",
        },
        fields=(
            RegisteredField("avg_order_value_30d", "Float64", "0"),
            RegisteredField("distinct_order_days_30d", "Int64", "0"),
            RegisteredField("orders_30d", "Int64", "0"),
            RegisteredField("sessions_30d", "Int64", "0"),
        ),
        online=True,
        source="data_warehouse.customer_features_offline",
        source_path=str(offline),
        source_owner="Data Engineering",
        timestamp_field="event_timestamp",
        materialized_to=AS_OF - timedelta(hours=1),
    )


def kept_probes(contract: Contract) -> ProbeRun:
    """Every probe answered as the contract expects."""
    probes = load_probes(contract, probes_of(contract)).probes
    keys = (*map(str, range(len(probes))), "unknown", "0")
    return ProbeRun(tuple(ProbeAnswer(p, p.expected) for p in probes), keys, keys)


def answered(clause: str, **values: Any) -> Callable[[ProbeRun], ProbeRun]:
    """Change the answer to the last probe of a clause."""

    def change(run: ProbeRun) -> ProbeRun:
        answers = list(run.answers)
        last = max(i for i, answer in enumerate(answers) if answer.probe.clause == clause)
        answers[last] = replace(answers[last], got={**answers[last].got, **values})
        return replace(run, answers=tuple(answers))

    return change


def gathered(
    contract: Contract,
    folder: Path,
    *,
    rows: Callable[[Rows], Any] = lambda rows: None,
    types: dict[str, pa.DataType] | None = None,
    events: Callable[[Rows], Any] = lambda events: None,
    view: Callable[[RegisteredView], RegisteredView] = lambda view: view,
    registry: Callable[[Registry], Registry] = lambda registry: registry,
    probes: Callable[[ProbeRun], ProbeRun] = lambda probes: probes,
    parity: Callable[[Parity], Parity] = lambda parity: parity,
) -> Evidence:
    """Evidence read from real files, after each given change was made to what it is read from."""
    table, happened = kept_rows(), kept_events()
    rows(table)
    events(happened)
    offline = folder / "customer_features_offline.parquet"
    _write(table, offline, types or {})
    _write(happened, folder / "customer_events.parquet", {})
    declared = view(kept_view(offline))
    objects = Registry(
        project="feature_store",
        entities={entity.name: entity for entity in declared.entities},
        views={declared.name: declared},
        services={VIEW: {VIEW: FEATURES}, "customer_profile": {VIEW: FEATURES}},
    )
    return Evidence(
        AS_OF,
        registry(objects),
        read_offline_store(contract, declared, AS_OF),
        read_join(contract, declared, AS_OF),
        probes(kept_probes(contract)),
        parity(Parity(200, dict.fromkeys(FEATURES, 0), ())),
    )


def _write(rows: Rows, path: Path, types: dict[str, pa.DataType]) -> None:
    standard = {
        "customer_id": pa.int64(),
        "event_timestamp": _ZONED,
        "created_timestamp": _ZONED,
        "avg_order_value_30d": pa.float64(),
        "orders_30d": pa.int64(),
        "sessions_30d": pa.int64(),
        "distinct_order_days_30d": pa.int64(),
    }
    chosen = {**standard, **types}
    names = dict.fromkeys(name for row in rows for name in row)
    pq.write_table(pa.Table.from_pylist(rows, pa.schema([(n, chosen[n]) for n in names])), path)


def set_in(index: int, **values: Any) -> Callable[[Rows], Any]:
    """Change one row."""
    return lambda rows: rows[index].update(values)


def set_tag(tag: str, value: str | None) -> Callable[[RegisteredView], RegisteredView]:
    """Change or remove one tag of the view."""

    def change(view: RegisteredView) -> RegisteredView:
        tags = {name: text for name, text in view.tags.items() if name != tag}
        return replace(view, tags=tags if value is None else tags | {tag: value})

    return change


def set_field(name: str, **changes: Any) -> Callable[[RegisteredView], RegisteredView]:
    """Change one field of the view."""
    return lambda view: replace(
        view, fields=tuple(replace(f, **changes) if f.name == name else f for f in view.fields)
    )
