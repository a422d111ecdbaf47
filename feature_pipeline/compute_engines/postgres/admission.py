"""Which events of the warehouse count, and from when on the change log is whole (contract §9)."""

from datetime import datetime

from feature_pipeline.change_log.instants import arrives_after
from feature_pipeline.change_log.local_days import IN_UTC, unknown_zone
from feature_pipeline.compute_engines.postgres.keys import lend
from feature_pipeline.compute_engines.postgres.sql import ADMITTED
from feature_pipeline.compute_engines.postgres.warehouse import EVENTS, KEPT_FROM
from feature_pipeline.erasure.erased_customers import ErasedCustomers
from storage.one_row import one_row
from storage.postgres_session import Session


def admit(connection: Session, erased: ErasedCustomers) -> None:
    """Narrow the events of this session to customers who were not erased.

    What reads `admitted_events` afterwards sees no others.
    """
    if not erased:
        connection.execute(f"CREATE TEMP VIEW {ADMITTED} AS TABLE {EVENTS}")
        return
    known = connection.execute(f"SELECT DISTINCT customer_id FROM {EVENTS}").fetchall()
    gone = [customer for (customer,) in known if customer in erased]
    lend(connection, "erased_here", gone)
    connection.execute(
        f"""CREATE TEMP VIEW {ADMITTED} AS SELECT * FROM {EVENTS} AS e
        WHERE NOT EXISTS (SELECT FROM erased_here AS g WHERE g.customer_id = e.customer_id::text)"""
    )


def refuse_unknown_zone(connection: Session, zone: str) -> None:
    """Make sure that the server knows the zone by its name.

    An abbreviation, such as CET, it takes for a fixed offset, whatever zone has that name.

    Raises:
        RefusedError: it does not.
    """
    if zone == IN_UTC:
        return
    (known,) = one_row(
        connection,
        """SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = %(zone)s)
            AND NOT EXISTS (SELECT FROM pg_timezone_abbrevs WHERE abbrev = %(zone)s)""",
        {"zone": zone},
    )
    if not known:
        raise unknown_zone(zone, "the warehouse")


def left_out(
    connection: Session, erased: ErasedCustomers, since: datetime | None, as_of: datetime
) -> int:
    """How many events `admit` left out of those that arrived in (since, as_of]."""
    if not erased:
        return 0
    (count,) = one_row(
        connection,
        f"""SELECT count(*) FROM {EVENTS} AS e JOIN erased_here AS g
            ON g.customer_id = e.customer_id::text
        WHERE ({arrives_after("%(as_of)s")}) IS NOT TRUE
          AND (created_timestamp > %(since)s OR %(since)s IS NULL)""",
        {"since": since, "as_of": as_of},
    )
    return int(count)


def retained_since(connection: Session) -> datetime | None:
    """Where the change log begins since its last retention; None where it holds all there was."""
    (begins,) = one_row(connection, f"SELECT max(begins) FROM {KEPT_FROM}")
    return begins  # type: ignore[no-any-return]
