"""The change log in one pass over ordered events: what `aggregate.sql` says, in arrays.

A warehouse runs the SQL. The embedded engine evaluates a running sum by a tree of partial sums, a
logarithm of steps a row, where a row adds one value to the row before; so here the engine puts the
events in order, and the rest is cumulative sums over a few customers at a time.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from feature_pipeline.change_log.local_days import IN_UTC
from feature_pipeline.change_log.quotient import nearest_quotients

MICROSECOND, DAY = timedelta(microseconds=1), 86_400_000_000
NEVER = np.iinfo(np.int64).max
AT_ONCE = 30 * 2048  # events; fewer than 2**16 customers, whom numpy sorts by their two bytes

_ORDERED = """
    SELECT customer_id, orders, order_value, sessions,
           epoch_us(event_timestamp) AS happened, epoch_us(created_timestamp) AS arrived
    FROM accepted_events ORDER BY customer_id, event_timestamp, created_timestamp
"""

Array = npt.NDArray[Any]


class ChangeLogReader:
    """The change log of `accepted_events` up to an as-of time, made as it is read."""

    rows: pa.RecordBatchReader
    """By customer and stamp, those of `aggregate.sql`.

    Reading raises OverflowError where a sum of counts is beyond 64 bits.
    """
    customer_days: int
    """Customer-days of the events read so far."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        as_of: datetime,
        lookback_window: timedelta,
        zone: str,
    ) -> None:
        """The connection is to be asked nothing else until the rows are read."""
        # A day of UTC is its microseconds divided, and they come in its order as they are.
        self._in_utc = zone == IN_UTC
        query = _ORDERED if self._in_utc else _ORDERED.replace("customer_id,", "customer_id, day,")
        ordered = connection.execute(query).fetch_record_batch(AT_ONCE)
        self.customer_days = 0
        self._window = lookback_window // MICROSECOND
        self._as_of = (as_of - datetime(1970, 1, 1, tzinfo=UTC)) // MICROSECOND
        self._schema = pa.schema(
            {
                "customer_id": ordered.schema.field("customer_id").type,
                "event_timestamp": pa.timestamp("us", tz="UTC"),
                "avg_order_value_30d": pa.float64(),
                "orders_30d": pa.int64(),
                "sessions_30d": pa.int64(),
                "distinct_order_days_30d": pa.int64(),
            }
        )
        self.rows = pa.RecordBatchReader.from_batches(
            self._schema, map(self._log_of, _of_whole_customers(_one_ahead(ordered)))
        )

    def _log_of(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The rows of some customers."""
        customer_id = events["customer_id"]
        happened, arrived, orders, sessions = (
            events[name].to_numpy() for name in ("happened", "arrived", "orders", "sessions")
        )
        customer_begins = _begins(customer_id)
        customer = np.cumsum(customer_begins) - 1
        new_day = _begins(happened // DAY) if self._in_utc else _begins(events["day"])
        day_begins = customer_begins | new_day
        self.customer_days += int(np.count_nonzero(day_begins))

        in_force_from = arrived
        in_force_until = np.minimum(happened + self._window, _superseded(arrived, day_begins))
        counts = np.flatnonzero(in_force_from < in_force_until)
        ends = counts[in_force_until[counts] <= self._as_of]

        # Each state adds itself when it comes into force and takes itself away when it ends.
        event = np.concatenate([counts, ends])
        deltas = _Deltas.in_order(
            customer[event],
            np.concatenate([in_force_from[counts], in_force_until[ends]]),
            event,
            np.repeat([1, -1], [len(counts), len(ends)]),
        )
        orders_then = deltas.summed(orders)
        order_value_then = _units(*map(deltas.summed, _limbs(events["order_value"])))
        order_days_then = deltas.summed((orders > 0).astype(np.int64))
        rows = {
            "customer_id": customer_id.take(pa.array(deltas.event[deltas.last])),
            "event_timestamp": deltas.instant[deltas.last],
            "avg_order_value_30d": nearest_quotients(order_value_then, orders_then),
            "orders_30d": orders_then.astype(np.int64),
            "sessions_30d": deltas.summed(sessions).astype(np.int64),
            "distinct_order_days_30d": order_days_then,
        }
        return pa.record_batch(rows, schema=self._schema)


def _one_ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The batches; the engine makes the next one while the one before is added up."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = beside.submit(next, batches, None)
            yield batch


def _of_whole_customers(ordered: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows, no customer's parted; the last customer of each waits for what may follow."""
    waiting: list[pa.RecordBatch] = []
    for batch in filter(len, ordered):
        block = pa.concat_batches([*waiting, batch])
        last = int(np.flatnonzero(_begins(block["customer_id"]))[-1])
        if last:
            yield block.slice(0, last)
        waiting = [block.slice(last)]
    yield from waiting


def _superseded(arrived: Array, day_begins: Array) -> Array:
    """When a state's place is taken, or `NEVER`: states in order of customer, day and happening.

    By the first to arrive of the day's later states. Where that had come first, this one never
    counts.
    """
    day = np.cumsum(day_begins)
    longest = int(np.bincount(day).max())
    earliest, reach = arrived.copy(), 1
    while reach < longest:  # the earliest of a state and those after it, twice as many each time
        np.minimum(
            earliest[:-reach],
            earliest[reach:],
            out=earliest[:-reach],
            where=day[:-reach] == day[reach:],
        )
        reach *= 2
    return np.append(np.where(day_begins[1:], NEVER, earliest[1:]), NEVER)


@dataclass(frozen=True)
class _Deltas:
    """What changes the sums, by customer and instant."""

    instant: Array
    event: Array
    """Whose amounts are added, by its place."""
    sign: Array
    first: Array
    """Where a customer begins."""
    last: Array
    """Where an instant ends, for then its sums are whole."""
    customer_of_last: Array

    @classmethod
    def in_order(cls, customer: Array, instant: Array, event: Array, sign: Array) -> "_Deltas":
        order = _by_customer_and_instant(customer, instant)
        customer, instant = customer[order], instant[order]
        begins = _begins(customer)
        ends = np.append((begins | _begins(instant))[1:], True)[: len(order)]
        return cls(
            instant,
            event[order],
            sign[order],
            first=np.flatnonzero(begins),
            last=np.flatnonzero(ends),
            customer_of_last=(np.cumsum(begins) - 1)[ends],
        )

    def summed(self, amounts: Array) -> Array:
        """The customer's sum after the last delta of each instant."""
        if int(amounts.max()) * len(self.event) >= 2**63:
            amounts = amounts.astype(object)  # Python's integers, which have no end
        deltas = amounts[self.event] * self.sign
        running = np.cumsum(deltas)
        before = running[self.first] - deltas[self.first]
        then: Array = running[self.last] - before[self.customer_of_last]
        return then


def _by_customer_and_instant(customer: Array, instant: Array) -> Array:
    """Their order; in one sort where both fit into one number."""
    first, last = (int(end) for end in (instant.min(initial=NEVER), instant.max(initial=-NEVER)))
    bits = max(last - first, 0).bit_length()
    if bits + int(customer.max(initial=0)).bit_length() < 64:
        return np.argsort(customer << bits | instant - first)
    order = np.argsort(instant)
    return order[np.argsort(customer[order].astype(np.uint16), kind="stable")]


def _limbs(amounts: pa.Array) -> tuple[Array, Array]:
    """Decimals as they lie in memory, 128 bits each: the lowest 32, and all above them."""
    _, memory = amounts.buffers()
    halves = np.frombuffer(memory, "<u8").reshape(-1, 2)[amounts.offset :][: len(amounts)]
    low, high = halves[:, 0], halves[:, 1]
    above = (low >> 32).view(np.int64)
    if high.any():
        above = high.astype(object) * 2**32 + above
    return (low & 0xFFFFFFFF).view(np.int64), above


def _units(low: Array, above: Array) -> Array:
    """Sums of limbs put together again: whole numbers, a unit the last digit of the decimals."""
    if above.max(initial=0) >= 2**30:
        above = above.astype(object)
    units: Array = above * 2**32 + low
    return units


def _begins(values: pa.Array | Array) -> Array:
    """True where a value differs from the one before, and for the first."""
    begins = np.ones(len(values), bool)
    if isinstance(values, pa.Array):
        begins[1:] = pc.not_equal(values[1:], values[:-1]).to_numpy(zero_copy_only=False)
    else:
        np.not_equal(values[1:], values[:-1], out=begins[1:])
    return begins
