"""Flag outliers in the warehouse: values above a percentile of their own feature (contract §6)."""

from datetime import datetime

from feature_pipeline.change_log.event_columns import FEATURES
from feature_pipeline.compute_engines.postgres.warehouse import HISTORY, session
from storage.one_row import one_row


def flag_outliers_in_warehouse(
    address: str, percentile: float, after: datetime, until: datetime
) -> dict[str, int]:
    """Rows stamped in (`after`, `until`] above the percentile (0 to 100) of their feature then.

    Raises:
        RefusedError: see `session`.
    """
    bounds = ", ".join(
        f"percentile_cont(%(share)s) WITHIN GROUP (ORDER BY {f}) AS {f}" for f in FEATURES
    )
    above = ", ".join(f"count(*) FILTER (WHERE log.{f} > bound.{f})" for f in FEATURES)
    with session(address) as connection:
        counts = one_row(
            connection,
            f"""WITH log AS (
                SELECT * FROM {HISTORY}
                WHERE event_timestamp > %(after)s AND event_timestamp <= %(until)s
            ) SELECT {above} FROM log, (SELECT {bounds} FROM log) AS bound""",
            {"share": percentile / 100, "after": after, "until": until},
        )
    return dict(zip(FEATURES, counts, strict=True))
