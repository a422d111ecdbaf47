"""Point-in-time reads from a PostgreSQL warehouse, with the answers of the embedded store.

Feast's PostgreSQL store sends the entity frame row by row, joins each entity row to all its
in-window feature rows and ranks them, and reads naive times in the session's zone. Here the frame
goes in by COPY, each row asks its customer's index for the one row that matters, the answer comes
out by COPY, and every session is in UTC, whatever zone the server is set to.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Literal

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
from feast import FeatureView, RepoConfig
from feast.data_source import DataSource
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres import (
    PostgreSQLOfflineStore,
    PostgreSQLOfflineStoreConfig,
)
from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import (
    PostgreSQLSource,
)
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.registry.base_registry import BaseRegistry
from pydantic import ConfigDict, model_validator

from feature_access.apply_guard import guard_apply_of_code, refuse_where_the_registry_does
from feature_access.defaults import with_defaults
from feature_access.entities.compared_keys import of_somebody
from feature_access.entities.rows import ROW, EntityRows
from feature_access.offline_stores.offline_table import OfflineStoreEmptyError, refuse_times_outside
from feature_access.offline_stores.point_in_time import (
    MATCHED,
    Found,
    ViewQuery,
    point_in_time_job,
)
from feature_access.offline_stores.postgres_bounds import known_up_to, retained_since
from feature_access.offline_stores.postgres_columns import columns_there, read_as
from feature_access.offline_stores.postgres_entity_rows import sent_in
from feature_access.offline_stores.postgres_keys import KeyKind
from feature_access.offline_stores.postgres_session import (
    PulledInUtc,
    read_session,
    save_in_warehouse,
)
from feature_access.offline_stores.source_columns import refuse_unlike_the_source
from postgres_limits import limit_sqlalchemy
from storage.postgres_arrow import copied_out
from storage.postgres_session import Session
from storage.profile import refuse_unset

# Whoever has this store, plain Feast included, has its registry beside it.
limit_sqlalchemy()
guard_apply_of_code()
refuse_where_the_registry_does()


class PointInTimePostgresOfflineStoreConfig(PostgreSQLOfflineStoreConfig):  # type: ignore[misc]
    """Options of Feast's PostgreSQL store; an error names them and shows none."""

    model_config = ConfigDict(hide_input_in_errors=True)

    type: Literal["feature_access.offline_stores.postgres_store.PointInTimePostgresOfflineStore"]

    _all_set = model_validator(mode="before")(refuse_unset)


class PointInTimePostgresOfflineStore(PostgreSQLOfflineStore):  # type: ignore[misc]
    """Feast's PostgreSQL offline store with an index look-up, declared defaults and UTC."""

    @staticmethod
    def get_historical_features(
        config: RepoConfig,
        feature_views: list[FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame | str,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        filter_by_created_timestamp: bool = False,
        **no_more: Any,
    ) -> RetrievalJob:
        """One row per entity row, in the caller's order; nothing is read until the job is asked.

        Raises:
            KeyError, ValueError: see `point_in_time_job`; also when a view lies elsewhere.
        """
        for view in feature_views:
            _refuse_file(view.batch_source)
        return point_in_time_job(
            feature_views,
            feature_refs,
            entity_df,
            registry,
            project,
            full_feature_names,
            filter_by_created_timestamp,
            join=lambda asked, view: _IndexJoin(asked, view.batch_source.get_table_query_string()),
            read=partial(_read, config),
            save=partial(save_in_warehouse, config),
            **no_more,
        )

    @staticmethod
    def known_up_to(config: RepoConfig, source: PostgreSQLSource) -> datetime | None:
        """How far what the source holds is known; None where nothing says so.

        Raises:
            RefusedError: see `known_up_to`.
        """
        with read_session(config) as session:
            return known_up_to(session, source.get_table_query_string())

    columns_there = staticmethod(columns_there)

    @staticmethod
    def offline_write_batch(
        config: RepoConfig, feature_view: FeatureView, *rows_and_progress: Any, **named: Any
    ) -> None:
        """Refused, as by Feast's own store for PostgreSQL, which does not say why.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            f"Feast writes no rows of {feature_view.name} to a PostgreSQL warehouse: let the job "
            "that owns its table write them, and push with PushMode.ONLINE"
        )

    @staticmethod
    def pull_latest_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        *which: Any,
        **bounds: Any,
    ) -> RetrievalJob:
        """As Feast, in UTC and by COPY, without rows that lack a key."""
        asked = PostgreSQLOfflineStore.pull_latest_from_table_or_query
        pulled = asked(config, data_source, join_key_columns, *which, **bounds)
        return PulledInUtc(of_somebody(pulled.to_sql(), join_key_columns, '"'), config, False)

    @staticmethod
    def pull_all_from_table_or_query(
        config: RepoConfig,
        data_source: DataSource,
        join_key_columns: list[str],
        *which: Any,
        **bounds: Any,
    ) -> RetrievalJob:
        """As Feast, in UTC and by COPY, without rows that lack a key."""
        asked = PostgreSQLOfflineStore.pull_all_from_table_or_query
        pulled = asked(config, data_source, join_key_columns, *which, **bounds)
        return PulledInUtc(of_somebody(pulled.to_sql(), join_key_columns, '"'), config, False)

    def validate_data_source(self, config: RepoConfig, data_source: DataSource) -> None:
        """Make sure that what is applied lies in the warehouse.

        Raises:
            ValueError: it is declared to lie in a file.
        """
        _refuse_file(data_source)
        super().validate_data_source(config, data_source)


@dataclass(frozen=True)
class _IndexJoin:
    """What is asked of one feature view, and the table it lies in."""

    asked: ViewQuery
    table: str

    def read(self, entity_rows: EntityRows, session: Session) -> pa.Table:
        """This view's columns for the entity rows, and whether there was a feature row.

        Raises:
            OfflineStoreEmptyError: the table is not there, or has no row.
            BeforeRetentionError, NotYetKnownError: see `refuse_times_outside`.
            RefusedError: see `known_up_to`.
            ValueError: a join key cannot be compared with the table's.
        """
        asked, kinds = self.asked, self._key_kinds(session)
        begins, known = retained_since(session, self.table), known_up_to(session, self.table)
        times = entity_rows.rows[entity_rows.time_column]
        refuse_times_outside(begins, known, asked.view, times)
        rows = entity_rows.asked({key: kind.held for key, kind in kinds.items()}, asked.view)
        for key, kind in kinds.items():
            rows = rows.set_column(rows.schema.get_field_index(key), key, kind.spelled(rows[key]))
        columns = {key: kind.named for key, kind in kinds.items()}
        columns |= {entity_rows.time_column: "timestamptz", ROW: "bigint"}
        # In the index's own order neighbours look at the same pages.
        along = [(key, "ascending") for key in (*asked.join_keys, entity_rows.time_column)]
        sent = sent_in(session, rows.take(pc.sort_indices(rows, along)), columns)
        found = copied_out(session, self._query(entity_rows.time_column, sent))
        found = found.take(pc.sort_indices(found[ROW]))
        return with_defaults(found, dict(zip(asked.features, asked.defaults, strict=True)))

    def _query(self, time_column: str, entity_rows: str) -> str:
        asked, stamped = self.asked, f'f."{self.asked.timestamp_field}"'
        values = "".join(f'f."{column}" AS "{name}", ' for name, column in asked.features.items())
        named = "".join(f'f."{name}", ' for name in asked.features)
        time, newest = f'e."{time_column}"', f"{stamped} DESC"
        counts = [f'f."{key}" = e."{entity}"' for entity, key in asked.join_keys.items()]
        counts.append(f"{stamped} <= {time}")
        if asked.ttl:
            ttl = asked.ttl // timedelta(microseconds=1)
            counts.append(f"{stamped} >= {time} - INTERVAL '{ttl} microseconds'")
        if asked.created_column:
            newest += f', f."{asked.created_column}" DESC NULLS LAST'
        if asked.created_by_then:
            counts.append(f'f."{asked.created_column}" <= {time}')
        return f"""
            SELECT e."{ROW}", {named} f."{MATCHED}" IS NOT NULL AS "{MATCHED}"
            FROM {entity_rows} AS e LEFT JOIN LATERAL (
                SELECT {values} true AS "{MATCHED}" FROM {self.table} AS f
                WHERE {" AND ".join(counts)}
                ORDER BY {newest} LIMIT 1
            ) AS f ON true
        """

    def _key_kinds(self, session: Session) -> dict[str, KeyKind]:
        """How the table holds each join key, once it is known to be what the view declares."""
        try:
            found = session.execute(f"SELECT * FROM {self.table} AS f LIMIT 1")
        except psycopg.errors.UndefinedTable:
            found = None
        if found is None or found.fetchone() is None:
            raise OfflineStoreEmptyError(
                f"the offline store holds nothing of {self.asked.view} ({self.table}): migrate the "
                "warehouse and run scripts/refresh.py before reading it"
            )
        columns = found.description or []
        refuse_unlike_the_source(self.asked, read_as(columns))
        kinds = {column.name: KeyKind.of(column) for column in columns}
        return {entity: kinds[key] for entity, key in self.asked.join_keys.items()}


def _read(config: RepoConfig, joins: list[_IndexJoin], entity_rows: EntityRows) -> Found:
    with read_session(config) as session:
        for join in joins:
            yield join.asked, join.read(entity_rows, session)


def _refuse_file(source: DataSource) -> None:
    if not isinstance(source, PostgreSQLSource):
        raise ValueError(
            f"{source.name} is declared as a {type(source).__name__}, but the offline store is "
            "PostgreSQL: choose the profile by FEAST_FS_YAML_FILE_PATH, which the declaration "
            "follows, not by -f; then run `feast apply`"
        )
