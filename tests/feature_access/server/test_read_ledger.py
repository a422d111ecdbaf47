"""Counts of online reads: every read is on record once, however often recording fails."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.event import listens_for
from sqlalchemy.exc import DatabaseError

from contract_checks.operations.log import OperationsLog, Record
from feature_access.server import read_ledger
from feature_access.server.read_ledger import OnlineReads, ReadLedger

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
VIEWS, CONSUMERS = ("v1", "v2"), ("ML Platform", "Marketing Analytics")


class Recorded:
    """A log that fails when told to, and adds up what it was given."""

    def __init__(self) -> None:
        self.fails = False
        self.total: Counter[tuple[str, str | None, str]] = Counter()

    def record(self, reads: Sequence[OnlineReads], at: datetime) -> None:
        if self.fails:
            raise OSError("the log is down")
        for read in reads:
            key = (read.view, read.consumer)
            self.total[*key, "requests"] += read.requests
            self.total[*key, "entities"] += read.entities
            self.total[*key, "refused"] += read.refused


ANSWERED = st.tuples(
    st.just("answered"), st.sampled_from(VIEWS), st.sampled_from(CONSUMERS), st.integers(1, 1_000)
)
REFUSED = st.tuples(st.just("refused"), st.sampled_from((*CONSUMERS, None)))
RECORD = st.tuples(st.just("record"), st.booleans())


@given(st.lists(st.one_of(ANSWERED, REFUSED, RECORD)))
def test_every_read_is_on_record_once(steps: list[tuple]) -> None:
    log, expected = Recorded(), Counter()
    ledger = ReadLedger(lambda: NOON, log.record)

    async def read() -> None:
        for kind, *told in steps:
            if kind == "answered":
                view, consumer, entities = told
                ledger.answered(view, consumer, entities)
                expected[view, consumer, "requests"] += 1
                expected[view, consumer, "entities"] += entities
            elif kind == "refused":
                ledger.refused(VIEWS, told[0])
                expected.update((view, told[0], "refused") for view in VIEWS)
            else:
                log.fails = told[0]
                await ledger.put_on_record()
        log.fails = False
        await ledger.put_on_record()
        await ledger.put_on_record()  # nothing is left to tell twice

    asyncio.run(read())
    assert +log.total == expected


def test_reads_while_a_record_is_written_and_fails_are_kept() -> None:
    log = Recorded()
    ledger = ReadLedger(lambda: NOON, log.record)

    async def read() -> None:
        ledger.answered("v1", "ML Platform", 5)
        log.fails = True
        failing = asyncio.create_task(ledger.put_on_record())
        await asyncio.sleep(0)  # it has taken the counts, and waits for its thread
        ledger.answered("v1", "ML Platform", 7)
        ledger.answered("v2", "ML Platform", 1)
        await failing
        log.fails = False
        await ledger.put_on_record()

    asyncio.run(read())
    assert log.total["v1", "ML Platform", "requests"] == 2
    assert log.total["v1", "ML Platform", "entities"] == 12
    assert log.total["v2", "ML Platform", "entities"] == 1


def test_it_is_kept_now_and_then_and_never_per_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_ledger, "_EVERY_SECONDS", 0.05)
    log, written = Recorded(), []
    ledger = ReadLedger(lambda: NOON, lambda reads, at: written.append(len(reads)))

    async def read() -> None:
        keeping = asyncio.create_task(ledger.keep())
        for _ in range(1_000):
            ledger.answered("v1", "ML Platform", 1)
        assert written == []
        while not written:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.15)
        keeping.cancel()

    asyncio.run(read())
    assert written == [1]  # an hour without reads leaves nothing
    assert not log.total


def test_workers_that_stop_at_once_make_one_log_of_both(tmp_path):
    """One finds no table, and the other has made it before the first can."""
    address = f"sqlite:///{tmp_path / 'operations.db'}"
    late, early = OperationsLog(address), OperationsLog(address)
    first, second = (Record("online_reads", view, NOON, passed=True) for view in VIEWS)
    made = []

    @listens_for(late._engine, "before_cursor_execute")
    def overtaken(connection, cursor, statement, *_) -> None:
        if "CREATE TABLE" in statement and not made:
            made.append(early.append(first))

    late.append(second)
    assert late.records(NOON) == (first, second)


def test_a_log_that_cannot_be_made_says_why(tmp_path):
    (tmp_path / "operations.db").write_bytes(b"no database at all" * 1_000)
    with pytest.raises(DatabaseError):
        OperationsLog(f"sqlite:///{tmp_path / 'operations.db'}").append(
            Record("online_reads", "v1", NOON, passed=True)
        )
