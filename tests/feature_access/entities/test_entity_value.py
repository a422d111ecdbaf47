"""One entity, one value: what names a customer does so in every frame and request, or in none.

The judge is plain Python: a number equals the identifier, a text is what `str` makes of it.
"""

import hmac
import uuid
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import typer
from feast_households import LEAKY, PAST, PRESENT, SERVICE, VIEW, profiles
from hypothesis import given, settings
from hypothesis import strategies as st
from tries import tries

pytest_plugins = ["feast_repository"]

KEY = b"a key of the tests alone"
ANY_INTEGER = st.integers(-(2**65), 2**65) | st.integers(-(2**53) - 3, 2**53 + 3)
SPELLINGS = (
    "{}",
    "0{}",
    " {}",
    "{} ",
    "+{}",
    "-{}",
    "{}.0",
    "{}e0",
    "0x{}",
    "{}_0",
    "{}\n",
    "{:,}",
)
ANY_VALUE = (
    ANY_INTEGER
    | st.booleans()
    | st.floats()
    | ANY_INTEGER.map(float)
    | st.decimals()
    | st.builds(lambda n, places: Decimal(n).scaleb(places), ANY_INTEGER, st.integers(-2, 2))
    | st.builds(str.format, st.sampled_from(SPELLINGS), st.integers(0, 10**20))
    | st.text(max_size=4)
    | st.text("0123456789-１٣𝟗", max_size=4)
    | st.binary(max_size=2)
    | st.none()
)
MISSING, NOBODY = object(), object()


def whole_number(value: object, bits: int) -> object:
    """The entity of a whole number, by the words of the rule."""
    if isinstance(value, bool | bytes):
        return NOBODY
    if isinstance(value, str):
        try:
            number = int(value)
        except ValueError:
            return NOBODY
        right = value.isascii() and str(number) == value
    elif isinstance(value, float):
        right = value.is_integer() and abs(value) < 2**53
        number = int(value) if right else 0
    else:
        right = value == value // 1 if abs(value) < 2**70 else False
        number = int(value) if right else 0
    return number if right and -(2 ** (bits - 1)) <= number < 2 ** (bits - 1) else NOBODY


def text(value: object) -> object:
    if type(value) is int:
        return str(value)
    utf_8 = isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
    return value if utf_8 and "\0" not in value else NOBODY


def entity(value: object, kind: str) -> object:
    if value is None or value != value:
        return MISSING
    if kind == "String":
        return text(value)
    if isinstance(value, Decimal) and not value.is_finite():
        return NOBODY
    return whole_number(value, int(kind.removeprefix("Int")))


@settings(max_examples=tries(400))
@given(st.lists(ANY_VALUE, max_size=4), st.sampled_from(["Int32", "Int64", "String"]))
def test_a_column_and_a_request_name_the_same_entities_or_both_are_refused(values, kind):
    import feast.types
    from feast import Entity, FeatureView, Field, FileSource, ValueType

    from feature_access.entities.keys import EntityKeys
    from feature_access.entities.value import UnusableKeysError, entity_column
    from feature_access.entities.value_by_value import column_of
    from feature_access.training.hashing import hashed

    values = [v for v in values if not (isinstance(v, Decimal) and v.is_snan())]
    declared = getattr(feast.types, kind)
    right = [entity(value, kind) for value in values]
    column = column_of(pd.Series(values, dtype=object))
    if NOBODY in right:
        with pytest.raises(UnusableKeysError, match=f"row {right.index(NOBODY) + 1}: holds") as no:
            entity_column(column, "id", declared)
        assert not [v for v in values if len(str(v)) > 5 and str(v) in str(no.value)]
    else:
        named = entity_column(column, "id", declared)
        assert named.to_pylist() == [None if one is MISSING else one for one in right]
        digest = [hmac.digest(KEY, str(one).encode(), "sha256").hex() for one in right]
        assert [h for h in hashed(named, KEY).to_pylist() if h] == [
            d for d, one in zip(digest, right, strict=True) if one is not MISSING
        ]

    view = FeatureView(
        name="visits",
        entities=[Entity(name="id", join_keys=["id"], value_type=ValueType[kind.upper()])],
        schema=[Field(name="id", dtype=declared)],
        source=FileSource(path="visits.parquet", timestamp_field="at"),
    )
    for value, one in zip(values, right, strict=True):
        if one is NOBODY or one is MISSING:
            with pytest.raises(UnusableKeysError, match="id is declared"):
                EntityKeys(view).of([{"id": value}])
        else:
            (key,) = EntityKeys(view).of([{"id": value}])
            (proto,) = key.entity_values
            assert getattr(proto, proto.WhichOneof("val")) == one


THE_CUSTOMER = {
    "int64": pd.Series([LEAKY]),
    "int32": pd.Series([LEAKY], dtype="int32"),
    "uint64": pd.Series([LEAKY], dtype="uint64"),
    "Int64": pd.Series([LEAKY], dtype="Int64"),
    "float": pd.Series([float(LEAKY)]),
    "float32": pd.Series([LEAKY], dtype="float32"),
    "decimal": pd.Series([Decimal(f"{LEAKY}.00")]),
    "arrow's decimal": pd.Series(
        [Decimal(f"{LEAKY}.00")], dtype=pd.ArrowDtype(pa.decimal128(12, 2))
    ),
    "text": pd.Series([str(LEAKY)]),
    "large_string": pd.Series([str(LEAKY)], dtype=pd.ArrowDtype(pa.large_string())),
    "string_view": pd.Series([str(LEAKY)], dtype=pd.ArrowDtype(pa.string_view())),
    "categories": pd.Series(pd.Categorical([LEAKY])),
    "categories of text": pd.Series(pd.Categorical([str(LEAKY)])),
    "a dictionary": pd.Series([LEAKY], dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.int64()))),
    "a scalar of numpy": pd.Series([np.int64(LEAKY)], dtype=object),
}
SOMEBODY_ELSE = {
    "a leading zero": pd.Series([f"0{LEAKY}"]),
    "a space": pd.Series([f" {LEAKY}"]),
    "a fraction in text": pd.Series([f"{LEAKY}.4"]),
    "an exponent": pd.Series([f"{LEAKY}e0"]),
    "a hexadecimal": pd.Series([hex(LEAKY)]),
    "digits of another script": pd.Series([str(LEAKY).replace("1", "１")]),
    "a truth value": pd.Series([True]),
    "a truth value of numpy": pd.Series([np.True_], dtype=object),
    "a fraction": pd.Series([LEAKY + 0.5]),
    "a decimal with a fraction": pd.Series([Decimal(f"{LEAKY}.01")]),
    "a float that may be another": pd.Series([2.0**53]),
    "a float32 that may be another": pd.Series([2.0**24], dtype="float32"),
    "more than 64 bits": pd.Series([2**63], dtype="uint64"),
    "many more": pd.Series([2**70], dtype=object),
    "infinity": pd.Series([float("inf")]),
    "bytes": pd.Series([str(LEAKY).encode()]),
    "a UUID": pd.Series([uuid.UUID(int=LEAKY)]),
    "a time": pd.Series([datetime(2017, 1, 1, tzinfo=UTC)]),
    "a date": pd.Series([date(2017, 1, 1)]),
    "a ratio": pd.Series([Fraction(LEAKY)], dtype=object),
    "a list": pd.Series([[LEAKY]]),
    "an empty text": pd.Series([""]),
    "categories": pd.Series(pd.Categorical([f"0{LEAKY}"])),
    "a period": pd.Series(pd.period_range("2017-01-01", periods=1)),
}


def answers_of(store, keys: pd.Series) -> list:
    """Every way to ask for one entity's features: the identifier it is answered under, and they."""
    from feature_access.training.training_set import build_training_set

    frame = pd.DataFrame({"customer_id": keys, "event_timestamp": PRESENT})
    service, view = store.get_feature_service(SERVICE), store.get_feature_view(VIEW)
    value, names = keys.array[0], [field.name for field in view.features]
    reader = store._get_provider().online_store.reader(store.config, view, names)

    def offline():
        rows = store.get_historical_features(frame, service).to_arrow()
        assert rows["customer_id"].to_pylist() == [LEAKY]
        return list(profiles(rows.to_pydict()))

    def hashed():
        built = build_training_set(store, SERVICE, frame, KEY).rows
        digest = hmac.digest(KEY, str(LEAKY).encode(), "sha256").hex()
        assert built["customer_id"].to_pylist() == [digest]
        return list(profiles(built.to_pydict()))

    def online(entities):
        answer = store.get_online_features(service, entities).to_dict()
        assert answer["customer_id"] == [LEAKY]
        return list(profiles(answer))

    def read():
        (row,) = reader.read([{"customer_id": value}])
        return list(profiles({n: [v] for n, v in zip(names, row.values, strict=True)}))

    return [
        offline,
        hashed,
        lambda: online([{"customer_id": value}]),
        lambda: online({"customer_id": [value]}),
        read,
    ]


@pytest.mark.parametrize("spelled", THE_CUSTOMER)
def test_a_customer_is_joined_hashed_and_looked_up_as_one(online_store, spelled):
    from feature_access.online_stores.freshness import fresh_within

    with fresh_within(None, at=PRESENT):
        for ask in answers_of(online_store, THE_CUSTOMER[spelled]):
            assert ask() == [PAST]


@pytest.mark.parametrize("spelled", SOMEBODY_ELSE)
def test_what_is_no_customer_is_refused_by_row_and_kind_and_never_quoted(online_store, spelled):
    from feature_access.entities.value import UnusableKeysError
    from feature_access.online_stores.freshness import fresh_within

    keys = SOMEBODY_ELSE[spelled]
    with fresh_within(None, at=PRESENT):
        for ask in answers_of(online_store, keys):
            with pytest.raises(
                UnusableKeysError, match="customer_id is declared Int64, and row 1: "
            ):
                ask()
    frame = pd.DataFrame({"customer_id": keys, "event_timestamp": PRESENT})
    with pytest.raises(UnusableKeysError) as refused:
        online_store.get_historical_features(frame, online_store.get_feature_service(SERVICE))
    assert str(LEAKY) not in str(refused.value)


def test_the_command_line_looks_up_whom_it_names_and_nobody_else(online_store, monkeypatch, capsys):
    from scripts.look_up import main

    monkeypatch.setattr("feature_access.registry.open_store", lambda _: online_store)
    main([str(LEAKY), "2"], SERVICE)
    assert f"{LEAKY}" in capsys.readouterr().out
    for text in (f"0{LEAKY}", f" {LEAKY}", f"{LEAKY}.0", f"+{LEAKY}", f"{LEAKY:_}", "１", ""):
        with pytest.raises(typer.Exit) as exited:
            main(["2", text], SERVICE)
        assert exited.value.exit_code == 2
        told = capsys.readouterr().err
        assert told.startswith("refused: customer_id is declared Int64, and row 2: holds a text")
        assert str(LEAKY) not in told


def test_of_several_the_first_is_named_and_null_names_nobody(online_store):
    service = online_store.get_feature_service(SERVICE)
    keys = [LEAKY, None, float("nan"), pd.NA, Decimal("NaN"), "01", "02"]
    frame = pd.DataFrame({"customer_id": pd.Series(keys, dtype=object), "event_timestamp": PRESENT})
    with pytest.raises(ValueError, match="row 6: holds a text"):
        online_store.get_historical_features(frame, service)
    rows = online_store.get_historical_features(frame[:5], service).to_arrow()
    assert rows["customer_id"].to_pylist() == [LEAKY, None, None, None, None]


def test_two_columns_of_one_name_are_refused(online_store):
    frame = pd.DataFrame(
        [[1, 2, PRESENT]], columns=["customer_id", "customer_id", "event_timestamp"]
    )
    with pytest.raises(ValueError, match="more than once"):
        online_store.get_historical_features(frame, online_store.get_feature_service(SERVICE))


def views_of(*kinds: str, **renamed: str) -> list:
    """Views that declare `shop` and `id`, `id` in one of these types each."""
    import feast.types
    from feast import Entity, FeatureView, Field, FileSource, ValueType

    shop = Entity(name="shop", join_keys=["shop"], value_type=ValueType.STRING)
    views = [
        FeatureView(
            name=f"of_{kind}",
            entities=[
                Entity(
                    name="id",
                    join_keys=["id"],
                    value_type=getattr(ValueType, kind.upper(), ValueType.DOUBLE),
                ),
                shop,
            ],
            schema=[
                Field(name="id", dtype=getattr(feast.types, kind)),
                Field(name="shop", dtype=feast.types.String),
            ],
            source=FileSource(path="visits.parquet", timestamp_field="at"),
        )
        for kind in kinds
    ]
    for view in views:
        view.projection.join_key_map = renamed
    return views


def test_views_that_declare_one_key_in_two_types_are_asked_apart():
    from feast.types import Int32, Int64, String

    from feature_access.entities.keys import UnusableKeysError, declared_keys

    assert declared_keys(views_of("Int64", "Int32")) == {"id": Int32, "shop": String}
    assert declared_keys(views_of("Int64", id="buyer")) == {"buyer": Int64, "shop": String}
    with pytest.raises(UnusableKeysError, match="id is declared String by of_String, and Int64"):
        declared_keys(views_of("Int64", "String"))
    with pytest.raises(UnusableKeysError, match="id of of_Float64 is declared Float64"):
        declared_keys(views_of("Float64"))


def test_a_renamed_key_of_several_is_joined_beside_the_others():
    from feature_access.offline_stores.point_in_time import ViewQuery

    (view,) = views_of("Int64", id="buyer")
    assert ViewQuery.of(view, [], full_names=False).join_keys == {"buyer": "id", "shop": "shop"}
