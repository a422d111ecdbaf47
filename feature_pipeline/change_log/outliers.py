"""Flag outliers: values above a percentile of their own feature (contract §6)."""

from datetime import datetime
from pathlib import Path

import duckdb

from storage.duckdb_session import parquet_at
from storage.errors import RefusedError
from storage.one_row import one_row

_KEYS = ("customer_id", "event_timestamp")


def flag_outliers(
    history: Path, percentile: float, after: datetime, until: datetime
) -> dict[str, int]:
    """Rows stamped in (`after`, `until`] above the percentile (0 to 100) of their feature then.

    They are counted per feature, for the record of the refresh, and stay where they are. A stretch
    bounds the cost, and tells what is unusual now, not what once was.

    Raises:
        RefusedError: the change log cannot be read to its end.
    """
    try:
        return _flagged(history, percentile, after, until)
    except duckdb.Error as error:
        raise RefusedError(
            f"{history} cannot be read to its end ({str(error).splitlines()[0]}): restore it from "
            "a backup, or, where no retention has run, move it away and refresh"
        ) from error


def _flagged(history: Path, percentile: float, after: datetime, until: datetime) -> dict[str, int]:
    file = {"history": parquet_at(history)}
    stretch = {"after": after, "until": until, "share": percentile / 100}
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        columns = connection.execute("DESCRIBE FROM read_parquet($history)", file).fetchall()
        numeric = (name for name, type_, *_ in columns if type_ not in ("VARCHAR", "BOOLEAN"))
        features = sorted(name for name in numeric if name not in _KEYS)
        bounds = ", ".join(f'quantile_cont("{f}", $share) AS "{f}"' for f in features)
        # Of no rows `count_if` gives null in DuckDB 1.4, and `count` 0.
        above = ", ".join(f'count(*) FILTER (log."{f}" > bound."{f}")' for f in features)
        counts = one_row(
            connection,
            f"""WITH log AS (
                FROM read_parquet($history)
                WHERE event_timestamp > $after AND event_timestamp <= $until
            ), bound AS (SELECT {bounds} FROM log)
            SELECT {above} FROM log, bound""",
            file | stretch,
        )
    return dict(zip(features, map(int, counts), strict=True))
