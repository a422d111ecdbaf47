"""What a registry declares: its objects, and how far views were materialized."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class RegisteredField:
    """A feature as the registry declares it."""

    name: str
    dtype: str
    default: str | None


@dataclass(frozen=True)
class RegisteredEntity:
    """An entity as the registry declares it."""

    name: str
    join_keys: tuple[str, ...]
    dtype: str
    owner: str = ""
    description: str = ""


@dataclass(frozen=True)
class Warehouse:
    """A PostgreSQL database; who asks it, and by what password, the environment says."""

    host: str
    port: int
    database: str
    sslmode: str

    def __str__(self) -> str:
        return f"PostgreSQL database {self.database} at {self.host}:{self.port}"


@dataclass(frozen=True)
class RegisteredView:
    """A feature view as the registry declares it, and how far it was materialized."""

    name: str
    entities: tuple[RegisteredEntity, ...]
    ttl: timedelta
    owner: str
    description: str
    tags: Mapping[str, str]
    fields: tuple[RegisteredField, ...]
    online: bool
    source: str
    source_path: str
    """A path of parquet, or the table's name with its schema where it lies in a warehouse."""
    source_owner: str
    timestamp_field: str
    materialized_to: datetime | None
    """The newest end of an interval on record, by the as-of time."""
    created_timestamp_field: str = ""
    """What decides between rows of one stamp; empty where nothing does."""
    materialized_beyond: datetime | None = None
    """The newest end after the as-of time: the online store has moved on."""
    warehouse: Warehouse | None = None
    """Where the offline table lies, if not in files."""


@dataclass(frozen=True)
class RegisteredService:
    """A feature service as the registry declares it."""

    views: Mapping[str, tuple[str, ...]]
    """View to the names of its features that are served."""
    owner: str = ""
    description: str = ""
    renamed: tuple[str, ...] = ()
    """Views that it serves under another name, or joins by other keys, than their own."""


@dataclass(frozen=True)
class Registry:
    """The registry's objects by name."""

    project: str
    entities: Mapping[str, RegisteredEntity]
    views: Mapping[str, RegisteredView]
    services: Mapping[str, RegisteredService]
