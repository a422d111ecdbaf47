"""Where offline tables lie, per engine, and a feature store over them: Feast's own or ours.

`place` is one place per test module; a table that is written again is another table.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from engines import SPARK
from postgres_server import Database
from psycopg.types.json import Jsonb

pytest_plugins = ["postgres_server", "spark_session", "engines"]


class Place(Protocol):
    engine: str
    folder: Path

    def write(self, name: str, rows: pa.Table, **types: str) -> None:
        """Make the table; `types` are PostgreSQL's, where Arrow's do not say which."""

    def source(self, name: str, **how: Any) -> Any: ...

    def storage(self, name: str) -> Any:
        """Where a saved dataset of this name is kept."""

    def offline_store(self, ours: bool) -> dict[str, Any]: ...


@pytest.fixture(scope="module", params=["duckdb", "postgresql", SPARK])
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "duckdb":
        return Files(folder)
    if request.param == "postgresql":
        return InPostgres(folder, request.getfixturevalue("shared_warehouse"))
    request.getfixturevalue("spark")
    return OnSpark(folder)


def opened(
    place: Place, declared: Sequence[Any], *, ours: bool = True, provider: str = "local"
) -> Any:
    """A feature store of these objects, on our offline store or on Feast's of the same engine."""
    from feast import FeatureStore, RepoConfig

    name = f"{'ours' if ours else 'stock'}-{len(list(place.folder.iterdir()))}"
    store = FeatureStore(
        config=RepoConfig(
            project="asked",
            provider=provider,
            registry=str(place.folder / f"{name}.db"),
            online_store={"type": "sqlite", "path": str(place.folder / f"{name}-online.db")},
            offline_store=place.offline_store(ours),
            entity_key_serialization_version=3,
        )
    )
    store.apply(list(declared))
    return store


@dataclass(frozen=True)
class Files:
    folder: Path
    engine: str = "duckdb"

    def write(self, name: str, rows: pa.Table, **types: str) -> None:
        pq.write_table(rows, self.folder / f"{name}.parquet")

    def source(self, name: str, **how: Any) -> Any:
        from feast import FileSource

        return FileSource(name=name, path=str(self.folder / f"{name}.parquet"), **how)

    def storage(self, name: str) -> Any:
        from feast.infra.offline_stores.file_source import SavedDatasetFileStorage

        return SavedDatasetFileStorage(str(self.folder / "saved" / f"{name}.parquet"))

    def offline_store(self, ours: bool) -> dict[str, Any]:
        kind = "feature_access.offline_stores.duckdb_store.PointInTimeOfflineStore"
        return {"type": kind if ours else "duckdb"}


@dataclass(frozen=True)
class OnSpark(Files):
    engine: str = "spark"

    def source(self, name: str, **how: Any) -> Any:
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource

        path = str(self.folder / f"{name}.parquet")
        return SparkSource(name=name, path=path, file_format="parquet", **how)

    def storage(self, name: str) -> Any:
        from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import (
            SavedDatasetSparkStorage,
        )

        path = str(self.folder / "saved" / name)
        return SavedDatasetSparkStorage(path=path, file_format="parquet")

    def offline_store(self, ours: bool) -> dict[str, Any]:
        kind = "feature_access.offline_stores.spark_store.PointInTimeSparkOfflineStore"
        return {"type": kind if ours else "spark", "staging_location": str(self.folder)}


_POSTGRES_TYPES = {
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.string(): "text",
    pa.binary(): "bytea",
    pa.date32(): "date",
}


@dataclass(frozen=True)
class InPostgres:
    folder: Path
    database: Database
    engine: str = "postgresql"

    def write(self, name: str, rows: pa.Table, **types: str) -> None:
        kinds = [types.get(field.name) or _postgres_type(field.type) for field in rows.schema]
        named = zip(rows.column_names, kinds, strict=True)
        columns = ", ".join(f'"{name}" {kind}' for name, kind in named)
        with self.database.connect() as connection:
            connection.execute("SET TIME ZONE 'UTC'")
            connection.execute(f'DROP TABLE IF EXISTS "{name}"')
            connection.execute(f'CREATE TABLE "{name}" ({columns})')
            with connection.cursor().copy(f'COPY "{name}" FROM STDIN') as copy:
                for row in rows.to_pylist():
                    copy.write_row([Jsonb(v) if isinstance(v, dict) else v for v in row.values()])

    def source(self, name: str, **how: Any) -> Any:
        from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
            PostgreSQLSource,
        )

        return PostgreSQLSource(name=name, table=name, **how)

    def storage(self, name: str) -> Any:
        from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
            SavedDatasetPostgreSQLStorage,
        )

        return SavedDatasetPostgreSQLStorage(f"saved_{name}")

    def offline_store(self, ours: bool) -> dict[str, Any]:
        kind = "feature_access.offline_stores.postgres_store.PointInTimePostgresOfflineStore"
        return {
            "type": kind if ours else "postgres",
            "host": "127.0.0.1",
            "port": self.database.port,
            "database": self.database.name,
            "user": self.database.user,
            "password": self.database.password,
            "sslmode": "disable",
        }


def _postgres_type(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        return f"{_postgres_type(kind.value_type)}[]"
    if pa.types.is_timestamp(kind):
        return "timestamptz" if kind.tz else "timestamp"
    return _POSTGRES_TYPES[kind]
