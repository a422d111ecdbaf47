"""Times of a frame: ISO 8601 alone where they are text, UTC without a zone, to the microsecond."""

from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_access.entities.instants import instants

NOON = datetime(2017, 11, 5, 12, tzinfo=UTC)
MIDNIGHT = datetime(2017, 11, 5, tzinfo=UTC)
EAST = timezone(timedelta(hours=2))
BEFORE_1970 = "1969-12-31T23:59:59.9999999"

IS_NOON = {
    "text": pd.Series(["2017-11-05T12:00Z"]),
    "text without a zone": pd.Series(["2017-11-05 12:00"]),
    "text of another zone": pd.Series(["2017-11-05T14:00:00.000+02:00"]),
    "text without marks": pd.Series(["20171105T120000Z"]),
    "text of a week": pd.Series(["2017-W44-7T12:00"]),
    "string": pd.Series(["2017-11-05T12:00Z"], dtype="string"),
    "string_view": pd.Series(["2017-11-05T12:00Z"], dtype=pd.ArrowDtype(pa.string_view())),
    "categories": pd.Series(pd.Categorical(["2017-11-05T12:00Z"])),
    "categories of times": pd.Series(pd.Categorical([pd.Timestamp(NOON)])),
    "datetime": pd.Series([NOON]),
    "naive": pd.Series([NOON.replace(tzinfo=None)]),
    "seconds": pd.Series([NOON]).astype("datetime64[s, UTC]"),
    "another zone": pd.Series([pd.Timestamp(NOON).tz_convert("America/New_York")]),
    "objects": pd.Series([NOON.astimezone(EAST)], dtype=object),
    "numpy's": pd.Series([np.datetime64("2017-11-05T12:00")], dtype=object),
    "arrow's": pd.Series([NOON], dtype=pd.ArrowDtype(pa.timestamp("ns", "Asia/Tokyo"))),
    "finer text": pd.Series(["2017-11-05T12:00:00.000000999Z"]),
    "finer": pd.Series([pd.Timestamp(NOON) + pd.Timedelta(999, "ns")]),
    "finer object": pd.Series([pd.Timestamp(NOON) + pd.Timedelta(999, "ns")], dtype=object),
}
NO_TIME = {
    "a day and a month in some order": pd.Series(["05/11/2017"]),
    "the same in a category": pd.Series(pd.Categorical(["05/11/2017"])),
    "the same in a view": pd.Series(["05/11/2017"], dtype=pd.ArrowDtype(pa.string_view())),
    "the same in a dictionary": pd.Series(
        ["05/11/2017"], dtype=pd.ArrowDtype(pa.dictionary(pa.int8(), pa.string()))
    ),
    "the same among times": pd.Series([NOON, "05/11/2017"], dtype=object)[1:],
    "a word": pd.Series(["now"]),
    "a month's name": pd.Series(["5 Nov 2017"]),
    "a year": pd.Series(["2017"]),
    "an epoch in text": pd.Series(["1509883200"]),
    "an epoch in milliseconds": pd.Series(["1509883200000"]),
    "digits of another script": pd.Series(["２017-11-05"]),
    "a space before": pd.Series([" 2017-11-05"]),
    "the 32nd": pd.Series(["2017-11-32"]),
    "before all time": pd.Series(["0001-01-01T00:00+14:00"]),
    "a time of day": pd.Series([time(12)]),
    "a span": pd.Series([timedelta(1)]),
    "a period": pd.Series(pd.period_range("2017-11-05", periods=1)),
    "a truth value": pd.Series([True]),
    "a decimal": pd.Series([Decimal(1)]),
    "bytes": pd.Series([b"2017-11-05"]),
}
NUMBERS = {
    "integers": pd.Series([1_509_883_200]),
    "floats": pd.Series([1.5]),
    "Int64": pd.Series([1, None], dtype="Int64"),
    "objects": pd.Series([1_509_883_200], dtype=object),
}


@pytest.mark.parametrize("spelled", IS_NOON)
def test_a_time_is_the_same_however_it_is_held(spelled):
    found = instants(IS_NOON[spelled], "at")
    assert (found.type, found.to_pylist()) == (pa.timestamp("us", tz="UTC"), [NOON])


@pytest.mark.parametrize(
    "day", [date(2017, 11, 5), "2017-11-05", "20171105", pd.Timestamp("2017-11-05")]
)
def test_a_date_is_its_midnight(day):
    assert instants(pd.Series([day], dtype=object), "at").to_pylist() == [MIDNIGHT]
    assert instants(pd.Series([day]), "at").to_pylist() == [MIDNIGHT]


@pytest.mark.parametrize("spelled", NO_TIME)
def test_what_is_no_time_is_refused_by_row_and_value(spelled):
    with pytest.raises(ValueError, match=r"^at, row 1: .* is no time: write it by ISO 8601"):
        instants(NO_TIME[spelled], "at")


@pytest.mark.parametrize("spelled", NUMBERS)
def test_numbers_name_no_unit(spelled):
    with pytest.raises(ValueError, match="at holds numbers, which name no unit"):
        instants(NUMBERS[spelled], "at")


def test_each_time_has_a_zone_of_its_own_and_no_time_is_none():
    mixed = [
        *(NOON, NOON.astimezone(EAST), NOON.replace(tzinfo=None), MIDNIGHT.date()),
        *("2017-11-05T14:00+02:00", "2017-11-05T12:00", None, pd.NaT, "", float("nan")),
    ]
    found = instants(pd.Series(mixed, dtype=object), "at").to_pylist()
    assert found == [NOON, NOON, NOON, MIDNIGHT, NOON, NOON, None, None, None, None]


@pytest.mark.parametrize("held", [object, "datetime64[ns]"])
def test_finer_digits_are_cut_off_before_1970_as_well(held):
    times = pd.Series([pd.Timestamp(BEFORE_1970)], dtype=held)
    (found,) = instants(times, "at").to_pylist()
    assert found == datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@given(st.lists(st.datetimes(timezones=st.just(UTC) | st.just(EAST) | st.none()), max_size=5))
def test_text_and_objects_are_the_same_instants(times):
    def utc(moment):
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)

    inside = [t for t in times if 2 < t.year < 9999]
    right = [utc(moment) for moment in inside]
    assert instants(pd.Series(inside, dtype=object), "at").to_pylist() == right
    texts = pd.Series([moment.isoformat() for moment in inside], dtype=object)
    assert instants(texts, "at").to_pylist() == right


BEYOND = {
    "seconds": pa.array([0, 2**40], pa.timestamp("s", "UTC")),
    "milliseconds": pa.array([0, -(2**60)], pa.timestamp("ms")),
    "microseconds": pa.array([0, 2**59], pa.timestamp("us", "UTC")),
    "days": pa.array([0, 2**31 - 1], pa.date32()),
    "a microsecond too late": pa.array([0, 253_402_300_800_000_000], pa.timestamp("us")),
    "a microsecond too early": pa.array([0, -62_135_596_800_000_001], pa.timestamp("us")),
}


@pytest.mark.parametrize("what", BEYOND)
def test_a_time_beyond_the_calendar_is_refused(what):
    column = BEYOND[what]
    with pytest.raises(ValueError, match=r"^t.*: holds a time before the year 1 or after 9999"):
        instants(pa.chunked_array([column]), "t")
    kept = instants(pa.chunked_array([column[:1]]), "t")
    assert kept.to_pylist() == [datetime(1970, 1, 1, tzinfo=UTC)]


def test_the_first_and_the_last_instant_are_times():
    ends = [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)]
    assert instants(pa.chunked_array([pa.array(ends, pa.timestamp("us"))]), "t").to_pylist() == ends
