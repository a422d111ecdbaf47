"""What the intake refuses, what it quarantines, and what it takes in."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from oracle import MICROSECOND, TIMES, Counts, Event, events_table, read_change_log, write_events

from feature_pipeline.change_log.aggregate import Aggregated, aggregate
from storage.errors import RefusedError

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
AS_OF = NOON + 10 * DAY
EVENT = Event(7, NOON, NOON + HOUR, 1, Decimal("10.00"), 2)
NAN, INFINITE = float("nan"), float("inf")


def run(events: Path, out: Path, **changed) -> Aggregated:
    targets = {"history": out / "history.parquet", "quarantine": out / "quarantine.parquet"}
    settings = {"as_of": AS_OF, "lookback_window": 30 * DAY, "allowed_lateness": DAY}
    return aggregate(events, **(targets | settings | changed))


def with_column(name: str, values: list, kind: pa.DataType | None = None) -> pa.Table:
    """One event per value, an hour apart, with that value in the named column."""
    table = events_table(
        EVENT._replace(event_timestamp=NOON + hour * HOUR, created_timestamp=NOON + 9 * HOUR)
        for hour in range(len(values))
    )
    return table.set_column(table.schema.get_field_index(name), name, pa.array(values, kind))


@pytest.fixture(params=["nothing written yet", "an earlier history"])
def out(request, tmp_path) -> Path:
    """The target folder, as a first run and as every later run find it."""
    folder = tmp_path / "out"
    folder.mkdir()
    if request.param == "an earlier history":
        run(write_events([EVENT], tmp_path / "earlier.parquet"), folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def assert_refused(events: Path, out: Path, *says: str, **changed) -> None:
    before = contents(out)
    with pytest.raises(RefusedError) as refused:
        run(events, out, **changed)
    message = str(refused.value)
    assert [words for words in says if words not in message] == [], message
    assert contents(out) == before


def test_no_file(tmp_path, out):
    (empty := tmp_path / "empty").mkdir()
    for events in (tmp_path / "nowhere.parquet", empty):
        assert_refused(events, out, f"no events file at {events}: write customer_events there")


def test_a_file_that_is_not_parquet(tmp_path, out):
    events = tmp_path / "events.parquet"
    for content in (b"", b"customer_id,orders\n1,2\n", b"PAR1 cut short"):
        events.write_bytes(content)
        assert_refused(events, out, str(events), "is not a readable parquet file")


EVENTS = events_table([EVENT])
ZONED = pa.timestamp("us", tz="UTC")
NAIVE_IS_REFUSED = "a timestamp with time zone (a naive one names no instant)"
NOT_THE_EVENTS_TABLE = [
    (EVENTS.slice(0, 0), "has no rows: nothing to aggregate; check the ingestion job"),
    (
        EVENTS.select(["customer_id", "orders"]),
        "lacks event_timestamp, created_timestamp, sessions, order_value; customer_events has",
    ),
    *((EVENTS.drop_columns([name]), f"lacks {name};") for name in Event._fields),
    *(
        (with_column(name, [None], kind), f"wrong type: {name} is {kind}, expected {expected}")
        for name, kind, expected in [
            ("customer_id", pa.float64(), "an integer or a string"),
            ("event_timestamp", pa.date32(), NAIVE_IS_REFUSED),
            ("event_timestamp", pa.timestamp("us"), NAIVE_IS_REFUSED),
            ("created_timestamp", pa.timestamp("ns"), NAIVE_IS_REFUSED),
            ("created_timestamp", pa.string(), NAIVE_IS_REFUSED),
            ("orders", pa.float64(), "an integer"),
            ("sessions", pa.string(), "an integer"),
            ("order_value", pa.string(), "a number"),
        ]
    ),
]


@pytest.mark.parametrize(("table", "says"), NOT_THE_EVENTS_TABLE)
def test_not_the_events_table(table, says, tmp_path, out):
    pq.write_table(table, events := tmp_path / "events.parquet")
    assert_refused(events, out, str(events), says)


def test_an_as_of_before_the_first_arrival(tmp_path, out):
    events = write_events([EVENT], tmp_path / "events.parquet")
    as_of = EVENT.created_timestamp - MICROSECOND
    says = (str(events), "had arrived by", as_of.isoformat(), "the first arrived at")
    assert_refused(events, out, *says, "2024-02-29T13:00:00", "name a later as-of", as_of=as_of)


def test_a_naive_as_of(tmp_path, out):
    before = contents(out)
    with pytest.raises(ValueError, match="as_of must carry a time zone"):
        run(write_events([EVENT], tmp_path / "e.parquet"), out, as_of=AS_OF.replace(tzinfo=None))
    assert contents(out) == before


@pytest.mark.parametrize("target", ["history", "quarantine"])
def test_a_target_that_cannot_be_written(target, tmp_path, out):
    events = write_events([EVENT], tmp_path / "events.parquet")
    (tmp_path / "folder").mkdir()
    for impossible in (tmp_path / "folder", events / "below" / "a_file.parquet"):
        says = ("cannot write", str(impossible), "name a file you may write")
        assert_refused(events, out, *says, **{target: impossible})


@pytest.mark.parametrize("name", ["new/folders", "o'Brien's *.parquet [1]", 'träume" $x %20'])
def test_any_folder_will_do(name, tmp_path):
    folder = tmp_path / name
    folder.mkdir(parents=True)
    run(write_events([EVENT], folder / "events.parquet"), folder / "new")
    assert sorted(contents(folder / "new")) == ["history.parquet", "quarantine.parquet"]


def test_a_file_name_is_no_pattern(tmp_path):
    write_events([EVENT._replace(customer_id=8)], tmp_path / "events 1.parquet")
    done = run(write_events([EVENT], tmp_path / "events *.parquet"), tmp_path)
    assert done.events.ingested == 1


def test_targets_are_files_of_their_own(tmp_path):
    """The source is never overwritten, and one file cannot be two."""
    events = write_events([EVENT], tmp_path / "events.parquet")
    before = contents(tmp_path)
    two = dict.fromkeys(("history", "quarantine"), tmp_path / "one.parquet")
    for same in ({"history": events}, {"quarantine": events}, two):
        with pytest.raises(RefusedError):
            run(events, tmp_path, **same)
        assert contents(tmp_path) == before


def test_a_failure_half_way_leaves_no_trace(tmp_path, out):
    before = contents(out)
    beyond_counting = [Event(7, NOON + n * DAY, NOON + n * DAY, 2**62, 1.0, 1) for n in range(3)]
    events = write_events(beyond_counting, tmp_path / "events.parquet")
    with pytest.raises((RefusedError, duckdb.Error)):
        run(events, out)
    assert contents(out) == before


INADMISSIBLE = [
    ("late: arrived after the allowed lateness", {"created_timestamp": NOON + DAY + MICROSECOND}),
    ("future-dated: happened after it arrived", {"created_timestamp": NOON - MICROSECOND}),
    ("malformed: orders is null", {"orders": None}),
    ("malformed: sessions is null", {"sessions": None}),
    ("malformed: order_value is null", {"order_value": None}),
    ("malformed: order_value is not an amount", {"order_value": NAN}),
    ("malformed: order_value is not an amount", {"order_value": INFINITE}),
    ("malformed: orders is null", {"orders": None, "created_timestamp": NOON + 5 * DAY}),
]


def test_quarantined_rows_keep_their_columns_and_gain_a_reason(tmp_path):
    sound = EVENT._replace(customer_id=0, order_value=10.0)
    faults = [{"customer_id": n, **fault} for n, (_, fault) in enumerate(INADMISSIBLE, start=1)]
    table = events_table([sound, *(sound._replace(**fault) for fault in faults)])
    table = table.append_column("source", pa.array([f"till {row}" for row in range(len(table))]))
    pq.write_table(table, events := tmp_path / "events.parquet")
    done = run(events, tmp_path)

    quarantined = pq.read_table(tmp_path / "quarantine.parquet")
    assert quarantined["reason"].to_pylist() == [reason for reason, _ in INADMISSIBLE]
    # As text, because NaN is not equal to itself.
    assert str(quarantined.drop_columns(["reason"]).to_pylist()) == str(table[1:].to_pylist())
    assert (done.events.kept, done.events.quarantined) == (1, len(INADMISSIBLE))
    assert {row.customer_id for row in read_change_log(tmp_path / "history.parquet").rows} == {0}


def test_a_reason_of_the_events_own_is_not_taken_for_ours(tmp_path):
    late = EVENT._replace(customer_id=8, created_timestamp=NOON + DAY + MICROSECOND)
    table = events_table([EVENT, late]).append_column("reason", pa.array(["gift", None]))
    pq.write_table(table, events := tmp_path / "events.parquet")
    counts = run(events, tmp_path).events
    assert (counts.kept, counts.quarantined) == (1, 1)
    quarantined = pq.read_table(tmp_path / "quarantine.parquet")
    assert quarantined["customer_id"].to_pylist() == [8]
    assert quarantined["reason"].to_pylist() == ["late: arrived after the allowed lateness"]
    assert quarantined["reason_1"].to_pylist() == [None]


@pytest.mark.parametrize("lateness", [DAY, 2 * HOUR, timedelta(0)])
def test_the_bounds_of_lateness_are_exact(lateness, tmp_path):
    delays = [-MICROSECOND, timedelta(0), lateness, lateness + MICROSECOND]
    times = [{"customer_id": n, "created_timestamp": NOON + d} for n, d in enumerate(delays)]
    events = write_events([EVENT._replace(**one) for one in times], tmp_path / "events.parquet")
    run(events, tmp_path, allowed_lateness=lateness)
    quarantined = pq.read_table(tmp_path / "quarantine.parquet")
    assert quarantined["customer_id"].to_pylist() == [0, 3]


def test_what_arrives_after_the_as_of_is_not_ingested_yet(tmp_path):
    happened = EVENT._replace(event_timestamp=AS_OF - 2 * HOUR)
    # The last is late as well; it will be judged when it arrives.
    arrivals = [AS_OF - HOUR, AS_OF, AS_OF + MICROSECOND, AS_OF + 30 * DAY]
    events = [happened._replace(created_timestamp=arrival) for arrival in arrivals]
    done = run(write_events(events, tmp_path / "events.parquet"), tmp_path)
    assert vars(done.events) == Counts(2, 1, 1, quarantined=0, not_yet_arrived=2)._asdict()


def outcome(folder: Path) -> list[pa.Table]:
    return [pq.read_table(folder / f"{name}.parquet") for name in ("history", "quarantine")]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kathmandu", "+05:45"])
@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_one_instant_is_one_instant_in_any_zone_and_unit(unit, zone, tmp_path):
    table = events_table([EVENT, EVENT._replace(customer_id=8, created_timestamp=NOON + 2 * DAY)])
    pq.write_table(table, events := tmp_path / "events.parquet")
    run(events, tmp_path)
    expected = outcome(tmp_path)
    assert [len(table) for table in expected] == [1, 1]
    for place, name in enumerate(TIMES, start=1):
        table = table.set_column(place, name, table[name].cast(pa.timestamp(unit, tz=zone)))
    pq.write_table(table, events := tmp_path / "events.parquet")
    run(events, tmp_path, as_of=AS_OF.astimezone(ZoneInfo("Asia/Kathmandu")))
    assert outcome(tmp_path) == expected
