"""A refresh by each engine, as tests ask for one."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from feature_pipeline.compute_engines.duckdb.engine import DuckDBEngine
from feature_pipeline.compute_engines.postgres.engine import PostgreSQLEngine
from feature_pipeline.refresh import refresh
from feature_pipeline.refreshed import RefreshResult, Tables, Terms


def bring_up_to(
    as_of: datetime,
    tables: Tables,
    terms: Terms,
    on_step: Callable[[str], None] = lambda step: None,
) -> RefreshResult:
    """By DuckDB."""
    return refresh(DuckDBEngine(tables), as_of, terms, on_step)


def refresh_on_spark(
    session: Any,
    as_of: datetime,
    tables: Tables,
    terms: Terms,
    on_step: Callable[[str], None] = lambda step: None,
) -> RefreshResult:
    """By a session of Spark's."""
    from feature_pipeline.compute_engines.spark.engine import SparkEngine

    return refresh(SparkEngine(session, tables), as_of, terms, on_step)


def refresh_warehouse(
    address: str,
    *,
    as_of: datetime,
    on_step: Callable[[str], None] = lambda step: None,
    **terms: Any,
) -> RefreshResult:
    """By the warehouse at a libpq address."""
    return refresh(PostgreSQLEngine(address), as_of, Terms(**terms), on_step)
