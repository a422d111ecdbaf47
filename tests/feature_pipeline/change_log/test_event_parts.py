"""Which files are parts of the events: the same to every engine, and what is none is named."""

import shutil
from datetime import timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import SPARK, Engine, Lake, engine_named
from event_strategies import DAY, HOUR, MONTH
from oracle import Event, events_table, write_events
from sound_rows import NOON, SOUND

from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.change_log.removal import holding, remove, rows_to_go
from feature_pipeline.refreshed import Terms
from storage.duckdb_session import parquet_at
from storage.errors import RefusedError

pytest_plugins = ["engines"]
TERMS = Terms(MONTH, DAY)


def part(place: Path, customer: int = 1) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return write_events([SOUND._replace(customer_id=customer)], place)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A folder of two parts."""
    part(tmp_path / "events" / "a.parquet")
    part(tmp_path / "events" / "b.parquet")
    return tmp_path / "events"


def named(events: Path) -> list[str]:
    return [str(one.relative_to(events.resolve())) for one in event_parts(events)]


def test_folders_of_hive_are_read_however_deep_and_in_order(events: Path) -> None:
    for folder in ("month=2024-02/day=1", "month=2024-02", "month=2024-01/day=30"):
        part(events / folder / "a.parquet")
    (events / "month=2024-03").mkdir()
    assert named(events) == [
        "a.parquet",
        "b.parquet",
        "month=2024-01/day=30/a.parquet",
        "month=2024-02/a.parquet",
        "month=2024-02/day=1/a.parquet",
    ]


@pytest.mark.parametrize(
    "name",
    [
        *("_SUCCESS", "_metadata", "_common_metadata", "._SUCCESS.crc", ".a.parquet.crc"),
        *(".DS_Store", ".a.parquet.Xy12Zw", "_temporary/0/task/part-0.parquet"),
        *(".spark-staging-1/month=1/part-0.parquet", ".hidden/a.parquet"),
    ],
)
def test_markers_and_what_is_being_written_may_lie_beside(events: Path, name: str) -> None:
    part(events / name, customer=9)
    (events / "month=1").mkdir()
    part(events / "month=1" / name, customer=9)
    assert named(events) == ["a.parquet", "b.parquet"]


@pytest.mark.parametrize(
    "name",
    [
        *("c.PARQUET", "c.Parquet", "c.parq", "c.pq", "_c.parquet", ".c.parquet", "._c.PARQ"),
        *("c.parquet.tmp", "c.csv", "README", "c.parquet~"),
        *("2024/02/c.parquet", "c.parquet/part-0.parquet", "month/c.parquet", "=1/c.parquet"),
        *("_month=1/c.parquet", "_delta_log/0.json", "_spark_metadata/0", "empty/"),
    ],
)
def test_whatever_else_lies_there_is_named_and_refused(events: Path, name: str) -> None:
    for folder in (events, events / "month=2024-02"):
        stray = folder / name.removesuffix("/")
        if name.endswith("/"):
            stray.mkdir(parents=True)
        else:
            part(stray)
        with pytest.raises(RefusedError, match=str(folder / Path(name).parts[0])):
            event_parts(events)
        shutil.rmtree(folder / Path(name).parts[0], ignore_errors=True)
        (folder / Path(name).parts[0]).unlink(missing_ok=True)


@pytest.mark.parametrize("column", Event._fields)
def test_a_folder_named_after_a_column_of_events_is_refused(events: Path, column: str) -> None:
    for name in (f"{column}=1", f"month=1/{column.upper()}=1"):
        part(events / name / "c.parquet")
        with pytest.raises(RefusedError, match="which is a column of the events"):
            event_parts(events)
        shutil.rmtree(events / Path(name).parts[0])


def test_links_are_followed_and_one_file_by_two_names_is_refused(events: Path, tmp_path) -> None:
    elsewhere = part(tmp_path / "elsewhere" / "c.parquet")
    (events / "c.parquet").symlink_to(elsewhere)
    (tmp_path / "link").symlink_to(events)
    assert len(event_parts(tmp_path / "link")) == 3
    for how in (Path.symlink_to, Path.hardlink_to):
        how(events / "d.parquet", events / "a.parquet")
        with pytest.raises(RefusedError, match=r"a\.parquet and .*d\.parquet .* one file by two"):
            event_parts(events)
        (events / "d.parquet").unlink()
    (events / "month=1").symlink_to(events)  # a ring
    with pytest.raises(RefusedError, match="month=1 leads back"):
        event_parts(events)
    (events / "month=1").unlink()
    (events / "dangling.parquet").symlink_to(tmp_path / "nowhere")
    with pytest.raises(RefusedError, match=r"dangling\.parquet is no part"):
        event_parts(events)


def test_a_folder_that_may_not_be_read_is_refused(events: Path, monkeypatch) -> None:
    def refused(folder: Path) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(RefusedError, match=r"events cannot be read \(Permission denied\)"):
        event_parts(events)


def test_a_single_file_may_have_any_name_but_a_hidden_one(tmp_path: Path) -> None:
    assert event_parts(tmp_path / "none") == []
    assert event_parts(one := part(tmp_path / "events.PARQ")) == [one]
    for name in ("_events.parquet", ".events.parquet"):
        with pytest.raises(RefusedError, match="marks what is no data: rename it"):
            event_parts(part(tmp_path / name))


def test_who_is_erased_goes_from_every_folder_and_the_folders_stay(events: Path) -> None:
    part(events / "month=1" / "a.parquet", customer=2)
    part(events / "month=2" / "a.parquet", customer=3)
    whose = holding("customer_id", "2")
    assert (rows_to_go(events, whose), remove(events, whose)) == (1, 1)
    assert named(events) == ["a.parquet", "b.parquet", "month=1/a.parquet", "month=2/a.parquet"]
    rows = [pq.read_table(one, partitioning=None).num_rows for one in event_parts(events)]
    assert rows == [1, 1, 0, 1]


# Read by the engines that read files.


@pytest.fixture(scope="module", params=["duckdb", SPARK])
def engine(request: pytest.FixtureRequest) -> Engine:
    return engine_named(request.param, request.getfixturevalue)


def test_an_engine_reads_every_part_and_no_other_value(engine: Engine) -> None:
    """Of an events folder below a folder that looks like one of Hive's, too."""
    with engine.place() as place:
        below = place.tables.events.parent / "orders=7" / "events"
        tables = type(place.tables)(below, place.tables.history, place.tables.quarantine)
        place = Lake(place.engine, tables, place.refresh, False)
        write = lambda name, n: part(below / name / "a.parquet", customer=n)  # noqa: E731
        write("month=2024-02", 1)
        pq.write_table(events_table([SOUND]).slice(1), below / "none.parquet")
        done = place.bring_up_to(NOON + HOUR, TERMS)
        assert (done.events.kept, done.made_anew is not None) == (1, True)
        late = SOUND._replace(customer_id=3, created_timestamp=NOON + 30 * HOUR)
        new = SOUND._replace(customer_id=2, created_timestamp=NOON + 2 * HOUR)
        (below / "month=__HIVE_DEFAULT_PARTITION__" / "day=3").mkdir(parents=True)
        # Columns that no event has, one of a type that Spark does not read and no part has alike.
        whole = events_table([new, late]).append_column("note", pa.array(["a", "b"]))
        whole = whole.append_column("fine", pa.array([1, 2], pa.timestamp("ns")))
        whole = whole.append_column("month", pa.array([{"a": 1}, {"a": 2}]))
        place_of_it = below / "month=__HIVE_DEFAULT_PARTITION__" / "day=3" / "a.parquet"
        pq.write_table(whole, place_of_it)
        done = place.bring_up_to(NOON + 40 * HOUR, TERMS)
        assert (done.made_anew, done.events.kept, done.events.quarantined) == (None, 2, 1)
        assert [(row.customer_id, row.profile.orders_30d) for row in place.log().rows] == [
            (1, 1),
            (2, 1),
        ]
        quarantine = parquet_at(place.tables.quarantine)
        kept = duckdb.read_parquet(quarantine, union_by_name=True).select("customer_id, note")
        assert kept.fetchall() == [(3, "b")], "what else the row held is kept"
        pq.write_table(events_table([SOUND._replace(customer_id=4)]), below / "c.PARQUET")
        with pytest.raises(RefusedError, match=r"c\.PARQUET is no part"):
            place.bring_up_to(NOON + 41 * HOUR, TERMS)


def test_a_column_that_no_two_parts_spell_alike_keeps_no_event_out(engine: Engine) -> None:
    with engine.place(in_parts=True) as place:
        for number, note in enumerate(([1], ["one"], [{"a": 1}])):
            event = SOUND._replace(customer_id=number, created_timestamp=NOON + 30 * HOUR)
            sound = SOUND._replace(customer_id=number)
            table = events_table([event, sound]).append_column("note", pa.array(note * 2))
            pq.write_table(table, place.tables.events / f"{number}.parquet")
        done = place.bring_up_to(NOON + timedelta(days=2), TERMS)
        assert (done.events.kept, done.events.quarantined) == (3, 3)
