"""A part that cannot be read is named in one line, wherever it lies and however it is read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import SPARK, Engine, Lake, engine_named
from event_strategies import DAY, HOUR, MONTH
from oracle import events_table
from sound_rows import NOON, SOUND
from warehouse import EVENTS, PIPELINE, SECRET, empty

from feature_pipeline.change_log.outliers import flag_outliers
from feature_pipeline.compute_engines.postgres.load import load_events
from feature_pipeline.refreshed import Terms
from storage.errors import RefusedError

pytest_plugins = ["engines"]
TERMS = Terms(MONTH, DAY)
ROWS = 2_000


def written(place: Path, first_customer: int = 0, hours: int = 0) -> Path:
    """A part whose columns are of pages that must be unpacked."""
    at = int((NOON + hours * HOUR).timestamp()) * 10**6
    rows = np.random.default_rng(1).integers(0, 10**6, ROWS)
    zoned = pa.timestamp("us", "UTC")
    table = pa.table(
        {
            "customer_id": first_customer + np.arange(ROWS),
            "event_timestamp": pa.array(at - rows, zoned),
            "created_timestamp": pa.array(at + np.zeros(ROWS, dtype=np.int64), zoned),
            "orders": np.ones(ROWS, dtype=np.int64),
            "sessions": rows,
            "order_value": rows / 100,
            "note": rows * 7,
        }
    )
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, place, use_dictionary=False, compression="zstd")
    return place


def corrupt_page(part: Path, column: str = "order_value") -> None:
    """The middle of a column's only page."""
    group = pq.read_metadata(part).row_group(0)
    (chunk,) = (
        group.column(n)
        for n in range(group.num_columns)
        if group.column(n).path_in_schema == column
    )
    content = bytearray(part.read_bytes())
    middle = chunk.data_page_offset + chunk.total_compressed_size // 2
    content[chunk.data_page_offset + 30 : middle] = b"\xff" * (middle - chunk.data_page_offset - 30)
    part.write_bytes(content)


def cut_short(part: Path) -> None:
    part.write_bytes(part.read_bytes()[:-5])


def wrong_magic(part: Path) -> None:
    part.write_bytes(b"PAR2" + part.read_bytes()[4:-4] + b"PAR2")


def empty_file(part: Path) -> None:
    part.write_bytes(b"")


def without_its_pages(part: Path) -> None:
    """A footer that tells of pages that are not there."""
    content = part.read_bytes()
    size = int.from_bytes(content[-8:-4], "little") + 8
    part.write_bytes(b"PAR1" + content[-size:])


DAMAGES = [corrupt_page, cut_short, wrong_magic, empty_file, without_its_pages]


@pytest.fixture(scope="module", params=["duckdb", SPARK])
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_named(request.param, request.getfixturevalue)


def assert_refused(place: Lake, part: Path, hours: int) -> None:
    before = place.log().rows if place.tables.history.exists() else None
    with pytest.raises(RefusedError) as refused:
        place.bring_up_to(NOON + hours * HOUR, TERMS)
    message = str(refused.value)
    lost = "footers of" in message  # which Spark counts over all parts
    assert (part.name in message or lost) and "anew" in message, message
    assert len(message.splitlines()) == 1 and len(message) < 1_000
    assert (place.log().rows if place.tables.history.exists() else None) == before


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_damaged_part_is_named_and_nothing_is_written(
    engine: Engine, damage: Callable[[Path], None]
) -> None:
    with engine.place(in_parts=True) as place:
        for name in ("a", "b", "c"):
            written(place.tables.events / f"{name}.parquet", ord(name) * ROWS)
        damage(middle := place.tables.events / "b.parquet")
        assert_refused(place, middle, 1)
        written(middle, ord("b") * ROWS)
        assert place.bring_up_to(NOON + HOUR, TERMS).events.kept == 3 * ROWS

        damage(written(new := place.tables.events / "d.parquet", 0, hours=2))
        assert_refused(place, new, 3)
        written(new, 0, hours=2)
        done = place.bring_up_to(NOON + 3 * HOUR, TERMS)
        assert (done.made_anew, done.events.kept) == (None, 4 * ROWS)


def test_a_page_of_the_arrivals_alone_that_cannot_be_counted_is_named(engine: Engine) -> None:
    with engine.place(in_parts=True) as place:
        written(place.tables.events / "a.parquet")
        place.bring_up_to(NOON, TERMS)
        table = pq.read_table(written(late := place.tables.events / "b.parquet", ROWS, hours=1))
        two = [NOON + n * HOUR for n in range(ROWS)]  # so that its footer does not tell
        table = table.set_column(2, "created_timestamp", pa.array(two, pa.timestamp("us", "UTC")))
        pq.write_table(table, late, use_dictionary=False, compression="zstd")
        corrupt_page(late, "created_timestamp")
        assert_refused(place, late, 5)


def test_a_page_that_no_event_has_stops_nobody(engine: Engine) -> None:
    with engine.place(in_parts=True) as place:
        corrupt_page(written(place.tables.events / "a.parquet"), "note")
        assert place.bring_up_to(NOON, TERMS).events.kept == ROWS


def test_a_damaged_part_of_what_was_written_is_named(engine: Engine) -> None:
    with engine.place() as place:
        place.deliver([SOUND])
        place.bring_up_to(NOON + HOUR, TERMS)
        part = next(place.tables.history.glob("*.parquet"))
        part.write_bytes(b"PAR1 cut short")
        with pytest.raises(RefusedError, match=rf"{part.name}.* is not a readable parquet file"):
            place.bring_up_to(NOON + 2 * HOUR, TERMS)
        with pytest.raises(RefusedError, match="cannot be read to its end"):
            flag_outliers(place.tables.history, 99.9, NOON, NOON + DAY)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_the_loader_names_it_and_loads_none(shared_warehouse, tmp_path: Path, damage) -> None:
    empty(shared_warehouse)
    pipeline = shared_warehouse.seen_by(PIPELINE, SECRET)
    written(tmp_path / "events" / "a.parquet")
    damage(written(tmp_path / "events" / "b.parquet", ROWS))
    with pytest.raises(RefusedError, match=r"b\.parquet (cannot be read|is not a readable)"):
        load_events(pipeline.address, tmp_path / "events")
    with shared_warehouse.connect() as connection:
        assert connection.execute(f"SELECT count(*) FROM {EVENTS}").fetchone() == (0,)


def test_milliseconds_beyond_what_an_engine_can_count_are_refused(engine: Engine) -> None:
    with engine.place(in_parts=True) as place:
        table = events_table([SOUND, SOUND._replace(customer_id=2)])
        far = pa.array([-(2**63), 0], pa.int64()).cast(pa.timestamp("ms", "UTC"))
        part = place.tables.events / "far.parquet"
        pq.write_table(table.set_column(1, "event_timestamp", far), part)
        with pytest.raises(RefusedError, match=r"far\.parquet.*cannot be read|cannot be read.*far"):
            place.bring_up_to(NOON + HOUR, TERMS)
