"""Plain Feast, offline: every entity row answered, with what was known at its time, and no later.

On each engine's profile. The judge is `oracle.ChangeLog`, an as-of read of the same change log in
plain Python.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from feast_households import (
    AGED,
    AGED_SINCE,
    FEATURES,
    FUTURE,
    HOUR,
    HOUSEHOLDS,
    LEAKY,
    LOG_END,
    PAST,
    PRESENT,
    TTL,
    UNKNOWN,
    VIEW,
    Asked,
    at,
    entity_frame,
    expected,
    historical,
    offline,
    profiles,
)
from oracle import MICROSECOND, ZEROS, ChangeLog, Profile, row_differences

pytest_plugins = ["feast_engines"]

FIRST = datetime(2016, 12, 31, tzinfo=UTC)


@pytest.fixture
def feast(answering):
    return answering.store


@pytest.fixture
def its_log(answering):
    return answering.log


def test_its_log_is_duckdbs_row_for_row(its_log, log):
    assert row_differences(sorted(its_log.rows), sorted(log.rows)) == []


def random_pairs(count: int) -> Asked:
    """Known and unknown customers at any time of the log's year, to the microsecond."""
    random = Random(2017)
    span = (LOG_END - FIRST) // MICROSECOND
    return [
        (random.randint(1, HOUSEHOLDS.stop + 50), FIRST + random.randrange(span) * MICROSECOND)
        for _ in range(count)
    ]


def test_answers_are_exact_at_random_instants(feast, its_log):
    asked = random_pairs(50_000)
    right = expected(its_log, asked)
    assert 10_000 < right.count(ZEROS) < 40_000
    assert offline(feast, asked) == right


def test_answers_are_exact_at_every_stamp_and_just_before(feast, its_log):
    stamps = [(row.customer_id, row.event_timestamp) for row in its_log.rows]
    asked = stamps + [(customer, stamp - MICROSECOND) for customer, stamp in stamps]
    assert len(asked) > 400_000
    assert offline(feast, asked) == expected(its_log, asked)


def test_25_000_shuffled_rows_with_twins_come_back_one_each_in_order(feast, its_log):
    asked = random_pairs(20_000)
    asked += asked[:5_000]
    Random(1).shuffle(asked)
    entities = entity_frame(asked).assign(label=range(len(asked)))

    answer = historical(feast, entities).to_df()

    assert sorted(answer.columns) == sorted([*entities.columns, *FEATURES])
    assert answer.label.tolist() == list(range(25_000))
    assert answer.customer_id.tolist() == entities.customer_id.tolist()
    assert answer.event_timestamp.tolist() == entities.event_timestamp.tolist()
    assert list(profiles(answer)) == expected(its_log, asked)


def test_unknown_and_inactive_customers_are_zeros_and_integers_stay_integers(feast, its_log):
    inactive = next(c for c in HOUSEHOLDS if newest_stamp(its_log, c) < PRESENT - 2 * TTL)
    active = next(c for c in HOUSEHOLDS if its_log.profile(c, PRESENT, TTL) != ZEROS)
    asked = at(PRESENT, [UNKNOWN, active, inactive, -1]) + at(FIRST, [active])
    job = historical(feast, entity_frame(asked))

    frame, table = job.to_df(), job.to_arrow()

    right = [ZEROS, its_log.profile(active, PRESENT, TTL), ZEROS, ZEROS, ZEROS]
    assert list(profiles(frame)) == right
    assert list(profiles(table.to_pydict())) == right
    types = {"avg_order_value_30d": "float64"} | dict.fromkeys(FEATURES[1:], "int64")
    assert {name: str(frame[name].dtype) for name in FEATURES} == types
    assert {name: table.schema.field(name).type for name in FEATURES} == {
        "avg_order_value_30d": pa.float64()
    } | dict.fromkeys(FEATURES[1:], pa.int64())
    assert table["customer_id"].type == pa.int64()
    assert sum(column.null_count for column in table.columns) == 0


def newest_stamp(its_log: ChangeLog, customer: int) -> datetime:
    return max(row.event_timestamp for row in its_log.of_customer[customer])


def test_full_feature_names_carry_the_view_and_the_same_values(feast, its_log):
    asked = at(PRESENT, [*HOUSEHOLDS, UNKNOWN])
    entities = entity_frame(asked).assign(orders_30d="a label of the caller's")

    answer = historical(feast, entities, full_feature_names=True).to_df()

    assert list(profiles(answer, prefix=f"{VIEW}__")) == expected(its_log, asked)
    assert set(answer.orders_30d) == {"a label of the caller's"}


@pytest.mark.parametrize("zone", ["naive", "America/New_York", "Asia/Kolkata"])
def test_a_prediction_time_is_an_instant_whatever_zone_names_it(feast, its_log, zone):
    asked = random_pairs(2_000)
    entities = entity_frame(asked)
    times = entities.event_timestamp.dt
    entities["event_timestamp"] = (
        times.tz_localize(None) if zone == "naive" else times.tz_convert(zone)
    )

    answer = historical(feast, entities).to_df()

    assert list(profiles(answer)) == expected(its_log, asked)
    assert answer.event_timestamp.tolist() == [pd.Timestamp(moment) for _, moment in asked]


def test_one_frame_may_mix_zones(feast):
    moment = PRESENT + MICROSECOND
    entities = entity_frame(
        [
            (LEAKY, moment.astimezone(ZoneInfo("America/New_York"))),
            (LEAKY, (moment - MICROSECOND).astimezone(ZoneInfo("Asia/Kolkata"))),
        ]
    ).astype({"event_timestamp": object})
    assert list(profiles(historical(feast, entities).to_df())) == [FUTURE, PAST]


def test_the_frames_own_index_neither_reorders_nor_joins_the_answer(feast, its_log):
    asked = random_pairs(100)
    index = pd.Index([7, 7, 3, 1] * 25, name="customer_id")
    answer = historical(feast, entity_frame(asked).set_index(index)).to_df()
    assert sorted(answer.columns) == sorted(["customer_id", "event_timestamp", *FEATURES])
    assert answer.customer_id.tolist() == [customer for customer, _ in asked]
    assert list(profiles(answer)) == expected(its_log, asked)


def test_the_callers_frame_is_left_as_it_was(feast):
    entities = entity_frame(random_pairs(10))
    before = entities.copy()
    historical(feast, entities).to_df()
    pd.testing.assert_frame_equal(entities, before)


UNUSABLE = {
    "no join key": (lambda f: f.rename(columns={"customer_id": "id"}), "customer_id"),
    "no time": (lambda f: f.assign(event_timestamp=[PRESENT, pd.NaT]), "1 entity rows have no"),
    "a feature's name": (lambda f: f.assign(orders_30d=0, sessions_30d=0), "orders_30d.*sessions"),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_an_unusable_frame_is_refused_by_name(feast, fault):
    spoil, names_it = UNUSABLE[fault]
    entities = entity_frame(at(PRESENT, [1, 2]))
    assert list(historical(feast, entities).to_df().customer_id) == [1, 2]
    with pytest.raises(ValueError, match=names_it):
        historical(feast, spoil(entities))


def test_nothing_stamped_after_the_prediction_time_is_seen(feast):
    got = offline(feast, [(LEAKY, PRESENT), (LEAKY, PRESENT + MICROSECOND)])
    assert got[0] == PAST
    assert FUTURE not in got[:1]
    assert got[1] == FUTURE  # it is there to be seen, one microsecond later


def test_times_finer_than_a_microsecond_are_not_rounded_into_the_future(feast):
    entities = entity_frame(at(PRESENT, [LEAKY]))
    entities["event_timestamp"] += pd.Timedelta(999, "ns")
    assert list(profiles(historical(feast, entities).to_df())) == [PAST]


def test_a_customer_is_one_on_every_engine_however_the_key_is_held(feast):
    held = [LEAKY, float(LEAKY), Decimal(f"{LEAKY}.00"), str(LEAKY), None, np.int32(LEAKY)]
    frame = pd.DataFrame({"customer_id": pd.Series(held, dtype=object), "event_timestamp": PRESENT})
    answer = historical(feast, frame).to_arrow()
    assert answer["customer_id"].to_pylist() == [LEAKY] * 4 + [None, LEAKY]
    assert list(profiles(answer.to_pydict())) == [PAST] * 4 + [ZEROS, PAST]

    categories = frame[:1].assign(customer_id=pd.Categorical([LEAKY]))
    assert list(profiles(historical(feast, categories).to_df())) == [PAST]
    for other in (f"0{LEAKY}", f" {LEAKY}", f"{LEAKY}.4", f"{LEAKY}e0", True, LEAKY + 0.5, b"1"):
        frame.at[4, "customer_id"] = other
        with pytest.raises(ValueError, match="customer_id is declared Int64, and row 5: holds"):
            historical(feast, frame)


@pytest.mark.parametrize(
    ("age", "right"),
    [
        (timedelta(0), Profile(30.0, 1, 4, 1)),
        (TTL - MICROSECOND, Profile(30.0, 1, 4, 1)),
        (TTL, Profile(30.0, 1, 4, 1)),
        (TTL + MICROSECOND, ZEROS),
        (TTL + HOUR, ZEROS),
        (-MICROSECOND, ZEROS),
    ],
)
def test_a_row_counts_until_it_is_exactly_the_ttl_old(feast, age, right):
    assert offline(feast, [(AGED, AGED_SINCE + age)]) == [right]


def test_the_callers_other_columns_stay_what_they_are(feast):
    entities = entity_frame(at(PRESENT, [1, 2])).assign(
        score=np.array([0.5, 1.5], dtype="float16"),
        Customer_ID=["a", "b"],
        __matched=[True, False],
        seen=pd.to_datetime(["2017-01-01 00:00:00.000000001", "2017-01-02 00:00:00.0"], utc=True),
    )
    answer = historical(feast, entities).to_df()
    for column in entities.columns:
        assert list(answer[column]) == list(entities[column]), column
    assert answer["score"].dtype == "float16"
    assert answer["orders_30d"].dtype == "int64"
