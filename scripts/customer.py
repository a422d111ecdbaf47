"""One customer, as every store of this repository spells it."""

from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from contract_checks.language.contract import Contract
from feature_access.hashing import hashed
from feature_pipeline.identity import Identity
from feature_pipeline.parquet_table import parts_of
from feature_pipeline.refusal import RefusedError
from feature_pipeline.warehouse_letting_go import known_customers_in_warehouse
from scripts.command_line import EVENTS, HISTORY
from scripts.offline_rows import chosen_warehouse

if TYPE_CHECKING:
    from feast import RepoConfig
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey


def identity_of(
    contract: Contract, customer_id: str, hash_key: bytes, config: "RepoConfig"
) -> Identity:
    """Everything the customer is called.

    Raises:
        RefusedError: the contract's entity has several keys, or the identifier is none of theirs.
    """
    from feature_access.forgetting import bytes_of

    column, *others = contract.entity.join_keys
    if others:
        raise RefusedError("an entity of several join keys is no customer: erase it by hand")
    text = _as_stored(column, customer_id)
    keys = tuple(bytes_of(config, key) for key in online_keys(column, text))
    return Identity(column, text, hash_of(text, hash_key), keys)


def online_keys(column: str, text: str) -> list["EntityKey"]:
    """The customer's keys online, whichever type the entity is, was or will be declared in."""
    from feast.protos.feast.types.EntityKey_pb2 import EntityKey
    from feast.protos.feast.types.Value_pb2 import Value

    values = [Value(string_val=text)]
    if _is_whole(text):
        number = int(text)
        values += [Value(int64_val=number)] if -(2**63) <= number < 2**63 else []
        values += [Value(int32_val=number)] if -(2**31) <= number < 2**31 else []
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
    return {str(one) for table in tables for one in pc.unique(table[column]).to_pylist()}


def _stored() -> list[Path]:
    return [part for table in (HISTORY, EVENTS) for part in parts_of(table)]


def _as_stored(column: str, customer_id: str) -> str:
    """Its one spelling: where identifiers are numbers, 007 is 7."""
    if chosen_warehouse():
        numbers = True  # its tables say so
    else:
        kinds = [pq.read_schema(part).field(column).type for part in _stored()]
        numbers = any(map(pa.types.is_integer, kinds))
    if not numbers:
        if not customer_id.strip():
            raise RefusedError("name a customer")
        return customer_id
    if not _is_whole(customer_id):
        raise RefusedError(f"{column} is a whole number in this repository: name one")
    return str(int(customer_id))


def _is_whole(text: str) -> bool:
    return text.removeprefix("-").isdecimal()
