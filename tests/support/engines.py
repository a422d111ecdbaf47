"""Three engines behind one small interface: what is asked of one is asked of each.

A place is a change log of an engine's own and the events that it is made of, empty at first. Of one
engine there is one place at a time.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, Protocol

import duckdb
import pytest
from contract_answers import NIGHTLY
from event_strategies import CUSTOMERS, thorough
from oracle import ChangeLog, Event, Oracle, Row, read_change_log, write_events
from postgres_server import Database
from refreshes import bring_up_to, refresh_warehouse
from warehouse import PIPELINE, QUARANTINE, SECRET, change_log, empty, fill

from feature_pipeline.change_log.aggregate import aggregate
from feature_pipeline.change_log.intake import IntakeCounts
from feature_pipeline.refreshed import RefreshResult, Tables, Terms
from storage.duckdb_session import parquet_at
from storage.parquet_table import parts_of

pytest_plugins = ["postgres_server", "spark_session", "warehouse"]

SPARK = pytest.param("spark", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])
ENGINES = ("duckdb", "postgresql", SPARK)


class Place(Protocol):
    def deliver(self, events: Iterable[Event]) -> None:
        """Add to what was delivered so far, as whoever ingests does."""

    def bring_up_to(self, as_of: datetime, terms: Terms) -> RefreshResult: ...

    def log(self) -> ChangeLog:
        """Its rows by customer and stamp."""

    def quarantined(self) -> list[tuple[Any, ...]]:
        """Its rows in order, amounts as floats."""


class Made(NamedTuple):
    """What one run made of all events at once."""

    counts: IntakeCounts
    history_rows: int
    log: ChangeLog
    quarantined: list[tuple[Any, ...]]


class Engine(NamedTuple):
    name: str
    place: Callable[..., AbstractContextManager[Place]]
    at_once: Callable[[Oracle, datetime], Made]
    customers: Sequence[Any] = CUSTOMERS
    """Strategies for the customers it can hold."""
    one_in: int = 1
    """Of how many examples it is shown one; the dearer a run, the fewer."""

    def thorough(self, examples: int) -> Callable:
        return thorough(max(2, examples // self.one_in))


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_named(request.param, request.getfixturevalue)


def engine_named(name: str, fixture: Callable[[str], Any]) -> Engine:
    """The engine, on what the fixtures `shared_warehouse` and `spark` give it."""
    if name == "duckdb":
        return Engine(name, partial(lake, "duckdb", bring_up_to), by_duckdb)
    if name == "postgresql":
        place = partial(in_warehouse, fixture("shared_warehouse"))
        few = 1 if NIGHTLY else 2
        return Engine(name, place, partial(by_refresh, place), CUSTOMERS[:1], few)
    from refreshes import refresh_on_spark

    place = partial(lake, "spark", partial(refresh_on_spark, fixture("spark")))
    return Engine(name, place, partial(by_refresh, place), one_in=3 if NIGHTLY else 6)


def terms_of(oracle: Oracle) -> Terms:
    return Terms(oracle.lookback_window, oracle.allowed_lateness, zone=oracle.zone)


def by_refresh(place: Callable[[], AbstractContextManager[Place]], oracle: Oracle, at) -> Made:
    with place() as empty_one:
        empty_one.deliver(oracle.events)
        done = empty_one.bring_up_to(at, terms_of(oracle))
        return Made(done.events, done.history_rows, empty_one.log(), empty_one.quarantined())


def by_duckdb(oracle: Oracle, as_of: datetime, *, in_sql: bool = False) -> Made:
    """What the others are held against: no refresh, but the aggregation of files alone."""
    with TemporaryDirectory() as name:
        events, history, quarantine = (
            Path(name, f"{table}.parquet") for table in ("events", "history", "quarantine")
        )
        done = aggregate(
            write_events(oracle.events, events),
            history,
            quarantine,
            as_of=as_of,
            lookback_window=oracle.lookback_window,
            allowed_lateness=oracle.allowed_lateness,
            zone=oracle.zone,
            in_sql=in_sql,
        )
        log = read_change_log(history)
        assert done.customers == len(log.of_customer)
        return Made(done.events, done.history_rows, log, quarantined_in(quarantine))


# The parquet lake, which DuckDB makes, or Spark.


@dataclass(frozen=True)
class Lake:
    engine: str
    tables: Tables
    refresh: Callable[[datetime, Tables, Terms], RefreshResult]
    in_parts: bool
    delivered: list[Event] = field(default_factory=list)

    def deliver(self, events: Iterable[Event]) -> None:
        new = list(events)
        self.delivered.extend(new)
        if not self.in_parts:
            write_events(self.delivered, self.tables.events)
        elif new:
            write_events(new, self.tables.events / f"{len(self.delivered):06}.parquet")

    def bring_up_to(self, as_of: datetime, terms: Terms) -> RefreshResult:
        return self.refresh(as_of, self.tables, terms)

    def log(self) -> ChangeLog:
        return ChangeLog(rows_in(self.tables.history))

    def quarantined(self) -> list[tuple[Any, ...]]:
        return quarantined_in(self.tables.quarantine)


@contextmanager
def lake(
    engine: str,
    refresh: Callable[[datetime, Tables, Terms], RefreshResult],
    *,
    in_parts: bool = False,
) -> Iterator[Lake]:
    """In a folder of its own; events are delivered in one file, or in a part each time."""
    with TemporaryDirectory() as name:
        tables = tables_in(Path(name))
        if in_parts:
            tables.events.mkdir()
        yield Lake(engine, tables, refresh, in_parts)


def rows_in(history: Path) -> list[Row]:
    """Rows of a log in the lake, of which every part is in order, by customer and stamp."""
    rows = []
    for part in parts_of(history):
        of_part = read_change_log(part).rows
        assert of_part == sorted(of_part)
        rows += of_part
    return sorted(rows)


def tables_in(folder: Path) -> Tables:
    return Tables(*(folder / f"{name}.parquet" for name in ("events", "history", "quarantine")))


def quarantined_in(table: Path) -> list[tuple[Any, ...]]:
    """Rows of a quarantine in the lake, in order."""
    rows = duckdb.read_parquet(parquet_at(table), union_by_name=True).fetch_arrow_table()
    return sorted(_plain(row.values()) for row in rows.to_pylist())


def _plain(row: Iterable[Any]) -> tuple[Any, ...]:
    """Whatever type an amount was spelled in, and whatever zone an instant."""
    return tuple(
        float(value)
        if isinstance(value, Decimal)
        else value.astimezone(UTC)
        if isinstance(value, datetime)
        else value
        for value in row
    )


# The warehouse.


@dataclass(frozen=True)
class Warehouse:
    database: Database

    def deliver(self, events: Iterable[Event]) -> None:
        fill(self.database, events)

    def bring_up_to(self, as_of: datetime, terms: Terms) -> RefreshResult:
        pipeline = self.database.seen_by(PIPELINE, SECRET)
        return refresh_warehouse(pipeline.address, as_of=as_of, **vars(terms))

    def log(self) -> ChangeLog:
        return change_log(self.database)

    def quarantined(self) -> list[tuple[Any, ...]]:
        with self.database.connect() as connection:
            return sorted(map(_plain, connection.execute(f"TABLE {QUARANTINE}")))


@contextmanager
def in_warehouse(database: Database, *, in_parts: bool = False) -> Iterator[Warehouse]:
    """Emptied first; its events are one table, however they were delivered."""
    empty(database)
    yield Warehouse(database)
