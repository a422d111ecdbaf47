"""The main job, end to end, on real customers: `make demo`."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pandas as pd

from contract_checks.console import console
from contract_checks.language.contract import Contract
from contract_checks.report import text
from feature_access.training.hashing import HASH_KEY_VARIABLE
from feature_pipeline.refreshed import RefreshResult
from jobs.refreshing.customer_activity import MADE
from jobs.refreshing.ingest import ingest
from jobs.release.promote import promote
from jobs.repository import EVENTS, HISTORY, ROOT, OnStep
from jobs.serving.feast_server import feature_server, online_features
from jobs.training.build_training_set import build
from storage.duckdb_session import parquet_at
from storage.errors import RefusedError
from storage.parquet_table import drop

if TYPE_CHECKING:
    from feast import FeatureStore

PRESENT = datetime(2017, 12, 1, tzinfo=UTC)
SERVICE = "customer_profile"
TRAINING_SET = ROOT / "data" / "training_set.parquet"
UNKNOWN_CUSTOMER = 999_999
DEMO_HASH_KEY = "a key for the demonstration only"  # real jobs have no such fallback

Summary = list[tuple[str, str]]


def from_nothing(contract: Contract, as_of: datetime, on_step: OnStep) -> Summary:
    for remains in ("registry.db", "online_store.db", "operations.db"):
        (ROOT / "data" / remains).unlink(missing_ok=True)
    rmtree(MADE, ignore_errors=True)
    drop(HISTORY)  # or it would have to be continued
    on_step("1 dbt build: real baskets to customer events")
    with _feast_apply() as applying:  # beside it: neither reads what the other makes
        events = ingest(contract, as_of)
        on_step("2 feast apply")
        said, _ = applying.communicate()
    if applying.returncode:
        raise RefusedError(f"feast apply failed:\n{said}")
    return [("events", f"{events:,} states of real customers' days, 2017")]


def _feast_apply() -> "subprocess.Popen[str]":
    feast = Path(sys.executable).with_name("feast")
    return subprocess.Popen(
        [feast, "apply"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def refreshed(done: RefreshResult) -> str:
    return f"{done.events}\n{done.history_rows:,} rows in the change log"


def promoted(store: "FeatureStore", contract: Contract, as_of: datetime) -> str:
    result = promote(store, contract, as_of)
    if result.receipt is None:
        text.show(result.report, console(stderr=True))
        raise RefusedError(f"{contract.view_name} was not promoted: {result.refusal}")
    return f"{contract.view_name}, receipt {result.receipt.relative_to(ROOT)}"


def training_set(contract: Contract, as_of: datetime, rows: int) -> str:
    draw = np.random.default_rng(seed=2017)
    customers = _column("SELECT DISTINCT customer_id FROM read_parquet(?) ORDER BY 1", EVENTS)
    first = datetime(2017, 1, 1, tzinfo=UTC)
    span = (as_of - first) // timedelta(microseconds=1)
    frame = pd.DataFrame(
        {
            "customer_id": draw.choice(customers, rows),
            "event_timestamp": pd.Timestamp(first)
            + pd.to_timedelta(draw.integers(0, span, rows), unit="us"),
        }
    )
    environment = {HASH_KEY_VARIABLE: DEMO_HASH_KEY} | os.environ
    with TemporaryDirectory() as folder:
        entities = Path(folder) / "entities.parquet"
        frame.to_parquet(entities)
        consumer = contract.privacy.consumers[0]
        built = build(contract, as_of, consumer, entities, TRAINING_SET, environment)
    matched = built.matched[contract.view_name]
    return f"{built.encoded.num_rows:,} rows, {matched:,} known before defaults, ids hashed"


def look_up(store: "FeatureStore", present: datetime) -> pd.DataFrame:
    """Plain online, HTTP and offline answers for three kinds of customers; they must be equal."""
    cut_off = present - timedelta(days=30)
    newest = "SELECT customer_id FROM read_parquet(?) GROUP BY 1 HAVING max(event_timestamp)"
    known = _column(f"{newest} > ? ORDER BY 1 LIMIT 2", HISTORY, cut_off)
    inactive = _column(f"{newest} < ? ORDER BY 1 LIMIT 2", HISTORY, cut_off)
    kinds = dict.fromkeys(known, "active") | dict.fromkeys(inactive, "long gone")
    kinds[UNKNOWN_CUSTOMER] = "unknown"
    service, customers = store.get_feature_service(SERVICE), list(kinds)

    from feature_access.errors import OnlineStoreUnavailableError

    try:
        plain = store.get_online_features(service, [{"customer_id": c} for c in customers]).to_df()
    except OnlineStoreUnavailableError as error:
        raise RefusedError(str(error)) from error
    with feature_server(ROOT) as address:
        over_http = pd.DataFrame(online_features(address, SERVICE, {"customer_id": customers}))
    entities = pd.DataFrame({"customer_id": customers, "event_timestamp": present})
    offline = store.get_historical_features(entities, service).to_df()
    columns = ["customer_id", *sorted(set(plain.columns) - {"customer_id"})]
    for name, answer in (("over HTTP", over_http), ("offline", offline)):
        if not (answer[columns].to_numpy() == plain[columns].to_numpy()).all():
            raise RefusedError(f"{name} and plain online answers differ:\n{answer}\n{plain}")
    plain.insert(1, "activity", [kinds[c] for c in customers])
    return plain[["customer_id", "activity", *columns[1:]]]


def _column(query: str, file: Path, *parameters: Any) -> list[int]:
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = connection.execute(query, [parquet_at(file), *parameters])
        return [row[0] for row in found.fetchall()]
