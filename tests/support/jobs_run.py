"""Jobs run in a repository, and the records that they leave."""

import os
import subprocess
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from feast_copy import HISTORY, run
from oracle import Event

from contract_checks.operations.log import OperationsLog, Record

VIEW = "customer_profile_v1"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PRESENT = datetime(2026, 3, 1, 12, tzinfo=UTC)
YESTERDAY = PRESENT - DAY
EVENTS = HISTORY.with_name("customer_events.parquet")
KEY = "sixteen or more characters"
ALWAYS = datetime.max.replace(tzinfo=UTC)


def shopping() -> list[Event]:
    """A day of two states, a late event, one that leaves within the hour, one yet to arrive."""

    def daily(customer: int, days: int) -> Event:
        at = PRESENT - days * DAY
        return Event(customer, at, at + HOUR, customer, Decimal(10 * customer + days), days)

    ordinary = [daily(customer, days) for customer in (1, 2, 3) for days in range(1, 26)]
    second_state = daily(1, 1)._replace(event_timestamp=YESTERDAY + HOUR, orders=9)
    late = daily(3, 27)._replace(created_timestamp=PRESENT - 2 * DAY)
    soon_gone = PRESENT - 30 * DAY + HOUR / 3
    leaving = daily(2, 30)._replace(event_timestamp=soon_gone, created_timestamp=soon_gone + HOUR)
    return [*ordinary, second_state, late, leaving, daily(2, 0)]


def job(
    repository: Path, name: str, *arguments: str | Path, log: Path | None = None, **more: str
) -> "subprocess.CompletedProcess[str]":
    """A script of the copy, with the copy's code; its log is the copy's, or another."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("FEATURE_STORE_")}
    env |= {"PYTHONPATH": str(repository), "COLUMNS": "200"} | more
    if log is not None:
        env["FEATURE_STORE_OPERATIONS_LOG"] = f"sqlite:///{log}"
    return run(repository, "python", f"scripts/{name}.py", *map(str, arguments), env=env)


def log_of(repository: Path) -> Path:
    return repository / "data" / "operations.db"


def records(log: Path, name: str) -> list[Record]:
    return list(OperationsLog(f"sqlite:///{log}").records(ALWAYS, [name]))
