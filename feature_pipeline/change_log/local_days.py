"""Days of the contract's zone (§3): of whose state an event is, whatever its clocks are set to.

The staged events of each engine carry the day as `day`, reckoned by the engine's own zones (ICU in
DuckDB, the server's in PostgreSQL, Java's in Spark). Days are no runs of hours: where a clock goes
back across midnight, as St John's did, a day goes on after the next has begun.
"""

from datetime import UTC, datetime, time, timedelta

import duckdb

from storage.errors import RefusedError

IN_UTC = "UTC"
_LONGEST_DAY = timedelta(days=2)  # on Kwajalein a date came twice


def duckdb_day(naive_utc: str, zone: str) -> str:
    """The day of a naive time in UTC, as DuckDB spells it."""
    return f"CAST({_local(naive_utc, zone)} AS DATE)"


def duckdb_hour(naive_utc: str, zone: str) -> str:
    """A number of the local hour; one that comes twice, as a clock goes back, is two."""
    local = _local(naive_utc, zone)
    offset = f"(epoch_us({local}) - epoch_us({naive_utc})) // 1000000"  # seconds, less than a day
    return f"epoch_us(date_trunc('hour', {local})) + {offset}"


def _local(naive_utc: str, zone: str) -> str:
    if zone == IN_UTC:
        return naive_utc
    quoted = zone.replace("'", "''")
    return f"timezone('{quoted}', timezone('UTC', {naive_utc}))"


def whole_days_from(moment: datetime, zone: str) -> datetime:
    """A midnight UTC by which the day had not begun that the moment lies in."""
    midnight = datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
    return midnight if zone == IN_UTC else midnight - _LONGEST_DAY


def refuse_unknown_zone(
    connection: duckdb.DuckDBPyConnection, zone: str, named_in: str = "the contract, §3"
) -> None:
    """Make sure that this engine knows the zone by its name.

    Raises:
        RefusedError: it does not.
    """
    if zone == IN_UTC:
        return
    query = "SELECT count(*) FROM pg_timezone_names() WHERE name = $zone"
    (known,) = connection.execute(query, {"zone": zone}).fetchone() or (0,)
    if not known:
        raise unknown_zone(zone, "DuckDB", named_in)


def unknown_zone(zone: str, engine: str, named_in: str = "the contract, §3") -> RefusedError:
    """What is said of a zone in whose days an engine cannot count."""
    return RefusedError(
        f"{engine} does not know the time zone {zone!r} ({named_in}) by that name, so its days "
        "cannot be counted: name it there as Area/City, such as Europe/Berlin; nothing was written"
    )
