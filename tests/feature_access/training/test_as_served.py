"""As served: a training value is what the online store answered at that time, read then."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pandas as pd
import pytest
from feast_households import (
    DAY,
    FUTURE,
    HOUR,
    HOUSEHOLDS,
    LEAKY,
    LOG_END,
    PRESENT,
    SERVICE,
    TTL,
    UNKNOWN,
    VIEW,
    at,
    entity_frame,
    online,
    profiles,
)
from oracle import MICROSECOND, ZEROS, Profile

from feature_access.offline_stores.offline_table import NotYetKnownError
from storage.errors import RefusedError

pytest_plugins = ["feast_repository"]

KEY = b"a key of the tests alone"
CUSTOMERS = [*HOUSEHOLDS[:250], LEAKY, UNKNOWN]
ENDS = [PRESENT - 9 * DAY, *(PRESENT - n * DAY for n in (6, 5, 2)), PRESENT - HOUR, PRESENT]


def built(store: Any, entities: pd.DataFrame, **options: Any) -> Any:
    from feature_access.training.training_set import build_training_set

    return build_training_set(store, SERVICE, entities, KEY, **options)


def features_of(store: Any, asked: Sequence[Any], **options: Any) -> list[Profile]:
    return list(profiles(built(store, entity_frame(list(asked)), **options).rows.to_pydict()))


@pytest.fixture
def served(fresh_store: Any) -> dict[datetime, dict[int, Profile]]:
    """What the online store answered after each materialization, before the next one."""
    from feature_pipeline.online.materialize import materialize_up_to

    answers = {}
    for end in ENDS:
        materialize_up_to(fresh_store, end)
        answer = profiles(online(fresh_store, CUSTOMERS).to_dict())
        answers[end] = dict(zip(CUSTOMERS, answer, strict=True))
    return answers


def test_at_any_time_it_is_what_was_served_then(fresh_store, served, log):
    random, first = Random(17), ENDS[0] - 3 * DAY
    span = (ENDS[-1] - first) // MICROSECOND
    drawn = [
        (customer, first + random.randrange(span) * MICROSECOND)
        for customer in random.choices(CUSTOMERS, k=4_000)
    ]
    edges = [(c, end + shift) for end in ENDS for shift in (-MICROSECOND, 0 * DAY) for c in (1, 10)]
    asked = [*drawn, *edges]

    def answered(customer: int, moment: datetime) -> Profile:
        past = [end for end in ENDS if end <= moment]
        return served[past[-1]][customer] if past else ZEROS

    then = [answered(*row) for row in asked]
    as_served = built(fresh_store, entity_frame(asked), as_served=True)
    assert list(profiles(as_served.rows.to_pydict())) == then
    assert as_served.rows["event_timestamp"].to_pylist() == [moment for _, moment in asked]

    # The plain values are other ones exactly where a change fell in between.
    plain = features_of(fresh_store, asked)
    fell_between = [
        log.profile(*row, TTL) != profile for row, profile in zip(asked, then, strict=True)
    ]
    assert [a != b for a, b in zip(plain, then, strict=True)] == fell_between
    assert 300 < sum(fell_between) < len(asked) - 300


def test_before_the_first_materialization_there_are_defaults_and_nothing_matched(
    fresh_store, served
):
    known = served[ENDS[0]]
    assert known[1] != ZEROS
    just_before = at(ENDS[0] - MICROSECOND, [1])
    assert features_of(fresh_store, just_before, as_served=True) == [ZEROS]
    matched = built(fresh_store, entity_frame([*just_before, *at(ENDS[0], [1])]), as_served=True)
    assert matched.matched == {VIEW: 1}


def test_after_the_last_materialization_nothing_is_known_to_have_been_served(fresh_store, served):
    """The next one could end in between, and would have been served from there on."""
    from feature_pipeline.online.materialize import materialize_up_to

    asked = [*at(PRESENT, [1, LEAKY]), (LEAKY, PRESENT + MICROSECOND), (1, LOG_END)]
    with pytest.raises(NotYetKnownError, match="the online store was last materialized"):
        features_of(fresh_store, asked, as_served=True)
    known = built(fresh_store, entity_frame(asked), as_served=True, known_only=True)
    then = [served[PRESENT][customer] for customer in (1, LEAKY)]
    assert list(profiles(known.rows.to_pydict())) == then
    assert (known.known_up_to, known.left_out) == (PRESENT, 2)
    materialize_up_to(fresh_store, PRESENT + MICROSECOND)
    assert features_of(fresh_store, asked[:3], as_served=True) == [*then, FUTURE]


def test_where_nothing_was_materialized_nothing_was_served(fresh_store):
    with pytest.raises(RefusedError, match="never materialized"):
        features_of(fresh_store, at(PRESENT, [1]), as_served=True)


@pytest.mark.parametrize(
    ("times", "message"),
    [([pd.NaT, PRESENT], "1 entity rows have no event_timestamp"), ([1, 2], "name no unit")],
)
def test_a_row_without_a_time_is_refused_as_ever(online_store, times, message):
    frame = pd.DataFrame({"customer_id": [1, 2], "event_timestamp": times})
    with pytest.raises(ValueError, match=message):
        built(online_store, frame, as_served=True)


def test_times_of_any_zone_and_text_are_moved_alike(online_store):
    there = PRESENT - HOUR / 2
    forms = [there, there.astimezone(), there.replace(tzinfo=None), there.isoformat()]
    rows = [
        built(
            online_store,
            pd.DataFrame({"customer_id": [1], "event_timestamp": [form]}),
            as_served=True,
        ).rows
        for form in forms
    ]
    assert all(row.equals(rows[0]) for row in rows)
    assert rows[0]["event_timestamp"].to_pylist() == [there]


def test_versions_materialized_apart_are_not_read_together():
    from types import SimpleNamespace

    from feature_access.training.as_served import materialization_ends

    def view(*ends: datetime) -> Any:
        intervals = [(end - timedelta(days=30), end) for end in ends]
        return SimpleNamespace(name=f"v{len(ends)}", materialization_intervals=intervals)

    assert materialization_ends([view(PRESENT), view(PRESENT)]) == [PRESENT]
    with pytest.raises(RefusedError, match="v1, v2 were materialized at different instants"):
        materialization_ends([view(PRESENT), view(PRESENT, LOG_END)])
