"""One customer, as every store of this repository spells it."""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract_checks.language.contract import Contract
from feature_access.training.hashing import hashed
from feature_pipeline.change_log.event_parts import event_parts
from feature_pipeline.compute_engines.postgres.row_deletion import known_customers_in_warehouse
from feature_pipeline.erasure.identity import Identity
from jobs.repository import EVENTS, HISTORY, chosen_warehouse
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey


def identity_of(
    contract: Contract, customer_id: str, hash_key: bytes, store: "FeatureStore"
) -> Identity:
    """Everything the customer is called.

    Raises:
        RefusedError: the contract's entity has several keys, or the identifier is none of theirs.
    """
    from feature_access.online_stores.row_deletion import bytes_of

    column, *others = contract.entity.join_keys
    if others:
        raise RefusedError("an entity of several join keys is no customer: erase it by hand")
    text = _as_declared(column, customer_id, store)
    keys = tuple(bytes_of(store.config, key) for key in online_keys(column, text))
    return Identity(column, text, hash_of(text, hash_key), keys)


def online_keys(column: str, text: str) -> list["EntityKey"]:
    """The customer's keys online, whichever type the entity is, was or will be declared in."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.types import Int32, Int64

    from feature_access.entities.value import entity_value
    from feature_access.entities.value_by_value import UnusableValueError

    values = [Value(string_val=text)]
    with suppress(UnusableValueError):
        values.append(Value(int64_val=int(entity_value(text, Int64))))
    with suppress(UnusableValueError):
        values.append(Value(int32_val=int(entity_value(text, Int32))))
    return [EntityKey(join_keys=[column], entity_values=[value]) for value in values]


def hash_of(text: str, hash_key: bytes) -> str:
    """As a training set holds the identifier."""
    (digest,) = hashed(pa.chunked_array([[text]]), hash_key).to_pylist()
    return str(digest)


def known_customers(column: str) -> set[str]:
    """Everybody in the events and the change log, as text.

    Raises:
        RefusedError: they lie in a warehouse that cannot be read.
    """
    if address := chosen_warehouse():
        return known_customers_in_warehouse(address)
    tables = [pq.read_table(part, columns=[column]) for part in _stored()]
    known = (one for table in tables for one in pc.unique(table[column]).to_pylist())
    return {str(one) for one in known if one is not None}


def _stored() -> list[Path]:
    return [part for table in (HISTORY, EVENTS) for part in event_parts(table)]


def _as_declared(column: str, customer_id: str, store: "FeatureStore") -> str:
    """The one spelling of whom every read by the same text would be of.

    Raises:
        RefusedError: the text names nobody.
    """
    from feast.types import Int64, String

    from feature_access.entities.value import entity_value
    from feature_access.entities.value_by_value import UnusableValueError

    numbers = _are_numbers(column, store)
    if not customer_id:
        raise RefusedError("name a customer: an empty text cannot be searched for")
    try:
        return str(entity_value(customer_id, Int64 if numbers else String))
    except UnusableValueError:
        if numbers:
            raise RefusedError(
                f"{column} is a whole number in this repository: name one in plain digits, "
                "7 and not 007 or 7.0"
            ) from None
        raise RefusedError(f"{column} is a text in this repository: name one") from None


def _are_numbers(column: str, store: "FeatureStore") -> bool:
    """As the tables have it, or the entity is declared where there are none."""
    if chosen_warehouse():
        return True  # its tables say so
    kinds = [pq.read_schema(part).field(column).type for part in _stored()]
    if kinds:
        return any(map(pa.types.is_integer, kinds))
    declared = {e.join_key: e.value_type.name for e in store.list_entities()}
    return declared.get(column) in ("INT64", "INT32")
