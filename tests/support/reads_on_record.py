"""Reads on record, for an access review."""

from datetime import UTC, datetime

from contract_checks.operations.log import Record

VIEW = "customer_profile_v1"
MAY = datetime(2026, 5, 31, 12, tzinfo=UTC)


def read(
    consumer: str, rows: int = 10, path: str = "set.parquet", at: datetime = MAY, view: str = VIEW
) -> Record:
    return Record(
        "training_set", view, at, True, 1.0, {"consumer": consumer, "rows": rows, "path": path}
    )


def online(consumer: str | None, requests: int, rows: int, refused: int) -> Record:
    figures = {"from": MAY.isoformat(), "requests": requests, "rows": rows, "refused": refused}
    named = {} if consumer is None else {"consumer": consumer}
    return Record("online_reads", VIEW, MAY, True, None, figures | named)
