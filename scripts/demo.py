"""The main job, end to end, on real customers: `make demo`."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import duckdb
import numpy as np
import pandas as pd
import typer
from rich.table import Table

from contract_checks.clock import instant
from contract_checks.commands.judging import judged as judged_with_evidence
from contract_checks.console import console
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.findings import Outcome, Report
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.report import text
from contract_checks.report.html import page
from feature_access.training.hashing import HASH_KEY_VARIABLE
from feature_pipeline.refreshed import Refreshed
from scripts.answers import answers_table
from scripts.build_training_set import build
from scripts.command_line import CONTRACT, EVENTS, HISTORY, ROOT, present, refusals_exit, run_job
from scripts.customer_activity import MADE
from scripts.feature_server import feature_server, online_features
from scripts.ingest import ingest
from scripts.own_tables import contract_of_own_tables
from scripts.progress import steps
from scripts.promote import promote
from scripts.refresh import refresh
from storage.atomic import replacing
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
    """Run the demonstration from nothing: its registry, stores, log and report are made anew.

    Exit code 0: the contract is kept; 1: broken; 2: refused, or it could not be judged.
    """
    started = time.monotonic()
    with (
        refusals_exit(RefusedError, InvalidContract, MissingEvidence),
        steps(lines=True) as on_step,
    ):
        contract, moment = contract_of_own_tables(CONTRACT), present(as_of or PRESENT)
        before = moment - contract.source.refresh_cadence.every
        summary = _from_nothing(contract, before, on_step)
        from feature_access.registry import open_store

        store = open_store(ROOT)
        on_step(f"3 refresh up to {before:%Y-%m-%d %H:%M} UTC")
        summary.append(("first refresh", _refreshed(refresh(store, contract, before))))
        on_step(f"4 training set of {predictions:,} prediction times")
        summary.append(("training set", _training_set(contract, before, predictions)))
        on_step("5 promote: rehearsal, gate, pointer")
        summary.append(("promotion", _promoted(store, contract, before)))
        on_step(f"6 refresh up to {moment:%Y-%m-%d %H:%M} UTC")
        summary.append(("second refresh", _refreshed(refresh(store, contract, moment))))
        on_step("7 check the contract")
        judged, evidence = judged_with_evidence(contract, ROOT, moment)
        summary.append(("contract", text.summary(judged)))
        on_step("8 online look-up, plain and over HTTP")
        answers = _look_up(store, moment)
        on_step("9 report")
        with replacing(report) as draft:
            draft.write_text(page(judged, evidence, contract), encoding="utf-8")
    _show(summary, answers, judged, report, time.monotonic() - started)
    raise typer.Exit(judged.outcome.value)


def _from_nothing(contract: Contract, as_of: datetime, on_step: OnStep) -> Summary:
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


def _refreshed(done: Refreshed) -> str:
    return f"{done.events}\n{done.history_rows:,} rows in the change log"


def _promoted(store: "FeatureStore", contract: Contract, as_of: datetime) -> str:
    result = promote(store, contract, as_of)
    if result.receipt is None:
        text.show(result.report, console(stderr=True))
        raise RefusedError(f"{contract.view_name} was not promoted: {result.refusal}")
    return f"{contract.view_name}, receipt {result.receipt.relative_to(ROOT)}"


def _training_set(contract: Contract, as_of: datetime, rows: int) -> str:
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


def _look_up(store: "FeatureStore", present: datetime) -> pd.DataFrame:
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


def _show(
    summary: Summary, answers: pd.DataFrame, judged: Report, report: Path, seconds: float
) -> None:
    printed = console()
    did = Table("step", "result", title="What was done", title_justify="left")
    for row in summary:
        did.add_row(*row)
    printed.print(did)
    title = "Read online: plain, over HTTP and offline agree"
    printed.print(answers_table(answers.to_dict("list"), title))
    if judged.outcome is not Outcome.KEPT:
        text.show(judged, printed)
    printed.print(
        f"Every clause: {report}. Done in {seconds:.0f} s.", highlight=False, soft_wrap=True
    )


if __name__ == "__main__":
    run_job(main)
