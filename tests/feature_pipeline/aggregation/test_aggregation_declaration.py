"""A declaration is read to plain values, or refused with all that is wrong in it, line by line."""

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_pipeline.aggregation.declaration import Column, Condition, Dedup, Feature, Measure
from feature_pipeline.aggregation.faults import InvalidDeclarationError, line_of
from feature_pipeline.aggregation.literals import UnreadableError, duration, span
from feature_pipeline.aggregation.reading import load

ROOT = Path(__file__).parents[3]
MONTH, WEEK = timedelta(days=30), timedelta(days=7)
HEAD = """\
view = "shop_v1"
keys = { shop = "string", till = "int64" }
columns = { id = "string", paid = "decimal", items = "int64", kind = { type = "string", required = \
false }, card = "bool", weight = "double", due = "timestamp" }
"""
FEATURES_AT = 5


def read(tmp_path: Path, text: str, **options: timedelta):
    file = tmp_path / "shop_v1.aggregation.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, **options)


def feature(tmp_path: Path, body: str) -> Feature:
    (only,) = read(tmp_path, f"{HEAD}[features]\none = {{ {body} }}\n").features
    return only


def faults(tmp_path: Path, text: str, **options: timedelta) -> list[str]:
    with pytest.raises(InvalidDeclarationError) as refused:
        read(tmp_path, text, **options)
    said = str(refused.value).splitlines()
    assert all(line.startswith(str(tmp_path)) for line in said)
    said = [line.removeprefix(f"{tmp_path}/shop_v1.aggregation.toml:") for line in said]
    return [line.replace(": ", ":", 1) for line in said]


def test_the_projects_own() -> None:
    profile = load(ROOT / "feature_repo" / "customer_profile_v1.aggregation.toml", MONTH)
    orders = Measure("sum", "orders", (), MONTH)
    assert profile.view == "customer_profile_v1"
    assert profile.keys == (Column("customer_id", "int64"),)
    assert [column.kind for column in profile.columns] == ["int64", "decimal", "int64"]
    assert all(column.required for column in profile.columns)
    assert (profile.dedup, profile.where) == (Dedup("period", "day"), ())
    assert profile.features == (
        Feature("avg_order_value_30d", "double", Measure("sum", "order_value", (), MONTH), orders),
        Feature("orders_30d", "int64", orders),
        Feature("sessions_30d", "int64", Measure("sum", "sessions", (), MONTH)),
        Feature(
            "distinct_order_days_30d",
            "int64",
            Measure("count", None, (Condition("orders", ">", 0),), MONTH),
        ),
    )
    assert len(profile.measures) == 4  # the orders are summed once
    assert profile.windows == (MONTH,)


KINDS_OF = {
    'sum = "items"': "int64",
    'sum = "paid"': "decimal",
    "count = true": "int64",
    'distinct = "kind"': "int64",
    'min = "weight"': "double",
    'max = "due"': "timestamp",
    'last = "kind"': "string",
    'first = "card"': "bool",
    'mode = "till"': "int64",
    'ratio = [{ sum = "paid" }, { count = true }]': "double",
    'sum = "items", at_least = 3': "bool",
    'max = "due", at_most = 2026-01-01T00:00:00Z': "bool",
    'ratio = [{ distinct = "id" }, { count = true }], at_least = 0.5': "bool",
}


@pytest.mark.parametrize(("body", "kind"), KINDS_OF.items())
def test_what_a_feature_holds(tmp_path: Path, body: str, kind: str) -> None:
    assert feature(tmp_path, f'{body}, window = "7d"').kind == kind


LITERALS = {
    '["items", ">=", -9223372036854775808]': Condition("items", ">=", -(2**63)),
    '["paid", "<", 0.1]': Condition("paid", "<", Decimal("0.1")),
    '["paid", "=", 12345678901234567890123456.123456789012]': Condition(
        "paid", "=", Decimal("12345678901234567890123456.123456789012")
    ),
    '["paid", "=", 0e999999999]': Condition("paid", "=", Decimal(0)),
    '["paid", "<", 3]': Condition("paid", "<", Decimal(3)),
    '["weight", "!=", -0.0]': Condition("weight", "!=", 0.0),
    '["kind", "=", "Ü"]': Condition("kind", "=", "Ü"),
    '["kind", "in", ["a", "b"]]': Condition("kind", "in", ("a", "b")),
    '["card", "=", true]': Condition("card", "=", True),
    '["till", "=", 7]': Condition("till", "=", 7),
    '["due", ">", 2026-01-01T01:00:00.000001+01:00]': Condition(
        "due", ">", datetime(2026, 1, 1, 0, 0, 0, 1, UTC)
    ),
}


@pytest.mark.parametrize(("written", "condition"), LITERALS.items())
def test_what_a_condition_compares_with(tmp_path: Path, written: str, condition: Condition) -> None:
    one = feature(tmp_path, f'count = true, where = [{written}], window = "7d"')
    assert one.measure.where == (condition,)
    before = read(
        tmp_path, f'{HEAD}where = [{written}]\n[features.n]\ncount = true\nwindow = "1s"\n'
    )
    assert (before.where, before.features[0].measure.where) == ((condition,), ())


def test_the_parts_of_a_ratio_have_the_windows_and_conditions_of_it(tmp_path: Path) -> None:
    one = feature(
        tmp_path,
        'ratio = [{ sum = "paid", where = [["card", "=", true]] }, { count = true, window = "7d" }]'
        ', where = [["items", ">", 1]], window = "30d", empty = -1',
    )
    several, by_card = Condition("items", ">", 1), Condition("card", "=", True)
    assert one.measures == (
        Measure("sum", "paid", (several, by_card), MONTH),
        Measure("count", None, (several,), WEEK),
    )
    assert (one.empty, type(one.empty)) == (-1.0, float)


@pytest.mark.parametrize(
    ("written", "length"),
    [
        ("1s", timedelta(seconds=1)),
        ("90min", timedelta(minutes=90)),
        ("24h", timedelta(days=1)),
        ("7d", WEEK),
        ("36500d", timedelta(days=36_500)),
    ],
)
def test_spans(written: str, length: timedelta) -> None:
    assert duration(written) == length == duration(span(length))


NO_SPANS = ("", "30", "30 d", "30D", "-1d", "0d", "1.5h", "1m", "1w", "P30D", "36501d", "३d")


@pytest.mark.parametrize("written", [*NO_SPANS, "9" * 12 + "d", 30, 1.5, None, True, [], {}])
def test_what_is_no_span(written: object) -> None:
    with pytest.raises(UnreadableError, match="no span"):
        duration(written)


# One wrong thing each, the feature's line being 5: what is said of it.
WRONG = {
    'window = "7d"': "features.one: has one of sum, count, distinct, min, max, last, first, mode",
    'sums = "items", window = "7d"': "features.one.sums: means nothing here; did you mean sum?",
    'sum = "items", max = "items", window = "7d"': "features.one: has one of",
    'sum = "items", window = "7d", wehre = []': "features.one.wehre: means nothing here; did you "
    "mean where?",
    'sum = "items"': 'features.one.window: is missing; a window is written "30d"',
    'sum = "items", window = "7 days"': 'features.one.window: "7 days" is no span such as',
    'sum = "items", window = "8d"': "features.one.window: 8d is longer than the look-back, 7d",
    'sum = "itmes", window = "7d"': 'one.sum: "itmes" is no column that is declared; did you mean '
    "items?",
    "sum = true, window = '7d'": "features.one.sum: true is no column that is declared",
    'sum = "weight", window = "7d"': "weight is double, a sum is of int64 or decimal; doubles add "
    "up by their order: declare it decimal",
    'sum = "kind", window = "7d"': "kind is string, a sum is of int64 or decimal",
    'count = "items", window = "7d"': "features.one.count: states are counted by count = true",
    'last = "kind", window = "7d", at_least = "a"': "one.at_least: the value is string, a bound is",
    'sum = "items", window = "7d", at_least = 1.5': "one.at_least: the value is int64, and 1.5 is "
    "no whole number",
    'sum = "items", window = "7d", at_least = 1, empty = 0': "one.empty: the value is bool, and 0 "
    "is neither true nor false",
    'sum = "items", window = "7d", empty = true': "the value is int64, and true is no whole number",
    'sum = "items", window = "7d", empty = 9223372036854775808': "does not go into 64 bits",
    'max = "paid", window = "7d", empty = 0.0000000000001': "more than 12 digits after the point",
    'max = "paid", window = "7d", empty = 1e26': "1E+26 is no number of at most 26 digits before",
    'max = "paid", window = "7d", empty = 1e-999999999': "more than 12 digits after the point",
    'max = "paid", window = "7d", empty = 1e999999999': "is no number of at most 26 digits before",
    'max = "items", window = "7d", empty = 0x1'
    + 5000 * "0": "many digits does not go into 64 bits",
    'max = "weight", window = "7d", empty = nan': "NaN is no number that a double holds",
    'max = "weight", window = "7d", empty = 1e999': "is no number that a double holds",
    'max = "due", window = "7d", empty = 2026-01-01T00:00:00': "is no instant: write it with its "
    "offset",
    'max = "due", window = "7d", empty = "2026-01-01"': "is no instant: write it with its offset",
    'ratio = [{ sum = "paid" }], window = "7d"': "features.one.ratio: is two, such as",
    'ratio = [{ max = "paid" }, { count = true }], window = "7d"': "features.one.ratio.max: means "
    "nothing here",
    'ratio = [{ sum = "paid", empty = 1 }, { count = true }], window = "7d"': "one.ratio.empty: "
    "means nothing here",
    'count = true, window = "7d", where = ["items", ">", 1]': "is no list of conditions such as [[",
    'count = true, window = "7d", where = { items = 1 }': "is no list of conditions such as [[",
    'count = true, window = "7d", where = [["itms", ">", 1]]': '"itms" is no column that is '
    "declared; did you mean items?",
    'count = true, window = "7d", where = [["items", "==", 1]]': "items ==: a int64 is asked "
    "by = !=",
    'count = true, window = "7d", where = [["card", "<", true]]': "card <: a bool is asked "
    "by = != in",
    'count = true, window = "7d", where = [["items", "=", "1"]]': 'items is int64, and "1" is no '
    "whole number",
    'count = true, window = "7d", where = [["kind", "in", "a"]]': 'kind in "a": write a list',
    'count = true, window = "7d", where = [["kind", "in", []]]': "kind in []: write a list",
    'count = true, window = "7d", where = [["kind", "in", ["a", 1]]]': "1 is no text in quotes",
}


@pytest.mark.parametrize(("body", "said"), WRONG.items())
def test_a_fault_of_a_feature_is_one_line(tmp_path: Path, body: str, said: str) -> None:
    text = f"{HEAD}\n[features]\nright = {{ count = true, window = '7d' }}\none = {{ {body} }}\n"
    (line,) = faults(tmp_path, text, lookback=WEEK)
    number, words = line.split(":", 1)
    assert int(number) == FEATURES_AT + 2
    assert said in words


ONE = '[features]\none = { count = true, window = "7d" }\n'
WRONG_HEADS = {
    f'keys = {{ a = "int64" }}\n{ONE}': "1:view: is missing",
    f'view = ""\nkeys = {{ a = "int64" }}\n{ONE}': "1:view: is missing",
    f'view = "v"\n{ONE}': "1:keys: names no key",
    f'view = "v"\nkeys = {{}}\n{ONE}': "2:keys: names no key",
    f'view = "v"\nkeys = {{ a = "decimal" }}\n{ONE}': '2:keys.a: type "decimal" is none of int64, '
    "string",
    f'view = "v"\nkeys = {{ a = "int64" }}\ncolumns = {{ b = "text" }}\n{ONE}': "3:columns.b: type "
    '"text" is none of int64, decimal, double, string, bool, timestamp; did you mean string?',
    f'view = "v"\nkeys = {{ a = "int64" }}\n[columns]\nA = "bool"\n{ONE}': "4:columns.A: is there "
    "twice; upper and lower case are one name",
    f'view = "v"\nkeys = {{ a = "int64" }}\ncolumns = {{ Event_Timestamp = "bool" }}\n{ONE}': "is "
    "a time that every event has",
    f'view = "v"\nkeys = {{ a = "int64" }}\ncolumns = {{ b = {{ type = "bool", requird = 1 }} }}'
    f"\n{ONE}": "3:columns.b.requird: means nothing here; did you mean required?",
    f'view = "v"\nkeys = {{ a = "int64" }}\nwindow = "7d"\n{ONE}': "3:window: means nothing here",
    f'view = "v"\nkeys = {{ a = "int64" }}\ndedup = "day"\n{ONE}': "3:dedup: is { kind = ",
    f'view = "v"\nkeys = {{ a = "int64" }}\ndedup = {{ kind = "period", by = "week" }}\n{ONE}': "a "
    "period is by day or hour",
    f'view = "v"\nkeys = {{ a = "int64" }}\ndedup = {{ kind = "none", by = "day" }}\n{ONE}': "3:"
    "dedup.by: means nothing here",
    f'view = "v"\nkeys = {{ a = "int64" }}\ndedup = {{ kind = "id", by = "b" }}\n{ONE}': 'by = "b" '
    "is no column that is declared",
    f'view = "v"\nkeys = {{ a = "int64" }}\ncolumns = {{ b = "bool" }}\n'
    f'dedup = {{ kind = "id", by = "b" }}\n{ONE}': '4:dedup: by = "b": an id is a required column',
    f'view = "v"\nkeys = {{ a = "int64" }}\ncolumns = {{ b = "int64" }}\n'
    f'dedup = {{ kind = "id", by = "b", order = "id" }}\n{ONE}': "states are by happening or "
    "arrival",
    'view = "v"\nkeys = { a = "int64" }\n': "1:features: is no table, such as",
    'view = "v"\nkeys = { a = "int64" }\n[features]\n': "3:features: is no table, such as",
    'view = "v"\nkeys = { a = "int64" }\n[features]\na = { count = true, window = "1d" }\n': "4:"
    "features.a: is the name of a key, a time or another feature",
    'view = "v"\nkeys = { a = "int64" }\n[features]\nb = 3\n': "4:features.b: is no table, such as",
    f'{ONE}where = []\nview = "v"\nkeys = {{ a = "int64" }}\n': "3:features.where: "
    "stands below [features]",
}


@pytest.mark.parametrize(("text", "said"), WRONG_HEADS.items())
def test_a_fault_of_the_rest_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert any(said in line for line in faults(tmp_path, text))


def test_all_faults_are_told_at_once_in_the_order_of_their_lines(tmp_path: Path) -> None:
    text = (
        'view = "v"\nkeys = { a = "float" }\ncolumns = { b = "int64", c = "strng" }\n[features]\n'
        'one = { sum = "b", window = "1w", empty = "x" }\n\n[features.two]\nmax = "d"\n'
        "window = 3\n"
    )
    said = faults(tmp_path, text)
    assert [re.match(r"\d+:[\w.]+", line)[0] for line in said] == [
        *("2:keys.a", "3:columns.c", "5:features.one.window", "8:features.two.max"),
        "9:features.two.window",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"view = \n", "is no TOML (Invalid value (at line 1"),
        (b"\xff", "is no text in UTF-8"),
        (b"view = 1" + 5000 * b"0", "is no TOML ("),
        (b"view = " + 5000 * b"[", "is no TOML ("),
    ],
)
def test_a_file_that_is_no_toml(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "broken.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidDeclarationError) as refused:
        load(file)
    assert said in str(refused.value)
    with pytest.raises(InvalidDeclarationError, match="cannot be read"):
        load(tmp_path / "absent.toml")


def test_lines_of_a_file_laid_out_otherwise() -> None:
    text = '# view = 1\n"view" = 1\n[ features . "a b" ]\nwhere = [\n  ["x", "=", 1],\n]\nb.c = 2\n'
    at = {("view",): 2, ("features", "a b"): 3, ("features", "a b", "b", "c"): 7}
    at |= {("features", "a b", "where"): 4, ("nothing",): 1}
    assert {place: line_of(text, place) for place in at} == at


values = st.recursive(
    st.sampled_from(
        ["7d", "items", "card", "sum", "=", "in", "day", "id", "int64", "", 0, -1, True]
    )
    | st.sampled_from([Decimal("1.5"), Decimal("NaN"), datetime(2026, 1, 1, tzinfo=UTC), None]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "by", "type", "sum", "window", "where", "ratio"]), inner
        )
    ),
    max_leaves=6,
)


@given(st.data())
def test_whatever_stands_anywhere_is_read_or_refused(data: st.DataObject) -> None:
    """Values as TOML gives them, in place of any part of a right declaration."""
    from feature_pipeline.aggregation import reading

    one = {"sum": "items", "window": "7d", "where": [["card", "=", True]], "at_least": 1}
    told = {
        "view": "v",
        "keys": {"a": "int64"},
        "columns": {"items": "int64", "card": "bool", "id": {"type": "string", "required": True}},
        "dedup": {"kind": "id", "by": "id"},
        "where": [["items", ">", 1]],
        "features": {
            "one": one,
            "two": {"ratio": [{"sum": "items"}, {"count": True}], "window": "7d"},
        },
    }
    place = told
    while True:
        key = data.draw(
            st.sampled_from(list(place) if isinstance(place, dict) else range(len(place)))
        )
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(values)
    reader = reading._Reader(reading.Faults(Path("f.toml"), ""))
    declared = reader.declaration(told, None)
    assert reader.faults.met or len(declared.features) == 2
