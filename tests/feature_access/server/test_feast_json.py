"""The server's answer is the answer of Feast's feature server, made without its messages."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from feast_households import AGED, FEATURES, HOUSEHOLDS, LEAKY, SERVICE, UNKNOWN, VIEW
from hypothesis import example, given
from hypothesis import strategies as st
from online_readers import MAX_AGE

pytest_plugins = ["feast_repository", "feast_online"]

EVERYBODY = [*HOUSEHOLDS, LEAKY, AGED, UNKNOWN, 0, -5, 1, 1]


def of_feast(store, customers, **options):
    """What `feast serve` would answer, its columns in the order of their names."""
    from feast.feature_server_utils import convert_response_to_dict

    service = store.get_feature_service(SERVICE)
    entities = {"customer_id": customers}
    response = store.get_online_features(service, entities, **options)
    return in_order(convert_response_to_dict(response.proto))


def in_order(answer):
    names = answer["metadata"]["feature_names"]
    return sorted(zip(names, answer["results"], strict=True), key=lambda column: column[0])


def of_ours(store, customers, **options):
    from feature_access.server.catalogue import Catalogue
    from feature_access.server.feast_json import answer
    from feature_access.terms import Terms

    catalogue = Catalogue(store, {VIEW: Terms(VIEW, ("ML Platform",), MAX_AGE)}, 10_000)
    request = {"feature_service": SERVICE, "entities": {"customer_id": customers}} | options
    asked = catalogue.asked(json.dumps(request).encode())
    return json.loads(answer(asked.entities, asked.names, asked.reader.read(asked.each)))


@pytest.mark.parametrize("kind", ["materialized", "on_served_redis"])
@pytest.mark.parametrize("full", [False, True])
def test_every_customers_answer_is_feasts(kind, full, request):
    from feature_access.registry import open_store

    store = open_store(request.getfixturevalue(kind))
    ours = of_ours(store, EVERYBODY, full_feature_names=full)
    prefix = f"{VIEW}__" if full else ""
    assert ours["metadata"]["feature_names"] == [
        "customer_id",
        *(prefix + name for name in FEATURES),
    ]
    assert in_order(ours) == of_feast(store, EVERYBODY, full_feature_names=full)


DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
VALUES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text()


@given(VALUES, st.none() | st.timedeltas(timedelta(0), 1_000_000 * DAY))
@example(math.nan, DAY)
@example(-math.inf, DAY + timedelta(milliseconds=120))
@example(math.inf, DAY + timedelta(microseconds=1))
def test_any_value_and_any_time_is_spelt_as_feast_spells_it(value, since):
    from feast.feature_server_utils import convert_response_to_dict
    from feast.protos.feast.serving.ServingService_pb2 import FieldStatus, GetOnlineFeaturesResponse
    from feast.protos.feast.types.Value_pb2 import Value
    from google.protobuf.timestamp_pb2 import Timestamp

    from feature_access.online_stores.online_rows import Row
    from feature_access.server.feast_json import answer

    kinds = {bool: "bool_val", int: "int64_val", float: "double_val", str: "string_val"}
    unknown = since is None
    stamp = None if unknown else EPOCH + since
    at = Timestamp()
    if stamp:
        at.FromDatetime(stamp)
    vector = GetOnlineFeaturesResponse.FeatureVector(
        values=[Value() if value is None else Value(**{kinds[type(value)]: value})],
        statuses=[FieldStatus.NOT_FOUND if unknown and value is None else FieldStatus.PRESENT],
        event_timestamps=[at],
    )
    feasts = convert_response_to_dict(GetOnlineFeaturesResponse(results=[vector]))
    row = Row((value,), stamp is not None, stamp)
    ours = json.loads(answer({}, ["x"], [row]), parse_constant=pytest.fail)
    assert ours["results"] == feasts["results"]


def test_a_feature_that_is_no_scalar_is_refused(store):
    from feast import FeatureView, Field, FileSource
    from feast.types import Array, Int64

    from storage.errors import RefusedError

    view = FeatureView(
        name="visits",
        entities=[store.get_entity("customer_id")],
        ttl=timedelta(days=1),
        schema=[Field(name="customer_id", dtype=Int64), Field(name="days", dtype=Array(Int64))],
        source=FileSource(path="visits.parquet", timestamp_field="at"),
    )
    with pytest.raises(RefusedError, match="days of visits are no scalars"):
        store._get_provider().online_store.reader(store.config, view, ["days"])
