"""Online rows that leave, in either store: those that are too old, or those of one customer."""

from datetime import timedelta
from itertools import islice

import pytest
from feast_households import DAY, HOUSEHOLDS, PRESENT, TTL, VIEW, at, expected, online, profiles
from oracle import ZEROS

pytest_plugins = ["feast_repository", "feast_online"]

WHOLE = timedelta(seconds=1)


@pytest.fixture
def served(either):
    """Materialized two months ago and at the present, so that some rows are older than the ttl."""
    from feature_pipeline.online.materialize import materialize_up_to
    from jobs.privacy.row_deleting import row_deleting

    store, _ = either
    for end in (PRESENT - 60 * DAY, PRESENT):
        materialize_up_to(store, end)
    return store, row_deleting(store)


def ours(view: str) -> bool:
    return view == VIEW


def answers(store, customers=HOUSEHOLDS) -> list:
    return list(profiles(online(store, customers).to_dict()))


def test_old_rows_leave_and_no_answer_changes(served, log):
    store, row_deleting = served
    cutoff = PRESENT - TTL
    before = answers(store)
    assert before == expected(log, at(PRESENT, HOUSEHOLDS))
    old = row_deleting.older(store.config, ours, cutoff)
    assert old > 100
    views = store.list_batch_feature_views()
    assert row_deleting.forget_older(store.config, views, ours, cutoff) == old
    assert row_deleting.older(store.config, ours, cutoff) == 0
    assert answers(store) == before
    assert row_deleting.forget_older(store.config, views, ours, cutoff) == 0


def test_a_cutoff_between_two_rows_leaves_the_younger(served, log):
    store, row_deleting = served
    stamps = {
        c: max(r.event_timestamp for r in log.of_customer[c] if r.event_timestamp <= PRESENT)
        for c in range(1, 500)
        if log.of_customer[c]
    }
    stamps = {c: s for c, s in stamps.items() if s > PRESENT - 20 * DAY}
    cutoff = sorted(stamps.values())[len(stamps) // 2]
    row_deleting.forget_older(store.config, store.list_batch_feature_views(), ours, cutoff)
    young = [c for c, stamp in stamps.items() if stamp >= cutoff + WHOLE]
    read = store.get_online_features(
        [f"{VIEW}:orders_30d"], [{"customer_id": c} for c in young]
    ).proto
    assert young
    assert min(read.results[-1].event_timestamps, key=lambda t: t.seconds).seconds >= int(
        cutoff.timestamp()
    )


def test_one_customer_leaves_and_nobody_else(served):
    from jobs.privacy.customer import online_keys

    store, row_deleting = served
    active = (customer for customer in HOUSEHOLDS if answers(store, [customer]) != [ZEROS])
    who, *others = islice(active, 50)
    rest = answers(store, others)
    keys = online_keys("customer_id", str(who))
    assert row_deleting.held(store.config, keys) == 1
    assert row_deleting.forget(store.config, keys) == 1
    assert row_deleting.held(store.config, keys) == 0
    assert row_deleting.forget(store.config, keys) == 0
    assert answers(store, [who]) == [ZEROS]
    assert answers(store, others) == rest
