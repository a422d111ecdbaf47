"""Load customer events from a file into the PostgreSQL warehouse of the chosen profile."""

from pathlib import Path
from typing import TYPE_CHECKING

from feature_pipeline.compute_engines.postgres.load import Loaded, load_events
from jobs.privacy.erased import erased_customers_of_all_hosts
from jobs.repository import warehouse_of, writing_alone
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore


def load_into_warehouse(store: "FeatureStore", events: Path) -> Loaded:
    """Append what the file or folder holds and the warehouse does not.

    Raises:
        RefusedError: the profile keeps its warehouse in files; see also `load_events`.
    """
    address = warehouse_of(store)
    if address is None:
        raise RefusedError(
            "the chosen profile keeps its warehouse in files, where events need no loading: "
            "set FEAST_FS_YAML_FILE_PATH to profiles/production.yaml"
        )
    with writing_alone():  # or a customer who is being erased could come in again
        return load_events(address, events, erased_customers_of_all_hosts())
