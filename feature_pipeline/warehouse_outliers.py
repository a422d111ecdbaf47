"""Flag outliers in the warehouse: values above a percentile of their own feature (contract §6)."""

from feature_pipeline.warehouse import HISTORY, one_row, session

_FEATURES = (
    "avg_order_value_30d",
    "distinct_order_days_30d",
    "orders_30d",
    "sessions_30d",
)


def flag_outliers_in_warehouse(address: str, percentile: float) -> dict[str, int]:
    """Rows of the change log above the percentile (0 to 100) of their feature, per feature.

    Raises:
        RefusedError: see `session`.
    """
    bounds = ", ".join(
        f"percentile_cont(%(share)s) WITHIN GROUP (ORDER BY {f}) AS {f}" for f in _FEATURES
    )
    above = ", ".join(f"count(*) FILTER (WHERE log.{f} > bound.{f})" for f in _FEATURES)
    with session(address) as connection:
        counts = one_row(
            connection,
            f"SELECT {above} FROM {HISTORY} AS log, (SELECT {bounds} FROM {HISTORY}) AS bound",
            {"share": percentile / 100},
        )
    return dict(zip(_FEATURES, counts, strict=True))
