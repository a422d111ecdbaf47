"""The main job, end to end, on real customers: `make demo`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.table import Table

from contract_checks import checks as _bound  # noqa: F401  (importing binds them)
from contract_checks.clock import instant
from contract_checks.evidence.gather import gather
from contract_checks.findings import Outcome, Report
from contract_checks.judge import judge
from contract_checks.language.loader import InvalidContract, load
from contract_checks.report import text
from contract_checks.report.html import page
from feature_access.hashing import HASH_KEY_VARIABLE, hash_key_from
from feature_access.refusal import RefusedError as ReadRefusedError
from feature_pipeline.atomic import replacing
from feature_pipeline.change_log import aggregate
from feature_pipeline.completejourney import ingest
from feature_pipeline.refusal import RefusedError
from scripts.answers import answers_table
from scripts.command_line import CONTRACT, EVENTS, HISTORY, QUARANTINE, ROOT, refusals_exit
from scripts.feature_server import feature_server, online_features
from scripts.progress import steps

if TYPE_CHECKING:
    from feast import FeatureStore

PRESENT = datetime(2017, 12, 1, tzinfo=UTC)
SERVICE = "customer_profile"
TRAINING_SET = ROOT / "data" / "training_set.parquet"
UNKNOWN_CUSTOMER = 999_999
DEMO_HASH_KEY = "a key for the demonstration only"  # real jobs have no such fallback

OnStep = Callable[[str], None]
Summary = list[tuple[str, str]]


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="The present; default 2017-12-01."),
    ] = None,
    predictions: Annotated[int, typer.Option(help="Rows of the training set.", min=1)] = 10_000,
    report: Annotated[Path, typer.Option(help="Where the report goes.")] = ROOT / "report.html",
) -> None:
    """Run the demonstration from nothing: its registry, stores and report are made anew.

    Exit code 0: the contract is kept; 1: broken; 2: refused, or it could not be judged.
    """
    started, present = time.monotonic(), as_of or PRESENT
    with (
        refusals_exit(RefusedError, ReadRefusedError, InvalidContract),
        steps(lines=True) as on_step,
    ):
        summary = _offline(present, on_step)
        store, steps_done = _online(present, on_step)
        summary += steps_done
        on_step("5 check the contract")
        judged = judge(load(CONTRACT), gather(load(CONTRACT), ROOT, present))
        summary.append(("contract", text.summary(judged)))
        on_step(f"6 training set of {predictions:,} prediction times")
        summary.append(("training set", _training_set(store, present, predictions)))
        on_step("7 online look-up, plain and over HTTP")
        answers = _look_up(store, present)
        on_step("8 report")
        with replacing(report) as draft:
            draft.write_text(page(judged), encoding="utf-8")
    _show(summary, answers, judged, report, time.monotonic() - started)
    raise typer.Exit(judged.outcome.value)


def _offline(present: datetime, on_step: OnStep) -> Summary:
    terms = load(CONTRACT).time
    on_step("1 ingest baskets as customer events")
    events = ingest(EVENTS)
    on_step("2 aggregate events into the change log")
    done = aggregate(
        EVENTS,
        HISTORY,
        QUARANTINE,
        as_of=present,
        lookback_window=terms.lookback,
        allowed_lateness=terms.allowed_lateness,
    )
    return [
        ("events", f"{events:,} states of real customers' days, 2017"),
        ("intake", str(done.events)),
        ("change log", f"{done.history_rows:,} rows of {done.customers:,} customers"),
    ]


def _online(present: datetime, on_step: OnStep) -> tuple["FeatureStore", Summary]:
    for remains in ("registry.db", "online_store.db"):
        (ROOT / "data" / remains).unlink(missing_ok=True)
    on_step("3 feast apply")
    feast = Path(sys.executable).with_name("feast")
    applied = subprocess.run(
        [feast, "apply"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if applied.returncode:
        raise RefusedError(f"feast apply failed:\n{applied.stdout}{applied.stderr}")

    from feature_access.registry import open_store
    from feature_pipeline.materialize import materialize_up_to

    store = open_store(ROOT)
    for end in (present - timedelta(hours=1), present):
        on_step(f"4 materialize up to {end:%Y-%m-%d %H:%M} UTC")
        materialize_up_to(store, end)
    services = ", ".join(sorted(service.name for service in store.list_feature_services()))
    intervals = store.get_feature_view("customer_profile_v1").materialization_intervals
    shown = ", then ".join(f"{a:%d %b %H:%M} to {b:%d %b %H:%M}" for a, b in intervals)
    return store, [("services", services), ("materialized", shown)]


def _training_set(store: "FeatureStore", present: datetime, rows: int) -> str:
    from feature_access.training_set import build_training_set

    draw = np.random.default_rng(seed=2017)
    customers = _column("SELECT DISTINCT customer_id FROM read_parquet(?) ORDER BY 1", EVENTS)
    first = datetime(2017, 1, 1, tzinfo=UTC)
    span = (present - first) // timedelta(microseconds=1)
    frame = pd.DataFrame(
        {
            "customer_id": draw.choice(customers, rows),
            "event_timestamp": pd.Timestamp(first)
            + pd.to_timedelta(draw.integers(0, span, rows), unit="us"),
        }
    )
    key = hash_key_from({HASH_KEY_VARIABLE: DEMO_HASH_KEY} | os.environ)
    built = build_training_set(store, SERVICE, frame, key)
    with replacing(TRAINING_SET) as draft:
        pq.write_table(built.rows, draft)
    matched = built.matched["customer_profile_v1"]
    return f"{built.rows.num_rows:,} rows, {matched:,} known before defaults, ids hashed"


def _look_up(store: "FeatureStore", present: datetime) -> pd.DataFrame:
    """Plain online, HTTP and offline answers for three kinds of customers; they must be equal."""
    cut_off = present - timedelta(days=30)
    newest = "SELECT customer_id FROM read_parquet(?) GROUP BY 1 HAVING max(event_timestamp)"
    known = _column(f"{newest} > ? ORDER BY 1 LIMIT 2", HISTORY, cut_off)
    inactive = _column(f"{newest} < ? ORDER BY 1 LIMIT 2", HISTORY, cut_off)
    kinds = dict.fromkeys(known, "active") | dict.fromkeys(inactive, "long gone")
    kinds[UNKNOWN_CUSTOMER] = "unknown"
    service, customers = store.get_feature_service(SERVICE), list(kinds)

    from feature_access.online_store import OnlineStoreEmptyError

    try:
        plain = store.get_online_features(service, [{"customer_id": c} for c in customers]).to_df()
    except OnlineStoreEmptyError as error:
        raise RefusedError(f"{error} (no event lies within a ttl of {present})") from error
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
        return [row[0] for row in connection.execute(query, [str(file), *parameters]).fetchall()]


def _show(
    summary: Summary, answers: pd.DataFrame, judged: Report, report: Path, seconds: float
) -> None:
    console = Console()
    did = Table("step", "result", title="What was done", title_justify="left")
    for row in summary:
        did.add_row(*row)
    console.print(did)
    title = "Read online: plain, over HTTP and offline agree"
    console.print(answers_table(answers.to_dict("list"), title))
    if judged.outcome is not Outcome.KEPT:
        text.show(judged, console)
    console.print(
        f"Every clause: {report}. Done in {seconds:.0f} s.", highlight=False, soft_wrap=True
    )


if __name__ == "__main__":
    typer.run(main)
