"""After rows were taken out on purpose: say what is there now, so that a refresh goes on from it.

Without this the next refresh would find other tables than the last one left, and make all anew.
"""

from dataclasses import replace

from feature_pipeline.change_log.events_table import refuse_wrong_schema
from feature_pipeline.change_log.intake import customer_days, stage_events
from feature_pipeline.change_log.watermark import digest_of_terms, read_watermark
from feature_pipeline.refreshed import Tables, Terms, extent, later_than, newest_arrival
from storage.duckdb_session import embedded_engine
from storage.errors import RefusedError
from storage.parquet_table import (
    delete_other_versions,
    is_table,
    new_version,
    notes_of,
    parts_of,
    rows_of,
)


def reset_watermark(tables: Tables, terms: Terms) -> None:
    """Count events, quarantine and log again as of the log's watermark; safe to run again.

    Nothing is done where there is no watermark, where the log was made by other terms, or where the
    events that are left cannot be counted: then the next refresh makes all anew.
    """
    before = read_watermark(tables.history)
    if before is None or before.terms != digest_of_terms(
        terms.lookback_window, terms.allowed_lateness, terms.zone
    ):
        return
    try:
        rows = refuse_wrong_schema(tables.events)
        with embedded_engine(tables.history.parent) as connection:
            staged = stage_events(
                connection,
                tables.events,
                before.as_of,
                terms.allowed_lateness,
                terms.erased,
                terms.zone,
            )
            counts = staged.counts(customer_days(connection))
            arrived = newest_arrival(connection, "events_file", before.as_of)
            history_rows, newest = extent(connection, tables.history)
    except RefusedError:
        return
    quarantined = rows_of(parts_of(tables.quarantine)) if is_table(tables.quarantine) else 0
    if quarantined != counts.quarantined:
        return
    parts, others = parts_of(tables.history), notes_of(tables.history)
    now = replace(
        before,
        delivered=rows - later_than(before.as_of, tables.events),
        kept=counts.kept,
        superseded=counts.superseded,
        quarantined=counts.quarantined,
        history_rows=history_rows,
        newest=newest,
        newest_arrival=arrived or before.newest_arrival,
    )
    if now == before:
        return
    with new_version(tables.history, [*parts, *others]) as version:
        now.write(version)
    delete_other_versions(tables.history)
