"""Times on the command line. The clock is read here and nowhere below: time is an argument."""

from datetime import UTC, datetime

import typer


def instant(text: str) -> datetime:
    """An ISO 8601 time; without an offset it is UTC.

    Raises:
        typer.BadParameter: it is not a time.
    """
    try:
        time = datetime.fromisoformat(text)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(f"{text!r} is not a time such as 2026-01-31T12:00:00Z") from None


def now() -> datetime:
    """The present, for a command that was given no time."""
    return datetime.now(UTC)
