"""Online reads through `feature_access`, beside raw redis-py and plain Feast, in one run.

The floor is a pipelined HMGET of the same hashes, whose names are at hand, and the decoding of what
comes back; it checks no age, fills no defaults and knows no consumer. The peers are plain Feast
calls: over Feast's own Redis store, and over ours. All are shown to answer the same.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import redis
import typer
from feature_server import stock
from rich.console import Console
from rich.table import Table
from served import (
    CONSUMER,
    FEATURES,
    PRESENT,
    SERVICE,
    VIEW,
    machine,
    middle,
    milliseconds,
    repository_on_redis,
    terms,
)

SIZES = {1: 2_000, 10: 1_000, 100: 300, 1_000: 60}
ROUNDS = 10
FLOOR, OURS = "raw redis-py", "feature_access"
FEAST, FEAST_ON_OURS = "plain Feast", "plain Feast, our store"


def main(
    customers: Annotated[int, typer.Option(help="Customers in the store.")] = 20_000,
    quick: Annotated[bool, typer.Option(help="A smoke run.")] = False,
) -> None:
    """Print medians in milliseconds and ratios to the floor."""
    if quick:
        customers = 2_000
    with (
        TemporaryDirectory() as made,
        repository_on_redis(Path(made), customers) as (repository, server),
    ):
        asking = _works(repository, server.port)
        table = Table("customers", *(f"{name}, ms" for name in asking))
        for size, repeated in SIZES.items():
            asked = list(range(17, 17 + size))
            works = {name: prepare(asked) for name, prepare in asking.items()}
            _assert_equal_answers(works)
            taken: dict[str, list[float]] = {name: [] for name in works}
            for _ in range(ROUNDS):  # in turn, so that a noisy moment meets all of them
                for name, work in works.items():
                    taken[name] += milliseconds(work, 1 if quick else repeated // ROUNDS)
            floor = middle(taken[FLOOR])
            row = [f"{middle(t):.3f} ({middle(t) / floor:.2f} ×)" for t in taken.values()]
            table.add_row(f"{size:,}", *row)
        console = Console(width=120)
        console.print(f"medians, × the floor; {machine()}")
        console.print(table)


def _works(repository: Path, port: int) -> dict[str, Callable[[list[int]], Callable[[], Any]]]:
    """What is timed: each takes customers and gives a read of them."""
    from feature_access.online_features import OnlineFeatures
    from feature_access.registry import open_store
    from feature_pipeline.online.materialize import materialize_up_to

    ours = open_store(repository)
    materialize_up_to(ours, PRESENT)
    plain = open_store(stock(repository))
    features = OnlineFeatures.open(repository, service=SERVICE, consumer=CONSUMER, terms=terms())

    def of_feast(store: Any) -> Callable[[list[int]], Callable[[], Any]]:
        service = store.get_feature_service(SERVICE)
        return lambda asked: lambda: store.get_online_features(service, _keys(asked)).to_dict()

    return {
        FLOOR: lambda asked: _floor(redis.Redis(port=port), asked),
        OURS: lambda asked: lambda: features.read(_keys(asked), at=PRESENT),
        FEAST: of_feast(plain),
        FEAST_ON_OURS: of_feast(ours),
    }


def _keys(asked: list[int]) -> list[dict[str, Any]]:
    return [{"customer_id": customer} for customer in asked]


def _floor(client: "redis.Redis", asked: list[int]) -> Callable[[], Any]:
    from feast.infra.online_stores.helpers import _mmh3, _redis_key
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value
    from google.protobuf.timestamp_pb2 import Timestamp

    fields = [*(_mmh3(f"{VIEW}:{name}") for name in FEATURES), f"_ts:{VIEW}"]
    names = [
        _redis_key(
            "feature_store",
            EntityKey(join_keys=["customer_id"], entity_values=[Value(int64_val=customer)]),
        )
        for customer in asked
    ]

    def read() -> list[tuple[Any, ...]]:
        with client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hmget(name, fields)
            found = pipe.execute()
        rows = []
        for *raw, stamp in found:
            values = [Value.FromString(value) for value in raw]
            rows.append((Timestamp.FromString(stamp), values))
        return rows

    return read


def _assert_equal_answers(works: dict[str, Callable[[], Any]]) -> None:
    """Every way gives the same values of the same customers, of the right types."""
    answer = works[OURS]()
    ours = [row.values for row in answer.rows]
    assert all(row.known for row in answer.rows)
    assert [[type(value) for value in row] for row in ours] == [[float, int, int, int]] * len(ours)
    floor = works[FLOOR]()
    assert ours == [tuple(getattr(v, v.WhichOneof("val")) for v in row) for _, row in floor]
    assert [row.stamp for row in answer.rows] == [_at(stamp) for stamp, _ in floor]
    for name in (FEAST, FEAST_ON_OURS):
        columns = works[name]()
        assert ours == list(zip(*(columns[feature] for feature in FEATURES), strict=True))


def _at(stamp: Any) -> datetime:
    moment: datetime = stamp.ToDatetime(tzinfo=UTC)
    return moment


if __name__ == "__main__":
    typer.run(main)
