"""Backfill validation: recompute a stretch of history and compare it with what is on record."""

from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import duckdb

from contract_checks.evidence.facts import MissingEvidence, there
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.tables import DuckTable, interval_digest, offline_session
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from feature_pipeline.change_log.backfill import Backfill, compare_with_rebuild
from feature_pipeline.compute_engines.postgres.backfill import compare_in_warehouse
from jobs.privacy.erased import erased_customers
from jobs.reporting.freeze_baseline import registered
from jobs.reporting.recording import digests_of, recorded
from jobs.repository import EVENTS, HISTORY, ROOT, OnStep, chosen_warehouse
from storage.duckdb_session import parquet_at


def backfill(contract: Contract, as_of: datetime, on_step: OnStep = lambda step: None) -> Backfill:
    """Compare the stretch up to the last refresh by `as_of`, and leave a record.

    History is as of its refresh: what the events came to mean since is not its to know yet.

    Raises:
        MissingEvidence: no refresh is on record.
        RefusedError: see `recomputed`.
    """
    end, stretch = _last_refresh(contract, as_of), contract.test_plan.backfill_window
    with recorded("backfill", contract.view_name, as_of) as figures:
        figures["files"] = digests_of("feature_pipeline", "storage")
        figures |= {"from": (end - stretch).isoformat(), "to": end.isoformat()}
        address = chosen_warehouse()
        compared = recomputed(contract, end, stretch, address, EVENTS, on_step)
        figures |= {"rows": compared.rows, "differing": compared.differing}
        if compared.causes:
            figures["causes"] = dict(compared.causes)
        figures["digest"] = _digest(contract, end - stretch, end, address)
        figures["passed"] = outcome(compared) is Outcome.KEPT
    return compared


def recomputed(
    contract: Contract,
    end: datetime,
    stretch: timedelta,
    address: str | None,
    events: Path,
    on_step: OnStep,
) -> Backfill:
    """The stretch of history up to `end`, beside what the events make of it now.

    Raises:
        RefusedError: see `compare_with_rebuild` and `erased_customers`.
    """
    compare = (
        partial(compare_in_warehouse, address, ROOT / "data")
        if address
        else partial(compare_with_rebuild, events, HISTORY)
    )
    return compare(
        as_of=end,
        stretch=stretch,
        lookback_window=contract.time.lookback,
        allowed_lateness=contract.time.allowed_lateness,
        zone=contract.time.timezone,
        erased=erased_customers(),
        on_step=on_step,
    )


def outcome(compared: Backfill) -> Outcome:
    """Equal events make equal history: a single difference breaks it."""
    return Outcome.BROKEN if compared.differing else Outcome.KEPT


def _digest(contract: Contract, after: datetime, until: datetime, address: str | None) -> str:
    """The digest of what was compared: history that is another one later has not been validated."""
    with ExitStack() as opened:
        if address:
            view = registered(contract.view_name)
            connection = there(offline_session(contract, view, until, since=after))
        else:
            connection = opened.enter_context(duckdb.connect())
            connection.execute("SET TimeZone = 'UTC'")
            connection.read_parquet(parquet_at(HISTORY)).create_view("history")
        history = DuckTable(connection, "history")
        return interval_digest(history, contract.time.event_timestamp, after, until)


def _last_refresh(contract: Contract, as_of: datetime) -> datetime:
    operations = there(read_operations(ROOT, as_of))
    done = [record.at for record in operations.of("refresh", contract.view_name) if record.passed]
    if not done:
        raise MissingEvidence(
            f"no refresh of {contract.view_name} by {as_of.isoformat()} is on record: run "
            "scripts/refresh.py"
        )
    return done[-1]
