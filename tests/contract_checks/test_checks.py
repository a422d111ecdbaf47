"""Every check keeps what is kept and breaks on what is broken: one example of each, at least."""

import shutil
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from kept_evidence import (
    AS_OF,
    FEATURES,
    HOUR,
    KEPT_ONLINE,
    VIEW,
    Records,
    alerted,
    answered,
    drifted,
    failed,
    figured,
    gathered,
    moved,
    points_at,
    preceded,
    released,
    rolled_back,
    serving,
    set_field,
    set_in,
    set_tag,
    without,
)

from contract_checks import checks
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, OnlineStore, Parity, TrainingSet
from contract_checks.findings import Outcome
from contract_checks.judge import CHECKS, judge
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.operations.log import Record

pytestmark = pytest.mark.usefixtures("one_engine")

assert checks.__all__, "importing the package binds the checks"

ROOT = Path(__file__).parents[2]
POINTER = "customer_profile"
MICROSECOND = timedelta(microseconds=1)
APPROVALS = ("§12 data owner approval", "§12 ml owner approval", "§12 platform approval")

SCHEMA = {"§10 served versions immutable"}
"""What breaks beside when readers see another schema than the promoted one."""
SEMANTICS = SCHEMA | {"§7 semantic drift checks"}
"""What breaks beside when the code answers otherwise than when it was promoted."""


def cut_short(records: Records) -> None:
    """A review failed before it came to anything."""
    error = {"error": "OSError: no space left"}
    records.append(Record("access_review", VIEW, AS_OF, False, 0.1, error))


def both(*changes: Callable[[Records], Any]) -> Callable[[Records], None]:
    """One change of the records after the other."""

    def change(records: Records) -> None:
        for each in changes:
            each(records)

    return change


# What is changed, and the clauses it must break: those and no others.
BREAKS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "service of the version is gone": (
        {"registry": lambda r: replace(r, services={"customer_profile": serving(VIEW)})},
        {"§1 feature name"},
    ),
    "pinned service holds another view too": (
        {"registry": lambda r: replace(r, services={**r.services, VIEW: serving(VIEW, "other")})},
        {"§1 feature name"},
    ),
    "the pointer serves one feature of four": (
        {
            "registry": lambda r: replace(
                r, services={**r.services, POINTER: serving(VIEW, features=FEATURES[:1])}
            )
        },
        {"§1 feature name"},
    ),
    "3 of 200 customers are served another value": (
        {"parity": lambda p: replace(p, differing={**p.differing, "orders_30d": 3})},
        {"§8 acceptable delta"},
    ),
    "a row without its customer": (
        {"rows": lambda rows: rows.append({**rows[0], "customer_id": None})},
        {"§6 completeness"},
    ),
    "a row without its time": (
        {"rows": lambda rows: rows.append({**rows[0], "event_timestamp": None})},
        {"§6 completeness"},
    ),
    "another version": ({"view": set_tag("version", "v2")}, {"§1 version"}),
    "no version": ({"view": set_tag("version", None)}, {"§1 version"}),
    "another status": ({"view": set_tag("status", "Draft")}, {"§1 status"}),
    "another owner": ({"view": lambda v: replace(v, owner="Nobody")}, {"§1 owner"}),
    "an entity without owner": (
        {"view": lambda v: replace(v, entities=(replace(v.entities[0], owner=""),))},
        {"§1 owner"},
    ),
    "a service of another owner": (
        {
            "registry": lambda r: replace(
                r, services={**r.services, POINTER: replace(serving(VIEW), owner="Nobody")}
            )
        },
        {"§1 owner"},
    ),
    "nothing says what it is for": (
        {"view": lambda v: replace(v, description=" ")},
        {"§1 business purpose"},
    ),
    "the pointer joins by another key": (
        {
            "registry": lambda r: replace(
                r, services={**r.services, POINTER: replace(serving(VIEW), renamed=(VIEW,))}
            )
        },
        {"§2 join keys"},
    ),
    "the table's owner is another": (
        {"view": lambda v: replace(v, source_owner="Intern")},
        {"§4 source owner"},
    ),
    "another steward": ({"view": set_tag("steward", "Nobody")}, {"§1 steward"}),
    "a use case less": ({"view": set_tag("use_cases", "Churn prediction")}, {"§1 model"}),
    "another entity": (
        {"view": lambda v: replace(v, entities=(replace(v.entities[0], name="household"),))},
        {"§2 primary entity"} | SCHEMA,
    ),
    "another join key": (
        {
            "view": lambda v: replace(
                v, entities=(replace(v.entities[0], join_keys=("household",)),)
            )
        },
        {"§2 join keys"} | SCHEMA,
    ),
    "a feature without default": (
        {"view": set_field("orders_30d", default=None)},
        {"§2 join failure policy", "§5.2 default value", "§5.2 nullable"} | SCHEMA,
    ),
    "3 percent of active entities unmatched": (
        {"rows": lambda rows: rows.__delitem__(slice(0, 6))},
        {"§2 expected match rate", "§6 cardinality checks", "§7 join drift checks"},
    ),
    "one latest record doubled": (
        {"rows": lambda rows: rows.append(dict(rows[0]))},
        {"§2 fanout", "§6 uniqueness"},
    ),
    "three latest records doubled": (
        {"rows": lambda rows: rows.extend([dict(r) for r in rows[:3]])},
        {"§2 fanout", "§6 uniqueness", "§6 cardinality checks", "§7 join drift checks"},
    ),
    "another timestamp field": (
        {
            "rows": lambda rows: [row.update(happened_at=row["event_timestamp"]) for row in rows],
            "types": {"happened_at": pa.timestamp("us", tz="UTC")},
            "view": lambda v: replace(v, timestamp_field="happened_at"),
        },
        {"§3 event timestamp field"} | SCHEMA,
    ),
    "naive timestamps": (
        {"types": {"event_timestamp": pa.timestamp("us")}},
        {"§3 timestamp timezone"},
    ),
    **{
        f"another answer to {clause}": (
            {"probes": answered(clause, orders_30d=77)},
            {clause} | SEMANTICS,
        )
        for clause in (
            "§3 timestamp timezone",
            "§3 point-in-time correctness",
            "§3 lookback window",
            "§3 allowed lateness",
            "§3 leakage guardrails",
            "§5.1 aggregation",
            "§5.1 dedup rules",
            "§5.1 edge cases",
        )
    },
    "no answer where a default is due": (
        {"probes": answered("§5.1 filters", sessions_30d=None)},
        {"§5.1 filters"} | SEMANTICS,
    ),
    "an entity row lost": (
        {"probes": lambda run: replace(run, returned=run.returned[1:])},
        {"§2 join type"},
    ),
    "entity rows in another order": (
        {"probes": lambda run: replace(run, returned=run.returned[::-1])},
        {"§2 join type"},
    ),
    "an entity row doubled": (
        {"probes": lambda run: replace(run, returned=(*run.returned, "0"))},
        {"§2 join type", "§2 key uniqueness expectation"},
    ),
    "ttl a day longer": (
        {"view": lambda v: replace(v, ttl=timedelta(days=31))},
        {"§3 lookback window"} | SCHEMA,
    ),
    "another source": ({"view": set_tag("source", "lake.events")}, {"§4 source system"}),
    "another source owner": ({"view": set_tag("source_owner", "Nobody")}, {"§4 source owner"}),
    "daily": ({"view": set_tag("refresh_cadence", "daily")}, {"§4 refresh cadence"}),
    "lineage unreadable": ({"view": set_tag("lineage", "see wiki")}, {"§4 lineage link"}),
    "count declared as text": (
        {"view": set_field("orders_30d", dtype="String")},
        {"§5.2 data type"} | SCHEMA,
    ),
    "count stored as a fraction": (
        {"types": {"orders_30d": pa.float64()}},
        {"§5.2 data type"},
    ),
    "feature not declared": (
        {
            "view": lambda v: replace(
                v, fields=tuple(f for f in v.fields if f.name != "sessions_30d")
            )
        },
        {"§5.2 data type"} | SCHEMA,
    ),
    "another default": (
        {"view": set_field("orders_30d", default="1")},
        {"§5.2 default value"} | SCHEMA,
    ),
    "above the range": ({"rows": set_in(7, orders_30d=1001)}, {"§5.2 allowed range"}),
    "below the range": (
        {"rows": set_in(7, sessions_30d=-1)},
        {"§5.2 allowed range", "§6 validity"},
    ),
    "not a number": (
        {"rows": set_in(7, avg_order_value_30d=float("nan"))},
        {"§5.2 allowed range", "§6 validity"},
    ),
    "nulls in 1.5 percent of rows": (
        {"rows": lambda rows: [row.update(sessions_30d=None) for row in rows[:3]]},
        {"§6 completeness"},
    ),
    "more order days than orders": (
        {"rows": set_in(7, distinct_order_days_30d=4)},
        {"§6 consistency"},
    ),
    "offline older than two hours": (
        {
            "rows": lambda rows: [
                row.update(event_timestamp=AS_OF - timedelta(hours=2, microseconds=1))
                for row in rows
            ],
            "records": failed("refresh", lambda r: r.at > AS_OF - 3 * HOUR),
        },
        {"§6 freshness", "§4 refresh cadence"},
    ),
    "online older than two hours": (
        {"view": lambda v: replace(v, materialized_to=AS_OF - timedelta(hours=2, microseconds=1))},
        {"§6 freshness"},
    ),
    "online from the future": (
        {"view": lambda v: replace(v, materialized_to=AS_OF + timedelta(microseconds=1))},
        {"§6 freshness"},
    ),
    "online older than the registry says": (
        {"online": replace(KEPT_ONLINE, heartbeat=AS_OF - timedelta(hours=2, microseconds=1))},
        {"§6 freshness"},
    ),
    "a heartbeat from the future": (
        {"online": replace(KEPT_ONLINE, heartbeat=AS_OF + timedelta(microseconds=1))},
        {"§6 freshness"},
    ),
    "a heartbeat without the rows": (
        {
            "online": replace(
                KEPT_ONLINE, newest=AS_OF - 3 * HOUR, heartbeat=AS_OF - timedelta(hours=1)
            )
        },
        {"§6 freshness"},
    ),
    "never materialized": (
        {"view": lambda v: replace(v, materialized_to=None)},
        {"§6 freshness"},
    ),
    "another offline table": (
        {"view": lambda v: replace(v, source="data_warehouse.other")},
        {"§8 offline computation path"},
    ),
    "another project": (
        {"registry": lambda r: replace(r, project="elsewhere")},
        {"§8 online computation path"},
    ),
    "not served online": (
        {"view": lambda v: replace(v, online=False)},
        {"§8 online computation path"},
    ),
    "another classification": (
        {"view": set_tag("classification", "Public")},
        {"§9 data classification"},
    ),
    "other personal data": ({"view": set_tag("pii", "email")}, {"§9 pii"}),
    "kept longer": ({"view": set_tag("retention", "366 days")}, {"§9 retention policy"}),
    "one more consumer": (
        {"view": set_tag("approved_consumers", "ML Platform, Marketing Analytics, Sales")},
        {"§9 approved consumers"},
    ),
    "signed before it was written": (
        {"document": ("J. Smith — 2026-01-01", "J. Smith — 2025-12-31")},
        {"§12 data owner approval"},
    ),
    "signed by the model owner before it was written": (
        {"document": ("A. Johnson — 2026-01-01", "A. Johnson — 2025-12-31")},
        {"§12 ml owner approval"},
    ),
    "signed for the platform before it was written": (
        {"document": ("Platform Lead — 2026-01-01", "Platform Lead — 2025-12-31")},
        {"§12 platform approval"},
    ),
    "a newer version is in the changelog": (
        {
            "document": (
                "  - v1 — 2026-01-01:",
                "  - v2 — 2026-02-01: More features\n  - v1 — 2026-01-01:",
            )
        },
        {"§10 changelog", *APPROVALS},
    ),
    "a later version is dated earlier": (
        {
            "document": (
                "  - v1 — 2026-01-01:",
                "  - v0 — 2026-01-02: Trial\n  - v1 — 2026-01-01:",
            )
        },
        {"§10 changelog", *APPROVALS},
    ),
}

# The same, of what the operations log tells.
BREAKS |= {
    "a refresh was missed": (
        {"records": without("refresh", lambda r: r.at == AS_OF - timedelta(hours=4))},
        {"§4 refresh cadence"},
    ),
    "a refresh failed": (
        {"records": failed("refresh", lambda r: r.at == AS_OF - timedelta(hours=4))},
        {"§4 refresh cadence"},
    ),
    "nothing was refreshed for an hour and four minutes": (
        {
            "records": lambda records: (
                without("refresh", lambda r: r.at == AS_OF)(records),
                moved("refresh", timedelta(minutes=-4), lambda r: r.at == AS_OF - HOUR)(records),
            )
        },
        {"§4 refresh cadence"},
    ),
    "an outlier that was not flagged": (
        {
            "rows": set_in(7, sessions_30d=9000),
            "records": figured("refresh", outliers=dict.fromkeys(FEATURES, 0)),
        },
        {"§6 outliers"},
    ),
    "an upstream job is not on record": (
        {"records": without("upstream", lambda r: r.subject == "customer_activity_dbt_model")},
        {"§4 upstream dependencies"},
    ),
    "an upstream job failed": ({"records": failed("upstream")}, {"§4 upstream dependencies"}),
    "an upstream job is stale": (
        {"records": moved("upstream", -1 * HOUR - MICROSECOND)},
        {"§4 upstream dependencies"},
    ),
    "other upstream jobs are registered": (
        {"view": set_tag("upstream", "customer_events_ingestion_job")},
        {"§4 upstream dependencies"},
    ),
    "the shadow compare did not pass": (
        {"records": failed("shadow_compare")},
        {"§8 parity required", "§11 shadow reads"},
    ),
    "a feature may differ for more than the delta": (
        {
            "records": figured(
                "shadow_compare",
                features={"orders_30d": {"compared": 99, "mismatched": 0, "upper_bound": 0.0298}},
            )
        },
        {"§8 parity required"},
    ),
    "the shadow compare is a week old": (
        {"records": moved("shadow_compare", -7 * 24 * HOUR)},
        {"§8 shadow compare enabled", "§11 shadow reads"},
    ),
    "a training set holds identifiers": ({"unmasked": 2}, {"§9 masking"}),
    "masked otherwise in the registry": ({"view": set_tag("masking", None)}, {"§9 masking"}),
    "a row is older than the retention": (
        {"oldest": AS_OF - timedelta(days=365) - MICROSECOND},
        {"§9 retention policy"},
    ),
    "somebody else read it": (
        {"records": figured("training_set", consumer="Sales")},
        {"§9 approved consumers"},
    ),
    "the access review is overdue": (
        {"records": moved("access_review", -timedelta(days=92))},
        {"§9 audit requirements"},
    ),
    "the access review is overdue, and the one that was due failed": (
        {"records": both(moved("access_review", -timedelta(days=92)), cut_short)},
        {"§9 audit requirements"},
    ),
    "the access review found others": (
        {"records": failed("access_review")},
        {"§9 audit requirements"},
    ),
    "a promise was made looser without a version": (
        {"document": ("Feature age ≤ 2 hours", "Feature age ≤ 3 hours")},
        {
            "§10 served versions immutable",
            "§10 breaking changes require new version",
            *APPROVALS,
        },
    ),
    "a consumer more, promoted and signed without": (
        {
            "document": ("Marketing Analytics", "Marketing Analytics, Sales"),
            "view": set_tag("approved_consumers", "ML Platform, Marketing Analytics, Sales"),
        },
        set(APPROVALS),
    ),
    "words were changed after they were signed": (
        {"document": ("made-up events", "invented events")},
        set(APPROVALS),
    ),
    "v2 is out and v1 is gone": (
        {"records": released("v2", days=89), "registry": points_at("v2")},
        {"§10 deprecation plan", "§6 freshness"},
    ),
    "v1 answers otherwise since v2 is out": (
        {
            "records": released("v2", days=9),
            "registry": points_at("v2", beside=True),
            "probes": answered("§5.1 aggregation", orders_30d=77),
        },
        SEMANTICS | {"§5.1 aggregation"},
    ),
    "v0 is gone before its time": (
        {"records": preceded(days=89)},
        {"§10 rollback plan"},
    ),
    "v2 was rolled back but is served": (
        {"records": rolled_back("v2", days=9), "registry": points_at("v2", beside=True)},
        {"§10 rollback plan"},
    ),
    "v1 is served again, long after v2, and its pinned service is gone": (
        {
            "records": rolled_back("v2", days=120),
            "registry": lambda r: replace(
                r, services={n: s for n, s in r.services.items() if n != VIEW}
            ),
        },
        {"§10 deprecation plan", "§1 feature name"},
    ),
    "the pointer was moved past the log": (
        {"registry": points_at("v2", beside=True)},
        {"§10 rollback plan"},
    ),
    "unit tests failed": ({"records": failed("unit_tests")}, {"§11 unit tests"}),
    "no unit test ran": ({"records": figured("unit_tests", tests=0)}, {"§11 unit tests"}),
    **{
        f"code changed since {job}": (
            {"changed_files": {(job, VIEW): ("a.sql",)}},
            {clause},
        )
        for job, clause in (
            ("unit_tests", "§11 unit tests"),
            ("backfill", "§11 backfill validation"),
            ("canary", "§11 canary materialization"),
            ("shadow_compare", "§11 shadow reads"),
            ("load_test", "§11 performance tests"),
        )
    },
    "another history was validated": (
        {"records": figured("backfill", digest="another")},
        {"§11 backfill validation"},
    ),
    "six days of history were validated": (
        {"records": figured("backfill", **{"from": (AS_OF - timedelta(days=6)).isoformat()})},
        {"§11 backfill validation"},
    ),
    "rows that the last refresh wrote are gone, and the newest is old": (
        {
            "rows": lambda rows: [
                row.update(event_timestamp=AS_OF - timedelta(hours=2, microseconds=1))
                for row in rows
            ],
            "records": figured("refresh", newest=AS_OF.isoformat()),
        },
        {"§6 freshness"},
    ),
    "the online store lacks the newest rows": (
        {"online": replace(KEPT_ONLINE, newest=AS_OF - timedelta(hours=3))},
        {"§6 freshness"},
    ),
    "the online store serves no row": (
        {"online": replace(KEPT_ONLINE, newest=None)},
        {"§6 freshness"},
    ),
    "a stranger is served a value": (
        {"parity": lambda p: replace(p, strangers={"orders_30d": 1})},
        {"§8 acceptable delta"},
    ),
    "a training set is not the one that was built": (
        {"training_sets": (TrainingSet("set.parquet", 9, {"customer_id": 0}, as_built=False),)},
        {"§9 masking"},
    ),
    "unit tests are a week old": (
        {"records": moved("unit_tests", -7 * 24 * HOUR)},
        {"§11 unit tests"},
    ),
    "backfill found a difference": (
        {"records": figured("backfill", differing=1)},
        {"§11 backfill validation"},
    ),
    "backfill compared nothing": (
        {"records": figured("backfill", rows=0)},
        {"§11 backfill validation"},
    ),
    "the canary differs": (
        {"records": figured("canary", differing=1)},
        {"§11 canary materialization"},
    ),
    "the canary was empty": (
        {"records": figured("canary", customers=0)},
        {"§11 canary materialization"},
    ),
    "the load test was slow": (
        {"records": figured("load_test", p95_ms=50.1)},
        {"§11 performance tests"},
    ),
    "the load test had errors": (
        {"records": figured("load_test", errors=4, error_rate=4 / 3000)},
        {"§11 performance tests"},
    ),
    "drift nobody was told of": (
        {"drift": drifted(psi=0.1)},
        {"§7 warn"},
    ),
    "drift after the incident that was told had ended": (
        {
            "drift": drifted(psi=0.1),
            "records": lambda records: [
                alerted("§7 warn", state=state)(records) for state in ("begun", "ended")
            ],
        },
        {"§7 warn"},
    ),
    "drift that grew to the block since it was told": (
        {"drift": drifted(psi=0.2), "records": alerted("§7 warn")},
        {"§7 warn", "§7 fail"},
    ),
    "drift beyond the block": (
        {"drift": drifted(psi=0.2), "records": alerted("§7 fail")},
        {"§7 fail"},
    ),
    "another baseline window": (
        {"drift": lambda d: replace(d, baseline_from=d.baseline_from - 1 * HOUR)},
        {"§7 baseline window"},
    ),
    "a feature was not measured": (
        {
            "drift": lambda d: replace(
                d, features={n: f for n, f in d.features.items() if n != "orders_30d"}
            )
        },
        {"§7 drift metrics"},
    ),
    "the join matches less than it did": (
        {
            "drift": lambda d: replace(d, baseline_match_rate=1.0),
            "rows": lambda rows: rows.__delitem__(slice(0, 5)),
        },
        {"§7 join drift checks", "§2 expected match rate", "§6 cardinality checks"},
    ),
    "alerts go elsewhere": ({"view": set_tag("alerts", "#random")}, {"§7 alert routing"}),
    "an alert went elsewhere": (
        {"records": alerted("§7 warn", channel="#random")},
        {"§7 alert routing"},
    ),
    "an alert was not delivered": (
        {"records": alerted("§7 warn", delivered=False)},
        {"§7 alert routing"},
    ),
}

# On the edge of a promise, and still kept.
KEEPS: dict[str, dict[str, Any]] = {
    "nothing changed": {},
    "2 percent unmatched": {"rows": lambda rows: rows.__delitem__(slice(0, 4))},
    "1 percent null": {"rows": lambda rows: [r.update(orders_30d=None) for r in rows[:2]]},
    "both ends of a range": {
        "rows": lambda rows: (
            rows[0].update(orders_30d=1000, distinct_order_days_30d=1000),
            rows[1].update(
                orders_30d=0, distinct_order_days_30d=0, avg_order_value_30d=0.0, sessions_30d=0
            ),
        )
    },
    "v2 is out, v1 still served and ready to take over": {
        "records": released("v2", days=89),
        "registry": points_at("v2", beside=True),
    },
    "v1 may go 90 days after v2": {
        "records": released("v2", days=90),
        "registry": points_at("v2", beside=True),
    },
    "v2 was rolled back and taken away": {"records": rolled_back("v2", days=9)},
    "v0 may be gone after its time": {"records": preceded(days=90)},
    "drift below the warning": {"drift": drifted(psi=0.0999)},
    "a warning that was told": {"drift": drifted(psi=0.15), "records": alerted("§7 warn")},
    "a refresh three minutes late": {
        "records": moved("refresh", timedelta(minutes=-3), lambda r: r.at == AS_OF - 1 * HOUR)
    },
    "a review that failed, and is not due yet": {"records": cut_short},
    "a review exactly a quarter ago": {
        "records": moved("access_review", -timedelta(days=90) + 39 * HOUR)
    },
    "a quiet night: nothing changed for five hours": {
        "rows": lambda rows: [row.update(event_timestamp=AS_OF - 5 * HOUR) for row in rows],
        "online": replace(KEPT_ONLINE, newest=AS_OF - 5 * HOUR, newest_to_serve=AS_OF - 5 * HOUR),
    },
    "a heartbeat of exactly two hours ago": {
        "online": replace(KEPT_ONLINE, heartbeat=AS_OF - 2 * HOUR)
    },
    "a heartbeat newer than the registry says": {
        "view": lambda v: replace(v, materialized_to=AS_OF - 3 * HOUR),
        "online": replace(KEPT_ONLINE, heartbeat=AS_OF - HOUR),
    },
    "nothing is left to serve": {"online": OnlineStore(None, None, None)},
    "no training set is there still": {"training_sets": ()},
    "three of a sample of a thousand differ": {
        "parity": lambda p: Parity(1000, {"orders_30d": 3}, (), entities=9999)
    },
    "a row exactly 365 days old": {"oldest": AS_OF - timedelta(days=365)},
    "exactly two hours old online": {
        "view": lambda v: replace(v, materialized_to=AS_OF - timedelta(hours=2))
    },
    "an unarrived event's customer need not match": {
        "events": lambda events: events.extend(
            {
                "customer_id": 1000 + n,
                "event_timestamp": AS_OF - timedelta(minutes=1),
                "created_timestamp": AS_OF + timedelta(microseconds=1),
            }
            for n in range(10)
        )
    },
    "an event exactly 30 days old has left the window": {
        "events": lambda events: events.extend(
            {
                "customer_id": 1000 + n,
                "event_timestamp": AS_OF - timedelta(days=30),
                "created_timestamp": AS_OF - timedelta(days=29),
            }
            for n in range(10)
        )
    },
    "the customer of an event at no instant need not match": {
        "events": lambda events: events.extend(
            {
                "customer_id": 1000 + n,
                "event_timestamp": 2**63 - 1,  # infinity, in the engine's words
                "created_timestamp": AS_OF,
            }
            for n in range(10)
        )
    },
    "rows of the future are not yet known": {
        "rows": lambda rows: rows.append(
            {**rows[0], "orders_30d": 5000, "event_timestamp": AS_OF + timedelta(microseconds=1)}
        )
    },
}


@pytest.fixture(scope="session")
def contract() -> Contract:
    return load(ROOT / "contracts" / "customer_profile_v1.md")


def reworded(
    contract: Contract, folder: Path, document: tuple[str, str] = ("", ""), **changes: Any
) -> tuple[Contract, Evidence]:
    """The contract with one passage of its document changed, and evidence with the changes."""
    signed = contract
    if any(document):
        says, instead = document
        text = contract.path.read_text(encoding="utf-8")
        assert says in text
        copy = folder / contract.path.name
        copy.write_text(text.replace(says, instead), encoding="utf-8")
        contract = load(copy)
        shutil.copy(ROOT / "contracts" / "customer_profile_v1.probes.toml", folder)
    return contract, gathered(contract, folder, promoted_from=signed, **changes)


@pytest.mark.parametrize("case", KEEPS)
def test_kept(case: str, contract: Contract, tmp_path: Path) -> None:
    report = judge(contract, gathered(contract, tmp_path, **KEEPS[case]))
    assert [f for f in report.findings if f.outcome is not Outcome.KEPT] == []
    assert report.outcome is Outcome.KEPT


@pytest.mark.parametrize("case", BREAKS)
def test_broken(case: str, contract: Contract, tmp_path: Path) -> None:
    changes, clauses = BREAKS[case]
    contract, evidence = reworded(contract, tmp_path, **changes)
    report = judge(contract, evidence)
    broken = report.having(Outcome.BROKEN)
    assert {finding.clause for finding in broken} == clauses
    assert report.having(Outcome.UNKNOWN) == []
    assert report.outcome is Outcome.BROKEN
    for finding in broken:
        assert finding.expected
        assert finding.got
        assert finding.line is not None


def test_what_cannot_be_told_hides_no_change(contract: Contract, tmp_path: Path) -> None:
    """An edit of a promoted document that leaves its probes without an answer."""
    looser = ("Feature age ≤ 2 hours", "Feature age ≤ 3 hours")
    contract, evidence = reworded(contract, tmp_path, document=looser)
    report = judge(contract, replace(evidence, gathered_probes=MissingEvidence("no answer")))
    immutable = [f for f in report.findings if f.clause == "§10 served versions immutable"]
    assert [f.outcome for f in immutable] == [Outcome.BROKEN, Outcome.KEPT, Outcome.UNKNOWN]


def test_every_bound_clause_has_a_case_that_breaks_it() -> None:
    bound = {check.clause for check in CHECKS}
    assert len(bound) > 40
    assert bound == {clause for _, clauses in BREAKS.values() for clause in clauses}


def test_every_check_says_what_it_asks() -> None:
    assert [check.name for check in CHECKS if not check.question.endswith(".")] == []


def test_a_broken_row_is_counted_and_shown(contract: Contract, tmp_path: Path) -> None:
    report = judge(contract, gathered(contract, tmp_path, rows=set_in(7, orders_30d=1001)))
    (finding,) = report.having(Outcome.BROKEN)
    assert (finding.clause, finding.count) == ("§5.2 allowed range", 1)
    assert finding.sample == (
        "customer_id=7, event_timestamp=2026-03-01T11:53:00+00:00, orders_30d=1001",
    )


def test_an_outlier_is_flagged_and_breaks_nothing(contract: Contract, tmp_path: Path) -> None:
    report = judge(contract, gathered(contract, tmp_path, rows=set_in(7, sessions_30d=9000)))
    flagged = [f for f in report.findings if f.clause == "§6 outliers" and f.count]
    assert [(f.outcome, f.count) for f in flagged] == [(Outcome.KEPT, 1)]
    assert "customer_id=7" in flagged[0].sample[0]
    assert "sessions_30d=9000" in flagged[0].sample[0]
    assert [f for f in report.findings if f.outcome is not Outcome.KEPT] == []


def test_missing_evidence_is_unknown_never_kept(contract: Contract) -> None:
    nothing = MissingEvidence("no registry here")
    gathered = {field.name: nothing for field in fields(Evidence) if field.name != "as_of"}
    report = judge(contract, Evidence(as_of=AS_OF, **gathered))
    unknown = report.having(Outcome.UNKNOWN)
    on_paper = {check.clause for check in CHECKS if check.held_in == "document"}
    assert {finding.clause for finding in report.having(Outcome.KEPT)} == on_paper
    assert {finding.clause for finding in unknown} == {c.clause for c in CHECKS} - {"§10 changelog"}
    assert all(finding.got == "no registry here" for finding in unknown)
    assert report.outcome is Outcome.UNKNOWN


def test_unregistered_view_is_broken_by_name_and_unknown_elsewhere(
    contract: Contract, tmp_path: Path
) -> None:
    evidence = gathered(contract, tmp_path, registry=lambda r: replace(r, views={}))
    report = judge(contract, evidence)
    assert {finding.clause for finding in report.having(Outcome.BROKEN)} == {"§1 feature name"}
    assert report.having(Outcome.UNKNOWN)
    assert report.outcome is Outcome.BROKEN


def test_a_tampered_baseline_is_broken_and_measures_nothing(
    contract: Contract, tmp_path: Path
) -> None:
    evidence = gathered(contract, tmp_path, drift=lambda d: replace(d, intact=False))
    report = judge(contract, evidence)
    assert {f.clause for f in report.having(Outcome.BROKEN)} == {"§7 baseline window"}
    unknown = {f.clause for f in report.having(Outcome.UNKNOWN)}
    assert unknown == {"§7 warn", "§7 fail", "§7 join drift checks"}


@pytest.mark.parametrize(
    ("changes", "clause", "told"),
    [
        (
            {"parity": lambda p: Parity(1000, {"orders_30d": 6}, (), entities=9999)},
            "§8 acceptable delta",
            "too many of the sample differ to tell: orders_30d 0.60% (6 of 1,000)",
        ),
        (
            {"records": without("training_set")},
            "§9 masking",
            "no training set is on record: run scripts/build_training_set.py",
        ),
        (
            {"records": figured("canary", files={})},
            "§11 canary materialization",
            "the last canary names no file of the code that ran",
        ),
    ],
)
def test_what_cannot_be_told_is_unknown(
    changes: dict[str, Any], clause: str, told: str, contract: Contract, tmp_path: Path
) -> None:
    report = judge(contract, gathered(contract, tmp_path, **changes))
    assert [(f.clause, f.got) for f in report.having(Outcome.UNKNOWN)] == [(clause, told)]
    assert report.having(Outcome.BROKEN) == []


def test_no_active_entity_leaves_the_match_rate_unknown(contract: Contract, tmp_path: Path) -> None:
    evidence = gathered(
        contract, tmp_path, events=lambda events: events.__delitem__(slice(1, None))
    )
    old = replace(evidence, gathered_join=replace(evidence.join, entity_rows=0, matched=0))
    unknown = {finding.clause for finding in judge(contract, old).having(Outcome.UNKNOWN)}
    assert unknown == {
        "§2 expected match rate",
        "§2 fanout",
        "§6 cardinality checks",
        "§7 join drift checks",
    }


def test_a_table_without_its_keys_is_unknown(contract: Contract, tmp_path: Path) -> None:
    evidence = gathered(
        contract, tmp_path, rows=lambda rows: [row.pop("customer_id") for row in rows]
    )
    unknown = judge(contract, evidence).having(Outcome.UNKNOWN)
    assert "§6 completeness" in {finding.clause for finding in unknown}
    assert all("has no column customer_id" in finding.got for finding in unknown)


def test_a_check_that_fails_itself_is_unknown(contract: Contract, tmp_path: Path) -> None:
    evidence = gathered(contract, tmp_path)
    broken = replace(evidence, gathered_parity=object())  # type: ignore[arg-type]
    (unknown,) = judge(contract, broken).having(Outcome.UNKNOWN)
    assert unknown.clause == "§8 acceptable delta"
    assert unknown.got.startswith("could not be judged: AttributeError")
