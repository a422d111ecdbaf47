"""Run what is upstream of the feature: raw purchases to `data_warehouse.customer_events`."""

from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from contract_checks.language.contract import Contract
from jobs.privacy.erased import erased_customers_of_all_hosts
from jobs.refreshing.customer_activity import append_events, write_events
from jobs.reporting.lineage import upstream_flow
from jobs.reporting.recording import recorded
from jobs.repository import EVENTS, chosen_warehouse
from storage.errors import RefusedError


def ingest(contract: Contract, as_of: datetime, events: Path = EVENTS) -> int:
    """Deliver the events, and leave a record of every upstream job (contract §4).

    This is the ingestion job that the contract names, and what it runs is the dbt model.

    Raises:
        RefusedError: the contract counts days of another zone than the dbt project; see also
            `chosen_warehouse`, `append_events` and `write_events`.
    """
    _refuse_other_days(contract)
    warehouse = chosen_warehouse()
    with ExitStack() as records:
        ran = [
            records.enter_context(recorded("upstream", job, as_of, upstream_flow(contract)))
            for job in contract.source.upstream
        ]
        if warehouse:
            rows = append_events(warehouse, erased_customers_of_all_hosts())
        else:
            rows = write_events(events)
        for figures in ran:
            figures["rows"] = rows
    return rows


def _refuse_other_days(contract: Contract) -> None:
    """The dbt project's states are of UTC days: two of them would share an order elsewhere."""
    if contract.time.timezone != "UTC":
        raise RefusedError(
            f"{contract.path.name} counts days of {contract.time.timezone} (§3), and the dbt "
            "project customer_activity makes states of UTC days: deliver events of that zone's "
            "days by an upstream of your own (scripts/load_events.py); nothing was written"
        )
