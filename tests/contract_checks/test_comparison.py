"""What a sample proves, and offline against online values, judged by the plainest Python."""

import math
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tries import tries

from contract_checks.measures.comparison import Comparison, Mismatch, Pair, compare
from contract_checks.measures.proportions import at_most, upper_bound

pytestmark = pytest.mark.usefixtures("one_engine")

# --- what a sample proves -----------------------------------------------------------------------


def chance_of_at_most(mismatched: int, compared: int, share: float) -> float:
    """The plain binomial sum, in exact fractions."""
    p = Fraction(share)
    terms = (
        math.comb(compared, k) * p**k * (1 - p) ** (compared - k) for k in range(mismatched + 1)
    )
    return float(sum(terms))


@pytest.mark.parametrize(
    ("mismatched", "compared"), [(0, 1), (0, 299), (1, 2), (1, 50), (4, 100), (37, 40), (99, 100)]
)
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_at_the_bound_so_few_mismatches_have_just_the_chance_left(mismatched, compared, confidence):
    bound = upper_bound(mismatched, compared, confidence)
    assert mismatched / compared < bound < 1
    assert chance_of_at_most(mismatched, compared, bound) == pytest.approx(1 - confidence, rel=1e-9)


def test_299_reads_without_a_mismatch_are_the_first_that_show_one_percent():
    assert upper_bound(0, 298) > 0.01 >= upper_bound(0, 299)
    assert at_most(0.01, 0, 298) == "unknown"
    assert at_most(0.01, 0, 299) == "kept"


def test_2995_requests_without_an_error_are_the_first_that_show_a_tenth_of_a_percent():
    assert upper_bound(0, 2_994) > 0.001 >= upper_bound(0, 2_995)


@pytest.mark.parametrize("most", [0.29, 0.01, 0.07])
def test_a_share_of_exactly_the_most_is_not_broken_and_one_more_is(most):
    assert at_most(most, round(100 * most), 100) == "unknown"
    assert at_most(most, round(100 * most) + 1, 100) == "broken"


def test_nothing_compared_proves_nothing():
    assert upper_bound(0, 0) == upper_bound(5, 5) == 1
    assert at_most(0.5, 0, 0) == "unknown"


@pytest.mark.parametrize(("mismatched", "compared"), [(-1, 5), (6, 5), (0, -1)])
def test_what_is_no_proportion_is_refused(mismatched, compared):
    with pytest.raises(ValueError, match="no proportion"):
        upper_bound(mismatched, compared)


# --- offline against online ---------------------------------------------------------------------

KEYS, FEATURES = ("customer", "shop"), ("amount", "count", "tier")
SCHEMA = pa.schema(
    {
        "customer": pa.int64(),
        "shop": pa.string(),
        "amount": pa.float64(),
        "count": pa.int64(),
        "tier": pa.string(),
    }
)
Rows = list[tuple[Any, ...]]


def table(rows: Rows) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


def compared(offline: Rows, online: Rows) -> Comparison:
    return compare(table(offline), table(online), KEYS, FEATURES)


def differ(before: Any, now: Any) -> bool:
    if before is None or now is None:
        return not (before is None and now is None)
    if isinstance(before, str):
        return before != now
    both_nan = math.isnan(before) and math.isnan(now)
    return not both_nan and not math.isclose(before, now, rel_tol=1e-12, abs_tol=0)


class Oracle:
    """Rows by key in a dict, one by one."""

    def __init__(self, offline: Rows, online: Rows) -> None:
        sides: tuple[dict[Any, Rows], dict[Any, Rows]] = ({}, {})
        for side, rows in zip(sides, (offline, online), strict=True):
            for row in rows:
                side.setdefault(row[:2], []).append(row[2:])
        self.duplicates = sum(len(rows) - 1 for side in sides for rows in side.values())
        self.pairs: list[tuple[Any, Any]] = []
        for key in {**sides[0], **sides[1]}:
            before, now = sides[0].get(key, []), sides[1].get(key, [])
            longest = max(len(before), len(now))
            pad = [None] * longest
            self.pairs += list(zip((before + pad)[:longest], (now + pad)[:longest], strict=True))

    def mismatched(self, i: int) -> int:
        return sum(a is None or b is None or differ(a[i], b[i]) for a, b in self.pairs)

    def differing(self) -> int:
        return sum(
            a is None or b is None or any(differ(x, y) for x, y in zip(a, b, strict=True))
            for a, b in self.pairs
        )

    def both_null(self, i: int) -> int:
        return sum(
            a is not None and b is not None and a[i] is None and b[i] is None for a, b in self.pairs
        )

    def numbers(self, i: int) -> list[tuple[float, float]]:
        both = [(a[i], b[i]) for a, b in self.pairs if a is not None and b is not None]
        return [
            (x, y)
            for x, y in both
            if all(isinstance(v, int | float) and math.isfinite(v) for v in (x, y))
        ]


near = [1.0, 1.0 + 5e-13, 1.0 + 5e-12]
odd = [math.nan, math.inf, -math.inf]
amounts = st.sampled_from([None, 0.0, -0.0, *near, -7.25, 1e-300, 1e100, *odd])
rows = st.lists(
    st.tuples(
        st.sampled_from([None, 1, 2, 3]),
        st.sampled_from([None, "a", "b"]),
        amounts,
        st.sampled_from([None, 0, 1, -5, 2**62]),
        st.sampled_from([None, "gold", "plain"]),
    ),
    max_size=14,
)


@given(offline=rows, online=rows)
@settings(max_examples=tries(100))
def test_every_row_is_counted_as_in_a_dict(offline, online):
    got, right = compared(offline, online), Oracle(offline, online)

    assert got.rows == len(right.pairs)
    assert got.only_offline == sum(now is None for _, now in right.pairs)
    assert got.only_online == sum(before is None for before, _ in right.pairs)
    assert got.duplicates == right.duplicates
    assert got.differing == right.differing()
    for i, name in enumerate(FEATURES):
        feature, numbers = got.features[name], right.numbers(i)
        assert feature.mismatched == right.mismatched(i)
        assert feature.both_null == right.both_null(i)
        assert feature.compared + feature.both_null == got.rows
        assert len(feature.worst) == min(20, feature.mismatched)
        if not numbers:
            assert feature.largest_difference is feature.smape is feature.bias is None
            assert feature.mean_difference is feature.relative_difference is None
            continue
        largest = max(abs(now - before) for before, now in numbers)
        smape = [2 * abs(b - a) / (abs(a) + abs(b)) if a != b else 0 for a, b in numbers]
        bias = math.fsum(now - before for before, now in numbers) / len(numbers)
        assert feature.largest_difference == pytest.approx(largest, rel=1e-15)
        assert feature.smape == pytest.approx(math.fsum(smape) / len(numbers))
        sizes = [abs(now - before) for before, now in numbers]
        assert feature.mean_difference == pytest.approx(math.fsum(sizes) / len(numbers))
        relative = [
            abs(float(b) - a) / abs(a) if abs(a) > 1e-200 else None for a, b in numbers if a
        ]
        if relative and None not in relative:  # beside 1e-300 anything else is without end
            mean = math.fsum(relative) / len(relative)
            assert feature.relative_difference == pytest.approx(mean)
        assert feature.bias == pytest.approx(bias, abs=largest * 1e-12)


def test_equal_tables_agree_whatever_the_order_of_their_rows():
    rows = [(i, "a", i / 3, i, "plain") for i in range(500)]
    got = compared(rows, rows[::-1])
    assert (got.rows, got.differing, got.duplicates) == (500, 0, 0)
    assert [(f.compared, f.mismatched, f.worst) for f in got.features.values()] == [
        (500, 0, ())
    ] * 3


def test_a_missing_row_differs_in_every_feature_and_a_null_one_does_not():
    got = compared([(1, "a", None, 1, "x"), (2, "a", None, 1, "x")], [(1, "a", None, 1, "x")])
    assert (got.rows, got.only_offline, got.differing) == (2, 1, 1)
    assert [(f.compared, f.mismatched, f.both_null) for f in got.features.values()] == [
        (1, 1, 1),
        (2, 1, 0),
        (2, 1, 0),
    ]


def test_a_doubled_row_finds_no_partner():
    row = (1, "a", 2.0, 2, "x")
    got = compared([row], [row, row])
    assert (got.rows, got.only_online, got.duplicates, got.differing) == (2, 1, 1, 1)


def test_the_worst_20_rows_come_first_and_are_named_by_their_keys():
    offline = [(i, "a", 100.0, 1, "x") for i in range(1, 32)]
    online = [(i, "a", 100.0 - i * (i > 1), 1, "x") for i in range(1, 31)]
    feature = compared(offline, online).features["amount"]
    assert feature.mismatched == 30
    missing = Pair((31, "a"), 100.0, None)
    assert feature.worst == (
        missing,
        *(Pair((i, "a"), 100.0, 100.0 - i) for i in range(30, 11, -1)),
    )
    total = sum(range(2, 31))
    assert (feature.largest_difference, feature.bias) == (30.0, pytest.approx(-total / 30))
    assert feature.mean_difference == pytest.approx(total / 30)
    assert feature.relative_difference == pytest.approx(total / 3_000)


def test_every_row_that_differs_is_told_whole():
    offline = [(1, "a", 2.0, 2, "x"), (2, "a", 3.0, 3, "y"), (3, "a", 4.0, 4, "z")]
    online = [(1, "a", 2.5, 2, None), (2, "a", 3.0, 3, "y"), (2, "a", 9.0, 9, "y")]
    assert compared(offline, online).mismatches == (
        Mismatch(
            (1, "a"),
            {"amount": 2.0, "count": 2, "tier": "x"},
            {"amount": 2.5, "count": 2, "tier": None},
            ("amount", "tier"),
            1,
        ),
        Mismatch((2, "a"), None, {"amount": 9.0, "count": 9, "tier": "y"}, FEATURES, 2),
        Mismatch((3, "a"), {"amount": 4.0, "count": 4, "tier": "z"}, None, FEATURES, 1),
    )


def test_mismatches_are_broken_down_by_a_column_of_the_offline_side():
    offline = table([(i, "a", 1.0, i, "x") for i in range(6)])
    offline = offline.append_column("age", pa.array(["old", "old", "new", "new", "new", None]))
    online = table([(i, "a", 1.0, i + (i in (1, 2, 5)), "x") for i in range(7)])
    got = compare(offline, online, KEYS, FEATURES, group="age").features
    assert got["count"].groups == {"": (2, 2), "new": (3, 1), "old": (2, 1)}
    assert got["amount"].groups == {"": (2, 1), "new": (3, 0), "old": (2, 0)}


@pytest.mark.parametrize("text", [["1", "2"], ["one", "two"]])
def test_a_number_and_a_text_never_agree(text):
    offline = pa.table({"k": [1, 2], "f": [1, 2]})
    online = pa.table({"k": [1, 2], "f": text})
    got = compare(offline, online, ["k"], ["f"]).features["f"]
    assert (got.mismatched, got.largest_difference) == (2, None)


def test_a_row_that_only_one_side_has_is_named_by_its_key():
    offline, online = [(1, "a", 5.0, 1, "x")], [(2, None, 6.0, 1, "x")]
    worst = compared(offline, online).features["amount"].worst
    assert set(worst) == {Pair((1, "a"), 5.0, None), Pair((2, None), None, 6.0)}


@pytest.mark.parametrize(("online", "mismatched"), [(3 + 2e-12, 0), (3 + 4e-12, 1), (-3.0, 1)])
def test_numbers_are_equal_within_a_relative_1e_12(online, mismatched):
    got = compared([(1, "a", 3.0, 1, "x")], [(1, "a", online, 1, "x")])
    assert got.features["amount"].mismatched == mismatched


def test_columns_of_other_number_types_are_compared_by_value():
    keys = pa.array([1, 2], pa.int32())
    offline = pa.table({"k": keys, "f": pa.array([1, 2], pa.int64())})
    online = pa.table({"k": keys.cast(pa.int64()), "f": pa.array([1.0, 2.5])})
    got = compare(offline, online, ["k"], ["f"]).features["f"]
    assert (got.compared, got.mismatched, got.largest_difference) == (2, 1, 0.5)


def test_a_side_that_answers_nulls_alone_differs_everywhere():
    offline = pa.table({"k": [1, 2], "f": [1.0, 2.0]})
    online = pa.table({"k": [1, 2], "f": pa.nulls(2)})
    assert compare(offline, online, ["k"], ["f"]).features["f"].mismatched == 2


def test_empty_tables_compare_to_nothing():
    got = compared([], [])
    assert (got.rows, got.differing) == (0, 0)
    assert got.features["amount"].compared == 0


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(KeyError, match="tier"):
        compare(table([]).drop_columns(["tier"]), table([]), KEYS, FEATURES)
