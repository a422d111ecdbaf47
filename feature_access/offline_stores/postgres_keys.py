"""How a PostgreSQL table holds a join key, and as what the entity rows are compared with it.

They are sent as the widest type of the same index, so that a key for which the column is too narrow
finds nothing and is no error.
"""

from dataclasses import dataclass
from uuid import UUID

import psycopg
import pyarrow as pa

from feature_access.entities.value_by_value import converted
from storage.postgres_arrow import arrow_types


@dataclass(frozen=True)
class KeyKind:
    """A kind of column that keys are held in."""

    named: str
    """The type in PostgreSQL that entity rows have."""
    held: pa.DataType | None
    """What the values are; None for what is not read."""
    canonical: bool = False
    """Whether several texts are one value here, so that one spelling alone is the key."""

    @classmethod
    def of(cls, column: psycopg.Column) -> "KeyKind":
        """The kind of a column that a query describes."""
        other = cls(column.type_display, arrow_types([column])[column.name])
        return _KINDS.get(column.type_code, other)

    def spelled(self, keys: pa.ChunkedArray) -> pa.ChunkedArray:
        """The keys, of which those that are spelled otherwise than the table would name nobody."""
        return converted(keys, _uuid, pa.string()) if self.canonical else keys


def _uuid(text: object) -> str | None:
    try:
        return str(text) if str(UUID(str(text))) == text else None
    except ValueError:
        return None


_WHOLE, _TEXT = KeyKind("bigint", pa.int64()), KeyKind("text", pa.string())
# By the number of the type in PostgreSQL's catalogue.
_KINDS = {
    20: _WHOLE,
    21: _WHOLE,
    23: _WHOLE,
    25: _TEXT,
    1042: KeyKind("bpchar", pa.string()),  # character, padded or not
    1043: _TEXT,  # varchar
    1700: KeyKind("numeric", pa.decimal128(38, 0)),
    2950: KeyKind("uuid", pa.string(), canonical=True),
}
