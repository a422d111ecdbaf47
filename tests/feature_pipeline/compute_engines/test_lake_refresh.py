"""What a refresh leaves in the parquet lake, part by part, whichever engine makes it."""

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from engines import SPARK, Engine, Lake, by_duckdb, engine_named, lake, tables_in, terms_of
from event_strategies import fractions, oracles, thorough, turning_point
from hypothesis import assume, given
from oracle import Oracle, read_change_log
from refresh_stories import DAY, EVENTS, HOUR, MONTH, NOON, TERMS, bought
from refreshes import bring_up_to

from feature_pipeline.refreshed import Tables
from storage.errors import RefusedError
from storage.parquet_table import parts_of

pytest_plugins = ["engines"]
pytestmark = pytest.mark.usefixtures("one_engine")


@pytest.fixture(scope="module", params=["duckdb", SPARK])
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_named(request.param, request.getfixturevalue)


@pytest.fixture
def place(engine: Engine) -> Iterator[Lake]:
    """Refreshed at noon, with another event to come."""
    with engine.place() as place:
        place.deliver(EVENTS)
        place.bring_up_to(NOON, TERMS)
        yield place


def moved(place: Lake, history: Path) -> Lake:
    tables = Tables(place.tables.events, history, place.tables.quarantine)
    return Lake(place.engine, tables, place.refresh, False)


@pytest.mark.parametrize("table", ["history", "quarantine"])
def test_a_table_that_lost_its_rows_is_made_anew(place: Lake, table: str) -> None:
    whole, set_aside = place.log().rows, place.quarantined()
    part = next(p for p in parts_of(getattr(place.tables, table)) if pq.read_table(p).num_rows)
    pq.write_table(pq.read_table(part).slice(1), part)
    done = place.bring_up_to(NOON, TERMS)
    word = {"history": "log", "quarantine": "quarantine"}[table]
    assert done.made_anew == f"the {word} is not as the last refresh left it"
    assert done.new_rows == (table == "history")
    assert (place.log().rows, place.quarantined()) == (whole, set_aside)


def test_a_log_of_a_single_file_is_continued_as_a_folder(place: Lake, tmp_path: Path) -> None:
    file = tmp_path / "one.parquet"
    pq.write_table(pq.read_table(place.tables.history), file)
    other = moved(place, file)
    done = other.bring_up_to(NOON, TERMS)
    assert (done.made_anew, done.new_rows) == ("no refresh has left a log", 0)
    assert file.is_symlink()
    assert other.log().rows == place.log().rows


def test_a_folder_that_was_copied_without_its_link_is_continued(
    place: Lake, tmp_path: Path
) -> None:
    copy = shutil.copytree(place.tables.history.parent, tmp_path / "copy")
    tables = tables_in(copy)
    assert not tables.history.is_symlink()
    before = len(parts_of(tables.history))
    other = Lake(place.engine, tables, place.refresh, False)
    assert other.bring_up_to(NOON + HOUR, TERMS).made_anew is None
    assert tables.history.is_symlink() and len(parts_of(tables.history)) > before


def test_again_up_to_the_same_instant_nothing_is_written(place: Lake) -> None:
    written = [part.stat().st_mtime_ns for part in parts_of(place.tables.history)]
    assert place.bring_up_to(NOON, TERMS).new_rows == 0
    assert [part.stat().st_mtime_ns for part in parts_of(place.tables.history)] == written


def test_whoever_is_reading_the_version_before_reads_it_to_its_end(place: Lake) -> None:
    reading = parts_of(place.tables.history)
    rows = [pq.read_table(part).num_rows for part in reading]
    place.bring_up_to(NOON + HOUR, TERMS)
    assert [pq.read_table(part).num_rows for part in reading] == rows
    place.bring_up_to(NOON + 2 * HOUR, TERMS)
    assert not any(part.exists() for part in reading), "and no version stays for ever"


def test_parts_of_events_that_spell_customers_in_two_types_are_refused(engine: Engine) -> None:
    with engine.place(in_parts=True) as place:
        place.deliver([bought(1, NOON)])
        place.deliver([bought(1, NOON + HOUR)._replace(customer_id="two")])
        with pytest.raises(RefusedError, match="spell customer_id as int64 and string"):
            place.bring_up_to(NOON + HOUR, TERMS)


# Of one part a run, as DuckDB leaves it.


@thorough(20)
@given(oracles(), fractions, fractions)
def test_what_was_written_stays_byte_for_byte_and_one_part_is_added(oracle, one, other) -> None:
    earlier, later = sorted((turning_point(oracle, one), turning_point(oracle, other)))
    assume(earlier < later)
    with lake("duckdb", bring_up_to) as place:
        place.deliver(oracle.events)
        place.bring_up_to(earlier, terms_of(oracle))
        before = {part.name: part.read_bytes() for part in parts_of(place.tables.history)}
        place.bring_up_to(later, terms_of(oracle))
        parts = {part.name: part for part in parts_of(place.tables.history)}
        (added,) = parts.keys() - before.keys()
        whole = by_duckdb(oracle, later).log.rows
        assert read_change_log(parts[added]).rows == [row for row in whole if row[1] > earlier]
        assert all(parts[name].read_bytes() == content for name, content in before.items())


def test_the_parts_of_a_day_that_is_over_become_one() -> None:
    hours = [NOON + n * HOUR for n in range(60)]
    oracle = Oracle(
        [bought(n % 5, at) for n, at in enumerate(hours)],
        lookback_window=MONTH,
        allowed_lateness=DAY,
    )
    with lake("duckdb", bring_up_to, in_parts=True) as place:
        for event, at in zip(oracle.events, hours, strict=True):
            place.deliver([event])
            place.bring_up_to(at, TERMS)
        names = [part.name[:8] for part in parts_of(place.tables.history)]
        # The first run's whole log; two days that are over; the third's hours from midnight on.
        assert {day: len(list(of)) for day, of in itertools.groupby(names)} == {
            "20240301": 2,
            "20240302": 1,
            "20240303": 24,
        }
        assert place.log().rows == by_duckdb(oracle, hours[-1]).log.rows
