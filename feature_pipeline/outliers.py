"""Flag outliers: values above a percentile of their own feature (contract §6)."""

from pathlib import Path

import duckdb

from feature_pipeline.engine import one_row, this_file

_KEYS = ("customer_id", "event_timestamp")


def flag_outliers(history: Path, percentile: float) -> dict[str, int]:
    """Rows of the change log above the percentile (0 to 100) of their feature, per feature.

    They are counted, for the record of the refresh that brought them, and stay where they are.
    """
    file = {"history": this_file(history)}
    with duckdb.connect() as connection:
        columns = connection.execute("DESCRIBE FROM read_parquet($history)", file).fetchall()
        numeric = (name for name, type_, *_ in columns if type_ not in ("VARCHAR", "BOOLEAN"))
        features = sorted(name for name in numeric if name not in _KEYS)
        bounds = ", ".join(f'quantile_cont("{f}", $share) AS "{f}"' for f in features)
        above = ", ".join(f'count_if(log."{f}" > bound."{f}")' for f in features)
        counts = one_row(
            connection,
            f"""WITH log AS (FROM read_parquet($history)), bound AS (SELECT {bounds} FROM log)
            SELECT {above} FROM log, bound""",
            file | {"share": percentile / 100},
        )
    return dict(zip(features, map(int, counts), strict=True))
