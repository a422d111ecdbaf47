"""What every job's command line shares: where the repository is, refusals, exit codes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer
from rich.console import Console

ROOT = Path(__file__).resolve().parent.parent
WAREHOUSE = ROOT / "data" / "data_warehouse"
CONTRACT = ROOT / "contracts" / "customer_profile_v1.md"
EVENTS = WAREHOUSE / "customer_events.parquet"
HISTORY = WAREHOUSE / "customer_features_offline.parquet"
QUARANTINE = WAREHOUSE / "customer_events_quarantine.parquet"

COULD_NOT_JUDGE = 2


@contextmanager
def refusals_exit(*refusals: type[Exception]) -> Iterator[None]:
    """Turn a refusal into one message on stderr and exit code 2."""
    try:
        yield
    except refusals as refusal:
        console = Console(stderr=True, soft_wrap=True)
        console.print("refused:", style="bold red", end=" ")
        console.print(str(refusal), markup=False, highlight=False)
        raise typer.Exit(COULD_NOT_JUDGE) from None
