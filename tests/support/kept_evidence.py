"""Evidence for which every check is kept, small enough to read, and ways to break it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.evidence.declared import (
    RegisteredEntity,
    RegisteredField,
    RegisteredService,
    RegisteredView,
    Registry,
)
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import (
    Distribution,
    Drift,
    MissingEvidence,
    OfflineStore,
    OnlineStore,
    Operations,
    Parity,
    ProbeAnswer,
    ProbeRun,
    TrainingSet,
)
from contract_checks.evidence.fingerprint import fingerprint
from contract_checks.evidence.probes import load_probes, probes_of
from contract_checks.evidence.tables import (
    interval_digest,
    offline_sessions,
    read_join,
    read_offline_store,
)
from contract_checks.language.contract import Contract
from contract_checks.language.signing import Signature, signed_content
from contract_checks.operations.log import Record
from feature_pipeline.change_log.outliers import flag_outliers

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEW = "customer_profile_v1"
FEATURES = ("avg_order_value_30d", "distinct_order_days_30d", "orders_30d", "sessions_30d")
HOUR = timedelta(hours=1)
_ZONED = pa.timestamp("us", tz="UTC")

KEPT_ONLINE = OnlineStore(AS_OF - timedelta(days=20), AS_OF - 2 * HOUR, AS_OF - 2 * HOUR)

TESTED_CODE = b"SELECT 1"
"""What lay in `a.sql` when the jobs ran."""

Rows = list[dict[str, Any]]
Records = list[Record]
Which = Callable[[Record], bool]


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
    entity = RegisteredEntity(
        "customer_id", ("customer_id",), "INT64", "Customer Analytics Team", "A customer."
    )
    return RegisteredView(
        name=VIEW,
        entities=(entity,),
        ttl=timedelta(days=30),
        owner="Customer Analytics Team",
        description="How a customer behaved lately.",
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
            "upstream": "customer_events_ingestion_job, customer_activity_dbt_model",
            "lineage": "https://catalog.company.com/lineage/customer_profile",
            "classification": "Internal",
            "pii": "customer_id",
            "masking": "customer_id is hashed in training datasets",
            "alerts": "#ml-alerts",
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


def serving(*views: str, features: tuple[str, ...] = FEATURES) -> RegisteredService:
    """A service of those views."""
    served = dict.fromkeys(views, features)
    return RegisteredService(served, "Customer Analytics Team", "Customers' behaviour.")


def kept_probes(contract: Contract) -> ProbeRun:
    """Every probe answered as the contract expects."""
    probes = load_probes(contract, probes_of(contract)).probes
    keys = (*map(str, range(len(probes))), "unknown", "0")
    return ProbeRun(tuple(ProbeAnswer(p, p.expected) for p in probes), keys, keys)


def _or_why_not(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except MissingEvidence as missing:
        return missing


def kept_records(
    contract: Contract,
    view: RegisteredView,
    offline: OfflineStore | MissingEvidence,
    outliers: dict[str, int],
) -> list[Record]:
    """A day of hourly refreshes, then a rehearsal and the promotion it ended in."""

    def ran(job: str, subject: str = VIEW, hours: float = 1, **figures: Any) -> Record:
        return Record(job, subject, AS_OF - timedelta(hours=hours), True, 1.0, figures)

    code = {"a.sql": sha256(TESTED_CODE).hexdigest()}
    start, newest = AS_OF - timedelta(days=7), None
    stretch, digest = {"from": start.isoformat(), "to": AS_OF.isoformat()}, ""
    if isinstance(offline, OfflineStore):
        newest = offline.newest and offline.newest.isoformat()
        if "event_timestamp" in offline.history.columns:
            digest = interval_digest(offline.history, "event_timestamp", start, AS_OF)
    compared = {f: {"compared": 1000, "mismatched": 0, "upper_bound": 0.003} for f in FEATURES}
    return [
        *(
            ran("refresh", hours=hours, outliers=outliers, newest=newest)
            for hours in range(30, -1, -1)
        ),
        *(ran("upstream", job, rows=200) for job in contract.source.upstream),
        ran("training_set", hours=40, path="set.parquet", rows=9, consumer="ml platform"),
        ran("access_review", hours=39),
        ran("unit_tests", tests=9, failures=0, files=code),
        ran("backfill", rows=100, differing=0, files=code, digest=digest, **stretch),
        ran("canary", customers=100, differing=0, files=code),
        ran("shadow_compare", reads=1000, features=compared, files=code),
        ran("load_test", requests=3000, errors=0, error_rate=0.0, p95_ms=2.5, files=code),
        ran("promotion", **fingerprint(contract, view, kept_probes(contract))),
    ]


def kept_signatures(contract: Contract) -> dict[str, Signature]:
    """The three approvals, of the content as it stands."""
    signed = {
        "§12 data owner approval": contract.sign_off.data_owner,
        "§12 ml owner approval": contract.sign_off.ml_owner,
        "§12 platform approval": contract.sign_off.platform,
    }
    content = signed_content(contract)
    return {clause: Signature(a.name, a.date, content) for clause, a in signed.items()}


def kept_drift() -> Drift:
    """Hardly any."""
    spread = Distribution(("0", "1"), (500, 500), (510, 490), 0.0004, 0.008)
    return Drift(
        baseline_from=AS_OF - timedelta(days=30, hours=1),
        baseline_to=AS_OF - timedelta(hours=1),
        features=dict.fromkeys(FEATURES, spread),
        baseline_match_rate=1.0,
        baseline_fanout_ratio=1.0,
        intact=True,
    )


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
    records: Callable[[list[Record]], Any] = lambda records: None,
    changed_files: dict[tuple[str, str], tuple[str, ...]] | None = None,
    drift: Callable[[Drift], Drift] = lambda drift: drift,
    oldest: datetime = AS_OF - timedelta(days=300),
    unmasked: int = 0,
    promoted_from: Contract | None = None,
    parity: Callable[[Parity], Parity] = lambda parity: parity,
    online: OnlineStore = KEPT_ONLINE,
    training_sets: tuple[TrainingSet, ...] | None = None,
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
        services={VIEW: serving(VIEW), "customer_profile": serving(VIEW)},
    )
    promoted = promoted_from or contract
    known = [row for row in table if row.get("event_timestamp") and row["event_timestamp"] <= AS_OF]
    _write(known or table, folder / "known.parquet", types or {})
    outliers = flag_outliers(
        folder / "known.parquet",
        contract.quality.outliers.percentile,
        after=AS_OF - contract.time.lookback,
        until=AS_OF,
    )
    sessions = offline_sessions(contract, declared)
    stored = _or_why_not(lambda: read_offline_store(contract, declared, sessions(AS_OF)))
    ran = kept_records(promoted, kept_view(offline), stored, outliers)
    records(ran)
    return Evidence(
        as_of=AS_OF,
        gathered_registry=registry(objects),
        gathered_offline=stored,
        gathered_online=online,
        gathered_join=_or_why_not(lambda: read_join(contract, declared, sessions, AS_OF)),
        gathered_probes=probes(kept_probes(contract)),
        gathered_parity=parity(Parity(200, dict.fromkeys(FEATURES, 0), ())),
        gathered_operations=Operations(tuple(sorted(ran, key=lambda r: r.at)), changed_files or {}),
        gathered_drift=drift(kept_drift()),
        gathered_training_sets=(TrainingSet("set.parquet", 9, {"customer_id": unmasked}),)
        if training_sets is None
        else training_sets,
        gathered_oldest={"offline": oldest, "online": oldest},
        gathered_signatures=kept_signatures(promoted),
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


def without(job: str, which: Which = lambda record: True) -> Callable[[Records], Any]:
    """Take runs of a job off the record."""
    return _each(job, which, lambda record: None)


def failed(job: str, which: Which = lambda record: True) -> Callable[[Records], Any]:
    """Let runs of a job fail."""
    return _each(job, which, lambda record: replace(record, passed=False))


def moved(job: str, by: timedelta, which: Which = lambda record: True) -> Callable[[Records], Any]:
    """Let runs of a job happen at another time."""
    return _each(job, which, lambda record: replace(record, at=record.at + by))


def figured(job: str, **figures: Any) -> Callable[[Records], Any]:
    """Change what a job counted."""
    return _each(job, lambda record: True, lambda r: replace(r, figures={**r.figures, **figures}))


def alerted(
    clause: str, channel: str = "#ml-alerts", delivered: bool = True, state: str = "begun"
) -> Callable[[Records], Any]:
    """Tell of drift in every feature."""
    return lambda records: records.extend(
        Record(
            "alert",
            VIEW,
            AS_OF,
            delivered,
            figures={
                "clause": clause,
                "feature": feature,
                "state": state,
                "message": "drift",
                "figure": "PSI 0.15",
                "channel": channel,
                "delivered": delivered,
            },
        )
        for feature in FEATURES
    )


def released(version: str, days: int) -> Callable[[Records], Any]:
    """Promote another version of the feature, days ago."""

    def change(records: Records) -> None:
        v1 = next(record for record in records if record.job == "promotion")
        at = AS_OF - timedelta(days=days)
        records.remove(v1)
        records.append(replace(v1, at=at - timedelta(days=1)))
        records.append(replace(v1, at=at, subject=f"customer_profile_{version}"))

    return change


def rolled_back(version: str, days: int) -> Callable[[Records], Any]:
    """Promote another version of the feature, days ago, and go back to this one after an hour."""

    def change(records: Records) -> None:
        released(version, days)(records)
        at, other = AS_OF - timedelta(days=days) + HOUR, f"customer_profile_{version}"
        records.append(Record("rollback", VIEW, at, True, figures={"from": other}))

    return change


def preceded(days: int) -> Callable[[Records], Any]:
    """Promote v0, whose support ends 90 days after this version, which is promoted days ago."""

    def change(records: Records) -> None:
        v1 = next(record for record in records if record.job == "promotion")
        at, terms = AS_OF - timedelta(days=days), v1.figures["terms"]
        plan = {**terms["versioning"]["deprecation"], "version": "v0", "successor": "v1"}
        figures = v1.figures | {
            "terms": terms
            | {
                "overview": {**terms["overview"], "version": "v0"},
                "versioning": {**terms["versioning"], "deprecation": plan},
            }
        }
        v0 = replace(v1, at=at - HOUR, subject="customer_profile_v0", figures=figures)
        records.remove(v1)
        records.extend([v0, replace(v1, at=at)])

    return change


def points_at(version: str, beside: bool = False) -> Callable[[Registry], Registry]:
    """Let the pointer serve another version, in the place of this one or beside it."""

    def change(registry: Registry) -> Registry:
        name = f"customer_profile_{version}"
        mine = registry.views[VIEW]
        old = mine if beside else replace(mine, materialized_to=AS_OF - timedelta(days=1))
        services = {**registry.services, "customer_profile": serving(name)}
        return replace(
            registry,
            views={**registry.views, VIEW: old, name: replace(mine, name=name)},
            services=services,
        )

    return change


def drifted(psi: float) -> Callable[[Drift], Drift]:
    """Let one feature drift."""
    return lambda drift: replace(
        drift,
        features={
            **drift.features,
            "orders_30d": replace(drift.features["orders_30d"], psi=psi),
        },
    )


def _each(
    job: str, which: Which, change: Callable[[Record], Record | None]
) -> Callable[[Records], Any]:
    def changed(records: Records) -> None:
        found = [record for record in records if record.job == job and which(record)]
        assert found, f"no {job} to change"
        for record in found:
            records.remove(record)
            if (other := change(record)) is not None:
                records.append(other)

    return changed
