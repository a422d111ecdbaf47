"""Point-in-time reads through Feast's own call, beside raw engines and Feast's own stores.

Feature rows lie in parquet by customer and time, as the pipeline leaves them; a service of four
features with defaults and a ttl of 30 days is asked for entity rows in no order, one in fifty of
a customer that is not there. The floors are the least that gives the same rows in the same order: a
DuckDB ASOF join, and polars' `join_asof`, which is spared the sort of the feature rows since each
customer's lie in order; both read the parquet, apply ttl and defaults and end in Arrow. The peers
are Feast's DuckDB store and its dask store, on the same repository.

Every run's answer is held to that of the first floor before a figure is printed: floors and ours
row by row and type by type; of the peers every row they return, once what they are known for is
undone: order lost, integers that became floats, no defaults, and rows that dask leaves out, which
are counted.

Each run is a process of its own. Seconds and memory are those of the work: the clock starts, and
the peak is reset, once the libraries are loaded, the store is open and the entity rows are there
as a pandas frame. The training set starts from a file and opens the store, and so does what it
stands beside: the same read, written to parquet as it is.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from point_in_time_floors import duckdb_floor, make_rows, polars_floor
from rich.console import Console
from rich.table import Table
from served import CONSUMER, FEATURES, HISTORY, PRESENT, SERVICE, apply, machine, middle
from watched import Cost, Limits, in_a_child, measured

FLOORS, OURS = ("DuckDB ASOF", "polars join_asof"), "ours"
PEERS = {"Feast duckdb": "duckdb", "Feast dask": "dask"}
BARE, BUILT = "read and written", "training set"
OUR_STORE = "feature_access.offline_stores.duckdb_store.PointInTimeOfflineStore"
KEY = "sixteen or more characters"
UNWATCHED = Limits(3_600, 1_000)


def main(
    sizes: Annotated[
        str, typer.Option(help="Feature rows x entity rows, several with commas.")
    ] = "1000000x100000,1000000x1000000,10000000x1000000",
    runs: Annotated[int, typer.Option(help="Of each; the median counts.")] = 3,
    patience: Annotated[int, typer.Option(help="Seconds after which a peer is ended.")] = 120,
    memory: Annotated[int, typer.Option(help="GB at which a peer is ended.")] = 8,
    quick: Annotated[bool, typer.Option(help="A smoke run.")] = False,
    child: Annotated[str, typer.Option(hidden=True)] = "",
    folder: Annotated[Path, typer.Option(hidden=True)] = Path(),
) -> None:
    """Print seconds and peak memory of each, and their ratios to the better floor."""
    if child:
        sys.path.insert(0, str(Path.cwd()))  # the copy's own code
        told, answer = measured(_prepared(child, folder))
        if answer is not None:
            pq.write_table(answer, folder / "answer.parquet")
        print(told)
        return
    if quick:
        sizes, runs = "20000x5000", 1
    console = Console(width=110)
    for size in sizes.split(","):
        feature_rows, entity_rows = map(int, size.split("x"))
        with TemporaryDirectory() as made:
            place = Path(made)
            _make(place, feature_rows, entity_rows)
            costs = _compared(place, runs, Limits(patience, memory))
        console.print(f"{feature_rows:,} feature rows x {entity_rows:,} entity rows; {machine()}")
        console.print(_table(costs))
        console.print(_training_sets(costs))


def _make(place: Path, feature_rows: int, entity_rows: int) -> None:
    """Ours and the peers' repositories over the same feature rows, and the entity rows."""
    from feast_copy import copy_of_the_whole_project

    repository = copy_of_the_whole_project(place / OURS)
    make_rows(repository / HISTORY, feature_rows, place / "entities.parquet", entity_rows)
    apply(repository)
    for peer, kind in PEERS.items():
        settings = copytree(repository, place / peer) / "feature_store.yaml"
        text = settings.read_text(encoding="utf-8")
        assert OUR_STORE in text
        settings.write_text(text.replace(OUR_STORE, kind), encoding="utf-8")


def _compared(place: Path, runs: int, limits: Limits) -> dict[str, list[Cost]]:
    """Costs of each, of which every run has given the right answer."""
    costs: dict[str, list[Cost]] = {}
    for run in range(runs):
        for name in (*FLOORS, OURS, *PEERS, BARE, BUILT):
            if run and costs[name][0].ended:
                continue
            cost = _run(name, place, limits if name in PEERS else UNWATCHED)
            if not cost.ended:
                cost = replace(cost, missing=_refuse_another_answer(name, place))
            costs.setdefault(name, []).append(cost)
    return costs


def _run(name: str, place: Path, limits: Limits) -> Cost:
    repository = place / (name if name in PEERS else OURS)
    return in_a_child(
        [sys.executable, __file__, "--child", name, "--folder", str(place)],
        repository,
        {"PYTHONPATH": str(repository), "FEATURE_STORE_HASH_KEY": KEY},
        limits,
    )


def _prepared(name: str, place: Path) -> Callable[[], pa.Table | None]:
    """The work, with everything loaded that comes before it."""
    import pandas as pd

    entities, answer = place / "entities.parquet", place / "answer.parquet"
    history = str(place / OURS / HISTORY)
    if name == BUILT:
        return _training_set(entities, answer)
    if name == FLOORS[0]:
        frame = pd.read_parquet(entities)
        return lambda: duckdb_floor(frame, history)
    if name == FLOORS[1]:
        import polars  # noqa: F401

        frame = pd.read_parquet(entities)
        return lambda: polars_floor(frame, history)

    import feast_start  # noqa: F401  (as our jobs do)

    from feature_access.registry import open_store

    store: Any = open_store(Path.cwd())
    service, _provider = store.get_feature_service(SERVICE), store.provider
    if name == BARE:

        def written() -> None:
            asked, again = pd.read_parquet(entities), open_store(Path.cwd())
            job = again.get_historical_features(asked, again.get_feature_service(SERVICE))
            pq.write_table(job.to_arrow(), answer)

        return written
    frame = pd.read_parquet(entities)
    return lambda: store.get_historical_features(frame, service).to_arrow()


def _training_set(entities: Path, target: Path) -> Callable[[], None]:
    """The job itself, its record and receipt included, after what it imports late."""
    for late in ("evidence.facts", "evidence.registry", "receipts.inputs"):
        import_module(f"contract_checks.{late}")
    import_module("feature_access.training.training_set")
    from contract_checks.language.loader import load
    from feature_access.registry import open_store
    from jobs.repository import CONTRACT
    from jobs.training.build_training_set import build

    assert Path(CONTRACT).is_relative_to(Path.cwd()), "the copy's own code"
    contract = load(CONTRACT)
    store = open_store(Path.cwd())
    _service, _provider = store.get_feature_service(SERVICE), store.provider

    def built() -> None:
        build(contract, PRESENT, CONSUMER, entities, target, os.environ)

    return built


def _refuse_another_answer(name: str, place: Path) -> int:
    """Make sure that the answer left behind is the first floor's; how many rows it lacks."""
    answer = place / "answer.parquet"
    if name == FLOORS[0]:
        answer.replace(place / "right.parquet")
        return 0
    columns = ["customer_id", "event_timestamp", "label", *FEATURES]
    right, got = (pq.read_table(f, columns=columns) for f in (place / "right.parquet", answer))
    answer.unlink()
    asked = right.num_rows
    if name == BUILT:
        from feature_access.training.hashing import hashed

        right = right.set_column(0, columns[0], hashed(right[columns[0]], KEY.encode()))
    if name in PEERS:
        got = got.sort_by("label")
        filled = {f: got[f].fill_null(0) for f in FEATURES}
        got = pa.table({**{c: got[c] for c in columns}, **filled}).cast(right.schema)
        right = right.take(got["label"])  # a label is the number of its row
    if not got.equals(right):
        raise SystemExit(f"{name} gives another answer: there is nothing to compare")
    return asked - got.num_rows


def _table(costs: dict[str, list[Cost]]) -> Table:
    table = Table("read", "s", "CPU s", "GB", "× floor's s", "CPU", "GB", "× our s", "left out")
    medians = {name: _medians(of) for name, of in costs.items()}
    floor = [min(medians[name][measure] for name in FLOORS) for measure in range(3)]
    for name in (*FLOORS, OURS, *PEERS):
        if ended := costs[name][0].ended:
            table.add_row(name, ended)
            continue
        taken = medians[name]
        table.add_row(
            name,
            *(f"{value:.2f}" for value in taken),
            *(f"{value / least:.2f}" for value, least in zip(taken, floor, strict=True)),
            f"{taken[0] / medians[OURS][0]:.2f}",
            f"{costs[name][0].missing:,}",
        )
    return table


def _training_sets(costs: dict[str, list[Cost]]) -> Table:
    table = Table("from file to file", "s", "CPU s", "GB", "× the read's s", "CPU", "GB")
    read = _medians(costs[BARE])
    for name in (BARE, BUILT):
        taken = _medians(costs[name])
        ratios = (f"{value / of:.2f}" for value, of in zip(taken, read, strict=True))
        table.add_row(name, *(f"{value:.2f}" for value in taken), *ratios)
    return table


def _medians(costs: list[Cost]) -> tuple[float, float, float]:
    return (
        middle([cost.seconds for cost in costs]),
        middle([cost.cpu for cost in costs]),
        middle([cost.gigabytes for cost in costs]),
    )


if __name__ == "__main__":
    typer.run(main)
