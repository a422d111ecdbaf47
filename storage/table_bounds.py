"""Where a table in files begins, and up to when it is known, as stands beside its parts."""

import json
from datetime import UTC, datetime
from pathlib import Path

# Whoever reads a folder of parquet files passes over names that begin so.
WATERMARK = "_watermark.json"
"""Its `as_of` is the instant up to which the table is known."""
_BEGINNING = "_kept_from"


def retained_since(table: Path) -> datetime | None:
    """Where the table begins since its last retention; None where it holds all there was."""
    beginning = table / _BEGINNING
    return datetime.fromisoformat(beginning.read_text()) if beginning.is_file() else None


def mark_retained_since(version: Path, instant: datetime | None) -> None:
    """Write where a version of the table begins, which is being made; None where it has it all."""
    if instant is not None:
        (version / _BEGINNING).unlink(missing_ok=True)  # perhaps a link to the version before
        (version / _BEGINNING).write_text(instant.astimezone(UTC).isoformat())


def known_up_to(table: Path) -> datetime | None:
    """Up to when the table is known; None for one that no refresh of ours has left."""
    watermark = table / WATERMARK
    if not watermark.is_file():
        return None
    return datetime.fromisoformat(json.loads(watermark.read_text(encoding="utf-8"))["as_of"])
