"""Events of a case as files: columns of any type that their kind may have, in a part or more."""

import tomllib
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from aggregation_cases import Case, Log
from aggregation_oracle import ARRIVED, HAPPENED, Event

from feature_pipeline.aggregation.reading import load
from feature_pipeline.declared.log import Computed, compute_log

TEXT = pa.string()
LAYOUTS: dict[str, Sequence[pa.DataType]] = {
    "int64": (
        pa.int64(),
        pa.int32(),
        pa.uint64(),
        pa.int8(),
        pa.dictionary(pa.int32(), pa.int64()),
    ),
    "decimal": (pa.decimal128(38, 12), pa.decimal128(38, 15), pa.float64(), pa.decimal128(9, 2)),
    "double": (pa.float64(), pa.float32()),
    "string": (TEXT, pa.large_string(), pa.dictionary(pa.int32(), TEXT), pa.string_view()),
    "bool": (pa.bool_(),),
    "timestamp": (
        pa.timestamp("us", tz="UTC"),
        pa.timestamp("ns", tz="Europe/Berlin"),
        pa.timestamp("us", tz="+05:30"),
    ),
}


def column(kind: str, values: Sequence[Any], random: Random) -> pa.Array:
    """The values in a type that holds them as they are, by chance."""
    layouts = list(LAYOUTS[kind])
    random.shuffle(layouts)
    for layout in layouts:
        if kind == "decimal" and pa.types.is_floating(layout):
            values_now = [None if one is None else float(one) for one in values]
            if any(one is not None and Decimal(repr(float(one))) != one for one in values):
                continue
        else:
            values_now = list(values)
        try:
            made = pa.array(values_now, layout)
        except (pa.ArrowException, OverflowError, ValueError):
            continue
        held = made.to_pylist()
        if kind == "double" and any(a != b for a, b in zip(held, values, strict=True) if a == a):
            continue
        return made
    raise AssertionError(f"no layout for {kind}: {values}")


def kinds_of(declaration: str) -> dict[str, str]:
    declared = tomllib.loads(declaration)
    columns = {
        name: one if isinstance(one, str) else one["type"]
        for name, one in declared.get("columns", {}).items()
    }
    return {**declared["keys"], **columns, HAPPENED: "timestamp", ARRIVED: "timestamp"}


def write_events(case: Case, folder: Path, random: Random) -> Path:
    """The case's events, in a file or in parts that need not lie in one folder."""
    kinds, events = kinds_of(case.declaration), list(case.events)
    random.shuffle(events)
    if random.random() < 0.5:
        write_part(folder / "events.parquet", kinds, events, random)
        return folder / "events.parquet"
    parts = random.randint(1, 3)
    for part in range(parts):
        place = folder / "events" / random.choice(["", "month=2024-02"]) / f"{part}.parquet"
        place.parent.mkdir(parents=True, exist_ok=True)
        write_part(place, kinds, events[part::parts], random)
    return folder / "events"


def write_part(file: Path, kinds: dict[str, str], events: list[Event], random: Random) -> None:
    names = list(kinds)
    random.shuffle(names)
    columns = {name: column(kinds[name], [e[name] for e in events], random) for name in names}
    columns["page"] = pa.array([f"p{place}" for place in range(len(events))], TEXT)
    pq.write_table(pa.table(columns), file, row_group_size=random.choice([1, 3, 1000]))


def computed(
    case: Case, events: Path, as_of: datetime, *, lateness: timedelta | None = None
) -> tuple[Computed, Log, pa.Table]:
    """What the computation alone makes of a file: counts, log, quarantine."""
    folder = events.parent / "out"
    folder.mkdir(exist_ok=True)
    declared = folder / "one.aggregation.toml"
    declared.write_text(case.declaration, encoding="utf-8")
    log, aside = folder / "log.parquet", folder / "aside.parquet"
    done = compute_log(
        events,
        log,
        aside,
        load(declared),
        as_of=as_of,
        allowed_lateness=case.lateness if lateness is None else lateness,
        zone=case.zone,
    )
    rows = pq.read_table(log)
    assert done.log_rows == len(rows)
    keys = list(tomllib.loads(case.declaration)["keys"])
    answers = Log(rows, keys)
    assert done.keys == len(answers.rows)
    return done, answers, pq.read_table(aside)
