"""One view's values at each asked time: those of the newest row within its ttl, or defaults."""

from dataclasses import dataclass
from datetime import timedelta

import duckdb
import pyarrow as pa
from feast import FeatureView
from feast.infra.offline_stores.file_source import FileSource

from feature_access.defaults import default_of
from feature_access.offline_table import parquet_at, refuse_unless_it_knows

ROW = "__entity_row"
MATCHED = "__matched"


@dataclass(frozen=True)
class AsofJoin:
    """What is asked of one feature view, and where it lies."""

    view: str
    path: str
    timestamp_field: str
    ttl: timedelta | None
    join_keys: dict[str, str]
    """Entity-frame column to source column."""
    features: dict[str, str]
    """Output column to source column."""
    defaults: tuple[object, ...]

    @classmethod
    def to_view(
        cls, view: FeatureView, feature_refs: list[str], full_names: bool, repo: str
    ) -> "AsofJoin":
        source, name = view.batch_source, view.projection.name_to_use()
        in_source = {renamed: column for column, renamed in source.field_mapping.items()}
        keys = view.projection.join_key_map or {e.name: e.name for e in view.entity_columns}
        declared = {field.name: field for field in view.features}
        asked = [ref.split(":")[1] for ref in feature_refs if ref.split(":")[0] == name]
        return cls(
            view=view.name,
            path=str(FileSource.get_uri_for_file_path(repo, source.path)),
            timestamp_field=source.timestamp_field,
            ttl=view.ttl or None,
            join_keys={entity: in_source.get(key, key) for key, entity in keys.items()},
            features={f"{name}__{f}" if full_names else f: in_source.get(f, f) for f in asked},
            defaults=tuple(default_of(declared[f]) for f in asked),
        )

    def read(
        self, asked: pa.Table, time_column: str, connection: duckdb.DuckDBPyConnection
    ) -> pa.Table:
        """This view's columns for the asked rows: of the newest feature row within the ttl.

        The last column says whether there was one: what the match rate counts, before defaults.

        Raises:
            OfflineStoreEmptyError, BeforeRetentionError: see `refuse_unless_it_knows`.
            ValueError: a join key cannot be compared with the table's.
        """
        refuse_unless_it_knows(self.path, self.view, asked[time_column])
        connection.register("asked", asked)
        read_at, stamped = f'e."{time_column}"', f'f."{self.timestamp_field}"'
        same_entity = " AND ".join(f'e."{e}" = f."{f}"' for e, f in self.join_keys.items())
        in_ttl = f"epoch_us({read_at}) - epoch_us({stamped}) <= $ttl" if self.ttl else "true"
        values = ", ".join(
            f'coalesce(CASE WHEN {in_ttl} THEN f."{column}" END, $default_{i}) AS "{output}"'
            for i, (output, column) in enumerate(self.features.items())
        )
        parameters = {f"default_{i}": default for i, default in enumerate(self.defaults)}
        parameters["path"] = parquet_at(self.path)
        if self.ttl:
            parameters["ttl"] = self.ttl // timedelta(microseconds=1)
        query = (
            f'SELECT {values}, {stamped} IS NOT NULL AND {in_ttl} AS "{MATCHED}" '
            f"FROM asked AS e "
            f"ASOF LEFT JOIN read_parquet($path) AS f ON {same_entity} AND {read_at} >= {stamped} "
            f'ORDER BY e."{ROW}"'
        )
        try:
            return connection.execute(query, parameters).fetch_arrow_table()
        except duckdb.ConversionException as error:
            raise ValueError(
                f"the entity frame's {', '.join(self.join_keys)} cannot be compared with those of "
                f"{self.view}: give them in its type ({str(error).splitlines()[0]})"
            ) from error
