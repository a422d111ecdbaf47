"""scripts/aggregate.py --aggregation: what it writes, what it tells, and what it refuses."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from crowd import crowd
from typer.testing import CliRunner, Result

from feature_pipeline.aggregation.reading import load
from feature_pipeline.change_log.aggregate import aggregate
from feature_pipeline.declared.log import compute_log
from scripts.aggregate import main

pytestmark = pytest.mark.usefixtures("one_engine")

ROOT = Path(__file__).parents[3]
NOON = datetime(2026, 1, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INSTANT = pa.timestamp("us", tz="UTC")
DECLARATION = """\
view = "account_v1"
keys = { account = "string", shop = "int64" }
columns = { paid = "decimal", note = { type = "string", required = false }, ok = "bool" }
where = [["ok", "=", true]]
[features]
paid_90min = { sum = "paid", window = "90min" }
last_note_7d = { last = "note", window = "7d", empty = "none" }
"""
EVENT = {
    "account": "007",
    "shop": 1,
    "event_timestamp": NOON,
    "created_timestamp": NOON + HOUR,
    "paid": Decimal("19.99"),
    "note": "first",
    "ok": True,
}
SCHEMA = pa.schema(
    {
        "account": pa.string(),
        "shop": pa.int64(),
        "event_timestamp": INSTANT,
        "created_timestamp": INSTANT,
        "paid": pa.decimal128(12, 2),
        "note": pa.string(),
        "ok": pa.bool_(),
    }
)
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command on events (a table, or rows) and a declaration."""

    def run(
        events: Any = (EVENT,),
        *more: str,
        declaration: str = DECLARATION,
        lateness: str | None = "48h",
    ) -> Result:
        file, declared = tmp_path / "events.parquet", tmp_path / "one.aggregation.toml"
        if isinstance(events, pa.Table):
            pq.write_table(events, file)
        elif events is not None:
            pq.write_table(pa.Table.from_pylist(list(events), SCHEMA), file)
        declared.write_text(declaration, encoding="utf-8")
        app = typer.Typer()
        app.command()(main)
        late = [] if lateness is None else ["--allowed-lateness", lateness]
        arguments = [str(file), str(tmp_path / "log.parquet"), "--aggregation", str(declared)]
        return CliRunner().invoke(app, [*arguments, *late, "--as-of", "2026-03-01T00:00Z", *more])

    return run


def log(tmp_path: Path) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(tmp_path / "log.parquet").to_pylist()]


def test_the_log_and_the_quarantine_of_one_event(run: Run, tmp_path: Path) -> None:
    done = run()
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "1 events ingested: 1 kept, 0 superseded, 0 not looked at, 0 quarantined; "
        "0 had not yet arrived",
        f"3 rows of 1 account, shop written to {tmp_path / 'log.parquet'}",
    ]
    assert pq.read_schema(tmp_path / "log.parquet") == pa.schema(
        {
            "account": pa.string(),
            "shop": pa.int64(),
            "event_timestamp": INSTANT,
            "paid_90min": pa.decimal128(38, 12),
            "last_note_7d": pa.string(),
        }
    )
    assert log(tmp_path) == [
        ("007", 1, NOON + HOUR, Decimal("19.99"), "first"),
        ("007", 1, NOON + 1.5 * HOUR, Decimal(0), "first"),
        ("007", 1, NOON + 7 * 24 * HOUR, Decimal(0), "none"),
    ]
    assert len(pq.read_table(tmp_path / "log_quarantine.parquet")) == 0


FAR = datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
QUARANTINED = [
    ({"account": None}, "malformed: account is null"),
    ({"shop": None}, "malformed: shop is null"),
    ({"event_timestamp": None}, "malformed: event_timestamp is null"),
    ({"created_timestamp": None}, "malformed: created_timestamp is null"),
    ({"paid": None}, "malformed: paid is null"),
    ({"ok": None}, "malformed: ok is null"),
    ({"event_timestamp": FAR}, "future-dated: happened after it arrived"),
    (
        {"event_timestamp": NOON + HOUR + timedelta(microseconds=1)},
        "future-dated: happened after it arrived",
    ),
    (
        {"created_timestamp": NOON + 48 * HOUR + timedelta(microseconds=1)},
        "late: arrived after the allowed lateness",
    ),
]


def test_what_cannot_count_stands_aside_with_all_that_it_holds(run: Run, tmp_path: Path) -> None:
    rows = [EVENT | changed for changed, _ in QUARANTINED]
    admissible = [EVENT, EVENT | {"account": "7", "note": None}, EVENT | {"ok": False}]
    done = run([*rows, *admissible])
    assert done.stdout.startswith(
        "12 events ingested: 2 kept, 0 superseded, 1 not looked at, 9 quarantined; 0 had not"
    )
    aside = pq.read_table(tmp_path / "log_quarantine.parquet").to_pylist()
    assert [row.pop("reason") for row in aside] == [why for _, why in QUARANTINED]
    assert aside == rows
    assert {row[0] for row in log(tmp_path)} == {"007", "7"}
    assert [row[4] for row in log(tmp_path) if row[0] == "7"] == ["none"] * 3


def typed(name: str, kind: pa.DataType, values: list[Any]) -> pa.Table:
    """Events an hour apart, one column of them as given."""
    rows = [
        EVENT | {"event_timestamp": NOON + n * HOUR, "created_timestamp": NOON + n * HOUR}
        for n in range(len(values))
    ]
    table = pa.Table.from_pylist(rows, SCHEMA)
    place = table.schema.get_field_index(name)
    there = place >= 0
    column = pa.array(values, kind)
    return table.set_column(place, name, column) if there else table.append_column(name, column)


def declared(kind: str, feature: str, **parts: str) -> str:
    more = "".join(f"{name} = {value}\n" for name, value in parts.items())
    return (
        f'view = "v"\nkeys = {{ account = "string" }}\ncolumns = {{ x = "{kind}" }}\n{more}'
        f'[features]\nf = {{ {feature} = "x", window = "30d" }}\n'
    )


UNSIGNED, NAN, TINY = 2**63, float("nan"), 1e-13
VALUES = [
    ("int64", "sum", pa.uint64(), [2, UNSIGNED - 1 - 2, UNSIGNED], 2**63 - 1, 1),
    ("int64", "max", pa.uint8(), [2, 200, 3], 200, 0),
    ("int64", "min", pa.int64(), [2, -(2**63), 3], -(2**63), 0),
    ("decimal", "sum", pa.uint64(), [2**64 - 1, 1], Decimal(2**64), 0),
    ("decimal", "sum", pa.float32(), [0.1, 16777216.0], Decimal("16777216.100000001490"), 0),
    ("decimal", "sum", pa.float64(), [0.1, 0.2, -0.5, NAN], Decimal("-0.2"), 1),
    ("decimal", "sum", pa.float64(), [-16777216.1, TINY, -1e26], Decimal("-16777216.1"), 1),
    ("decimal", "sum", pa.decimal128(38, 0), [10**26 - 1, -(10**26), 10**26], 10**26 - 1, 2),
    ("decimal", "max", pa.decimal128(38, 15), [Decimal("-0.0000000000005")], Decimal("-1e-12"), 0),
    ("double", "max", pa.float32(), [0.1, NAN, float("inf")], 0.10000000149011612, 2),
    ("double", "min", pa.float64(), [0.0, -0.0, float("-inf")], 0.0, 1),
    ("string", "last", pa.large_string(), ["é", "007"], "007", 0),
    ("string", "min", pa.string(), ["a", "B", "ä"], "B", 0),
    ("string", "first", pa.dictionary(pa.int8(), pa.string()), ["z", "a"], "z", 0),
    ("string", "mode", pa.string(), ["b", "a", "b", "", ""], "", 0),
    ("bool", "mode", pa.bool_(), [True, False, True], True, 0),
    ("timestamp", "max", pa.timestamp("ms", tz="Asia/Tokyo"), [NOON, NOON + HOUR], NOON + HOUR, 0),
    ("timestamp", "min", pa.timestamp("ns", tz="UTC"), [NOON + HOUR, NOON], NOON, 0),
]


@pytest.mark.parametrize(("kind", "function", "kept_as", "values", "answer", "aside"), VALUES)
def test_values_of_every_type_count_as_what_they_are(
    run: Run,
    tmp_path: Path,
    kind: str,
    function: str,
    kept_as: pa.DataType,
    values: list[Any],
    answer: Any,
    aside: int,
) -> None:
    done = run(typed("x", kept_as, values), declaration=declared(kind, function))
    assert done.exit_code == 0, done.output
    assert f"{len(values) - aside} kept" in done.stdout
    assert f"{aside} quarantined" in done.stdout
    last = max(NOON + n * HOUR for n in range(len(values) - aside))
    then = [row[2] for row in log(tmp_path) if row[1] == last]
    assert then == [answer]
    assert type(then[0]) is type(answer) or kind == "decimal"


NAIVE = pa.timestamp("us")
WRONG = [
    ("x", "int64", pa.float64(), [1.0], "x is double, declared int64, expected an integer"),
    ("x", "int64", pa.string(), ["7"], "x is string, declared int64, expected an integer"),
    ("x", "double", pa.int64(), [1], "x is int64, declared double, expected a float of 32 or 64"),
    ("x", "double", pa.float16(), [1.0], "x is halffloat, declared double, expected a float of"),
    ("x", "decimal", pa.string(), ["1"], "x is string, declared decimal, expected a number"),
    ("x", "string", pa.int64(), [7], "x is int64, declared string, expected a text"),
    ("x", "string", pa.binary(), [b"a"], "x is binary, declared string, expected a text"),
    ("x", "bool", pa.int8(), [1], "x is int8, declared bool, expected a bool"),
    ("x", "timestamp", NAIVE, [NOON.replace(tzinfo=None)], "x is timestamp[us], declared time"),
    ("x", "timestamp", pa.date32(), [NOON.date()], "x is date32[day], declared timestamp, expect"),
    ("account", "int64", pa.int64(), [7], "account is int64, declared string, expected a text"),
    ("event_timestamp", "int64", NAIVE, [NOON.replace(tzinfo=None)], "event_timestamp is timest"),
    ("File_Row_Number", "int64", pa.int64(), [7], "has a column file_row_number, the reader's own"),
    ("X", "int64", pa.int64(), [7], "has two columns x: write each once"),
]


@pytest.mark.parametrize(("name", "kind", "kept_as", "values", "words"), WRONG)
def test_a_column_of_another_type_is_refused(
    run: Run, tmp_path: Path, name: str, kind: str, kept_as: pa.DataType, values: Any, words: str
) -> None:
    events = typed(name, kept_as, values)
    if name != "x":
        events = events.append_column("x", pa.array([1], pa.int64()))
    refused(run(events, declaration=declared(kind, "last")), words, tmp_path)


def refused(done: Result, words: str, tmp_path: Path) -> None:
    assert done.exit_code == 2, done.output
    assert done.stderr.startswith("refused: ")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not list(tmp_path.glob("log*"))


def test_no_events_are_refused(run: Run, tmp_path: Path) -> None:
    refused(run(None), "no events file at", tmp_path)
    refused(run([]), "has no rows: nothing to aggregate", tmp_path)
    later = EVENT | {"created_timestamp": datetime(2026, 3, 1, 1, tzinfo=UTC)}
    words = "the first arrived at 2026-03-01T01:00:00+00:00, name a later as-of time"
    refused(run([later]), words, tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"PAR1 and no more PAR1")
    refused(run(None), "is not a readable parquet file", tmp_path)


def test_events_that_are_all_quarantined_make_an_empty_log(run: Run, tmp_path: Path) -> None:
    done = run([EVENT | {"paid": None}])
    assert (done.exit_code, log(tmp_path)) == (0, [])
    assert "0 rows of 0 account, shop" in done.stdout


def test_columns_that_are_not_there_are_named(run: Run, tmp_path: Path) -> None:
    events = pa.Table.from_pylist([EVENT], SCHEMA).drop_columns(["paid", "created_timestamp"])
    words = "lacks created_timestamp, paid, which account_v1 is declared to be made of; it has acc"
    refused(run(events), words, tmp_path)


OPTIONS = [
    ({"lateness": None}, (), "--allowed-lateness is missing: a declaration does not say how late"),
    ({"lateness": "2 days"}, (), '--allowed-lateness: "2 days" is no span such as "90min"'),
    ({}, ("--timezone", "Mars/Olympus"), "does not know the time zone 'Mars/Olympus' (--timezone)"),
    ({"declaration": DECLARATION + "[else]\n"}, (), "else: means nothing here"),
    ({"declaration": "view = "}, (), "is no TOML"),
]


@pytest.mark.parametrize(("given", "more", "words"), OPTIONS)
def test_what_is_said_beside_is_refused_in_one_line(
    run: Run, tmp_path: Path, given: dict[str, Any], more: tuple[str, ...], words: str
) -> None:
    refused(run((EVENT,), *more, **given), words, tmp_path)


def test_options_of_a_declaration_need_one(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(main)
    for option in (["--timezone", "UTC"], ["--allowed-lateness", "48h"]):
        done = CliRunner().invoke(app, [str(tmp_path / "e"), str(tmp_path / "log"), *option])
        refused(done, "a contract says its own: name the declaration with --aggregation", tmp_path)


def test_nothing_may_be_late_where_the_lateness_is_none(run: Run, tmp_path: Path) -> None:
    at_once = EVENT | {"created_timestamp": NOON}
    assert (
        "1 kept, 0 superseded, 0 not looked at, 1 quar"
        in run([EVENT, at_once], lateness="0h").stdout
    )
    assert log(tmp_path)[0][2] == NOON


# Ids.

BY_ID = declared("string", "last", dedup='{ kind = "id", by = "x" }')


def test_an_id_that_is_of_two_keys_is_refused(run: Run, tmp_path: Path) -> None:
    events = typed("x", pa.string(), ["a", "b", "a"])
    accounts = pa.array(["7", "7", "007"])
    moved = events.set_column(0, "account", accounts)
    words = "1 of the values of x in"
    refused(run(moved, declaration=BY_ID), words, tmp_path)


def test_an_id_is_asked_of_what_is_looked_at_alone(run: Run, tmp_path: Path) -> None:
    rows = [EVENT, EVENT | {"account": "7", "ok": False}, EVENT | {"account": "8", "note": "n"}]
    by_note = DECLARATION.replace("required = false", "required = true")
    by_note = by_note.replace("[features]", 'dedup = { kind = "id", by = "note" }\n[features]')
    done = run(rows, declaration=by_note)
    assert "2 kept, 0 superseded, 1 not looked at" in done.stdout
    refused_of = [EVENT, EVENT | {"account": "7"}]
    assert "stand with more than one account, shop" in run(refused_of, declaration=by_note).stderr


@pytest.mark.parametrize(("other", "kept", "aside"), [({}, 1, 1), ({"paid": Decimal(1)}, 0, 2)])
def test_an_event_twice_is_one_where_its_id_says_so(
    run: Run, other: dict[str, Any], kept: int, aside: int
) -> None:
    by_note = DECLARATION.replace("required = false", "required = true")
    by_note = by_note.replace("[features]", 'dedup = { kind = "id", by = "note" }\n[features]')
    twice = [EVENT, EVENT | other]
    assert (
        f"{kept} kept, 0 superseded, 0 not looked at, {aside} quarantined"
        in run(twice, declaration=by_note).stdout
    )
    assert "2 kept, 0 superseded, 0 not looked at, 0 quarantined" in run(twice).stdout


def test_names_that_sql_would_read_otherwise(run: Run, tmp_path: Path) -> None:
    rows = {'the "sum"; --': [1], "select": ["k"], "reason": ["why"]}
    rows |= {"event_timestamp": [NOON], "created_timestamp": [NOON]}
    events = pa.table(rows).cast(
        pa.schema(
            {
                **dict.fromkeys(['the "sum"; --'], pa.int64()),
                **dict.fromkeys(["select", "reason"], pa.string()),
                **dict.fromkeys(["event_timestamp", "created_timestamp"], INSTANT),
            }
        )
    )
    declaration = """\
view = "v"
keys = { select = "string" }
columns = { 'the "sum"; --' = "int64", reason = "string" }
[features]
"f'x" = { sum = 'the "sum"; --', where = [["reason", "=", "why"]], window = "1d" }
"""
    done = run(events, declaration=declaration)
    assert done.exit_code == 0, done.output
    assert log(tmp_path)[0] == ("k", NOON, 1)


# customer_profile_v1: its declaration says what its hand-written computation does.

PROFILE = ROOT / "feature_repo" / "customer_profile_v1.aggregation.toml"


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin"])
def test_customer_profile_is_its_declaration(tmp_path: Path, zone: str) -> None:
    oracle = crowd(300, seed=7)
    events, hand, declared = (tmp_path / f"{name}.parquet" for name in ("events", "hand", "log"))
    named = [event._asdict() for event in oracle.events]
    pq.write_table(pa.Table.from_pylist(named), events)
    terms = {"as_of": datetime(2024, 6, 1, tzinfo=UTC), "allowed_lateness": timedelta(days=1)}
    by_hand = aggregate(
        events,
        hand,
        tmp_path / "aside_hand.parquet",
        lookback_window=timedelta(days=30),
        zone=zone,
        **terms,
    )
    done = compute_log(
        events, declared, tmp_path / "aside.parquet", load(PROFILE), zone=zone, **terms
    )
    assert pq.read_table(declared).equals(pq.read_table(hand))
    assert (done.kept, done.superseded) == (by_hand.events.kept, by_hand.events.superseded)
    assert done.quarantined == by_hand.events.quarantined
