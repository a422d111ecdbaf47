"""The point-in-time join in Spark: both tables in one order per customer, the last row carried."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

from feature_access.defaults import with_defaults
from feature_access.entities.rows import ROW, EntityRows
from feature_access.offline_stores.offline_table import columns_of, refuse_unless_it_knows
from feature_access.offline_stores.point_in_time import MATCHED, ViewQuery
from feature_access.offline_stores.source_columns import refuse_unlike_the_source
from feature_access.offline_stores.spark_lake import read_columns, refuse_unread, written_and_read
from storage.parquet_table import parts_of
from storage.spark_parquet import LostRowsError, as_stored


@dataclass(frozen=True)
class SortedJoin:
    """What is asked of one feature view, and where it lies."""

    asked: ViewQuery
    path: str

    def read(self, entity_rows: EntityRows, session: SparkSession, staging: Path) -> pa.Table:
        """This view's columns for the entity rows, and whether there was a feature row.

        Raises:
            OfflineStoreEmptyError, BeforeRetentionError, NotYetKnownError: see
                `refuse_unless_it_knows`.
            ValueError: a join key cannot be compared with the table's.
        """
        asked, time_column = self.asked, entity_rows.time_column
        refuse_unless_it_knows(self.path, asked.view, entity_rows.rows[time_column])
        parts = parts_of(Path(self.path))
        schema = pq.read_schema(parts[0])
        pq.write_table(self._keyed(entity_rows, parts, schema), staging / "asked.parquet")
        session.read.parquet(str(staging / "asked.parquet")).createOrReplaceTempView("asked")
        read_columns(session, parts, self._needed).createOrReplaceTempView("there")
        found = written_and_read(session.sql(self._query(time_column)), staging / "found")
        if found.num_rows != entity_rows.rows.num_rows:
            raise LostRowsError(
                f"Spark's workers read {found.num_rows:,} rows of the "
                f"{entity_rows.rows.num_rows:,} that lie in {staging}"
            )
        found = found.take(pc.sort_indices(found[ROW])).drop_columns([ROW])
        stored = [(name, schema.field(column).type) for name, column in asked.features.items()]
        found = as_stored(found, pa.schema(stored))
        return with_defaults(found, dict(zip(asked.features, asked.defaults, strict=True)))

    @property
    def _needed(self) -> list[str]:
        asked = self.asked
        stamps = filter(None, (asked.timestamp_field, asked.created_column))
        return [*dict.fromkeys([*asked.join_keys.values(), *stamps, *asked.features.values()])]

    def _keyed(self, entity_rows: EntityRows, parts: list[Path], schema: pa.Schema) -> pa.Table:
        """The asked rows, with keys of the table's own types."""
        refuse_unlike_the_source(self.asked, columns_of(schema))
        refuse_unread(parts, self._needed)
        there = {entity: schema.field(key).type for entity, key in self.asked.join_keys.items()}
        return entity_rows.asked(there, self.asked.view)

    def _query(self, time_column: str) -> str:
        """Feature rows come before entity rows of their instant, so that both ends are included."""
        asked = self.asked
        stamp, created = f"`{asked.timestamp_field}`", "CAST(NULL AS TIMESTAMP)"
        order = "instant, entity_row NULLS FIRST"
        if asked.created_column:
            order += ", created NULLS FIRST"
            created = f"CAST(`{asked.created_column}` AS TIMESTAMP)"
        keys = "".join(f"key_{i}, " for i in range(len(asked.join_keys)))
        of_entity = "".join(f"`{e}` AS key_{i}, " for i, e in enumerate(asked.join_keys))
        of_table = "".join(f"`{k}` AS key_{i}, " for i, k in enumerate(asked.join_keys.values()))
        needed = [f"`{column}` IS NOT NULL" for column in (*asked.join_keys.values(), stamp[1:-1])]
        values = "".join(f", `{c}` AS value_{i}" for i, c in enumerate(asked.features.values()))
        named = ", ".join(
            f"CASE WHEN matched THEN carried.value_{i} END AS `{name}`"
            for i, name in enumerate(asked.features)
        )
        in_ttl = ""
        if asked.ttl:
            ttl = asked.ttl // timedelta(microseconds=1)
            in_ttl = f"AND unix_micros(instant) - unix_micros(carried.stamp) <= {ttl}"
        since, newest = "stamp", "last_value(found) IGNORE NULLS"
        if asked.created_by_then:  # an older row may be created later, and is not the answer then
            since, newest = "greatest(stamp, created)", "max_by(found, struct(stamp, created))"
            needed.append(f"{created} IS NOT NULL")
        return f"""
            WITH rows AS (
                SELECT {of_table} CAST({stamp} AS TIMESTAMP) AS stamp, {created} AS created,
                       struct(CAST({stamp} AS TIMESTAMP) AS stamp{values}) AS found
                FROM there WHERE {" AND ".join(needed)}
            ), both AS (
                SELECT {keys} {since} AS instant, stamp, created,
                       CAST(NULL AS BIGINT) AS entity_row, found FROM rows
                UNION ALL
                SELECT {of_entity} `{time_column}`, NULL, NULL, `{ROW}`, NULL FROM asked
            ), carried AS (
                SELECT instant, entity_row, {newest} OVER (
                    PARTITION BY {keys} 0
                    ORDER BY {order}
                    ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
                ) AS carried
                FROM both
            ), judged AS (
                SELECT entity_row, carried, carried IS NOT NULL {in_ttl} AS matched
                FROM carried WHERE entity_row IS NOT NULL
            )
            SELECT {named}, coalesce(matched, false) AS `{MATCHED}`, entity_row AS `{ROW}`
            FROM judged
        """
