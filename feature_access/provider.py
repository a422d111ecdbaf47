"""What every way into Feast passes, our jobs or plain Feast: reads, materializing and applying.

A key is one before Feast coerces it, a materialization says how far it came, and `feast apply`
leaves the pointer where it is.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from feast import FeatureService, FeatureView, RepoConfig
from feast.feature_view import DUMMY_ENTITY_ID, DUMMY_ENTITY_VAL
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.offline_stores.offline_store import RetrievalJob
from feast.infra.passthrough_provider import PassthroughProvider
from feast.infra.registry.base_registry import BaseRegistry
from feast.infra.supported_async_methods import ProviderAsyncMethods
from feast.online_response import OnlineResponse
from feast.saved_dataset import SavedDataset
from tenacity import (
    Retrying,
    retry_if_exception_type,
    retry_if_not_exception_type,
    stop_after_attempt,
    wait_exponential,
)

from feature_access.apply_guard import guard_apply
from feature_access.entities.instants import instant_of
from feature_access.entities.requests import EntityRequest, entities_named
from feature_access.errors import (
    OnlineStoreEmptyError,
    OnlineStoreEvictsError,
    OnlineStoreUnavailableError,
)
from feature_access.online_stores.testimony import Testimony

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HeartbeatProvider(PassthroughProvider):  # type: ignore[misc]
    """Feast's own provider; a view that was materialized leaves a heartbeat, changed or not."""

    def __init__(self, config: RepoConfig) -> None:
        """As Feast; where it is `feast apply` that asks, it has not written anything yet.

        Raises:
            NotRegisteredError: see `guard_apply`.
        """
        guard_apply(config)
        super().__init__(config)

    @property
    def async_supported(self) -> ProviderAsyncMethods:
        """None: Feast's feature server is to read in threads.

        Where a store can, it reads on its event loop, and unpacks there what it read: while it does
        that for a large answer, every other read misses its time-out, though Redis answered.
        """
        return ProviderAsyncMethods()

    def get_online_features(
        self,
        config: RepoConfig,
        features: list[str] | FeatureService,
        entity_rows: EntityRequest,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **more: Any,
    ) -> OnlineResponse:
        """As Feast, of the entities that are named and of no other.

        Raises:
            UnusableKeysError: a value names no entity (see `entity_value`).
        """
        named = entities_named(entity_rows, features, registry, project, full_feature_names)
        return super().get_online_features(
            config, features, named, registry, project, full_feature_names, **more
        )

    async def get_online_features_async(
        self,
        config: RepoConfig,
        features: list[str] | FeatureService,
        entity_rows: EntityRequest,
        registry: BaseRegistry,
        project: str,
        full_feature_names: bool = False,
        **more: Any,
    ) -> OnlineResponse:
        """See `get_online_features`."""
        named = entities_named(entity_rows, features, registry, project, full_feature_names)
        return await super().get_online_features_async(
            config, features, named, registry, project, full_feature_names, **more
        )

    def materialize_single_feature_view(
        self,
        config: RepoConfig,
        feature_view: FeatureView,
        start_date: datetime,
        end_date: datetime,
        registry: BaseRegistry,
        project: str,
        tqdm_builder: Callable[[int], Any],
        disable_event_timestamp: bool = False,
    ) -> None:
        """Write the view's rows from `start_date` to `end_date`, then the heartbeat.

        Where the store does not reach up to `start_date` (it was flushed, or restored from an older
        copy), or lacks a field of the view as it is declared now, a heartbeat would testify to what
        is not there: all within the ttl is written again, rows of equal times included.

        Raises:
            OnlineStoreUnavailableError: the store does not answer, was flushed meanwhile, or drops
                rows to make room.
            UnusableValueError: an end is no time.
        """
        # pandas gives its own kind of time, which SQLite does not keep.
        start_date, end_date = instant_of(start_date), instant_of(end_date)
        _patiently(self.online_store.refuse_to_lose, config, feature_view)
        self.online_store.begin(config, feature_view, end_date)
        before = self._testimony(config, feature_view)
        if before.until is None or before.until < start_date or not before.whole:
            whole = end_date - feature_view.ttl if feature_view.ttl else _EPOCH
            start_date = min(start_date, whole)
        if disable_event_timestamp or not self._written_by_columns(
            config, feature_view, start_date, end_date
        ):
            super().materialize_single_feature_view(
                config,
                feature_view,
                start_date,
                end_date,
                registry,
                project,
                tqdm_builder,
                disable_event_timestamp,
            )
        _patiently(self.online_store.refuse_to_lose, config, feature_view)
        if before.begun is None or self._testimony(config, feature_view) != before:
            raise OnlineStoreEmptyError(
                f"the online store lost what it held of {feature_view.name} while it was written "
                "to: materialize again"
            )
        self.online_store.beat(config, feature_view, end_date)

    def retrieve_saved_dataset(self, config: RepoConfig, dataset: SavedDataset) -> RetrievalJob:
        """Feast's own way, of a dataset that has a name as a source, wherever it lies."""
        named = getattr(self.offline_store, "named_as_a_source", None)
        return super().retrieve_saved_dataset(config, named(dataset) if named else dataset)

    def _written_by_columns(
        self, config: RepoConfig, view: FeatureView, start_date: datetime, end_date: datetime
    ) -> bool:
        """Whether the online store took the offline table as it is, row by row being slower.

        Feast's engine does nothing else with a plain view; whatever asks it for more gets it.
        """
        write = getattr(self.online_store, "write_columns", None)
        if write is None:
            return False
        plain = (
            type(view) is FeatureView
            and type(self.batch_engine) is LocalComputeEngine
            and view.batch_source is not None
            and view.online
            and not (view.offline or view.enable_validation or view.source_views)
            and not view.batch_source.field_mapping
        )
        if not plain:
            return False
        offline = self.offline_store
        pull = offline.pull_all_from_table_or_query
        if config.materialization_config.pull_latest_features:
            pull = offline.pull_latest_from_table_or_query
        job = pull(
            config=config,
            data_source=view.batch_source,
            join_key_columns=[c.name for c in view.entity_columns if c.name != DUMMY_ENTITY_ID],
            feature_name_columns=[feature.name for feature in view.features],
            timestamp_field=view.batch_source.timestamp_field,
            created_timestamp_column=view.batch_source.created_timestamp_column,
            start_date=start_date,
            end_date=end_date,
        )
        written: bool = write(config, view, _with_constant_key(view, job.to_arrow()))
        return written

    def _testimony(self, config: RepoConfig, view: FeatureView) -> Testimony:
        """How far the view is materialized, and the mark; a job has more patience than a reader."""
        found: Testimony = _patiently(self.online_store.testimony, config, view)
        return found


def _patiently(ask: Callable[..., Any], *arguments: Any) -> Any:
    """Ask a store that is in a hurry with its readers more than once."""
    asking = Retrying(
        retry=retry_if_exception_type(OnlineStoreUnavailableError)
        & retry_if_not_exception_type(OnlineStoreEvictsError),
        wait=wait_exponential(multiplier=0.1),
        stop=stop_after_attempt(5),
        reraise=True,
    )
    return asking(ask, *arguments)


def _with_constant_key(view: FeatureView, table: pa.Table) -> pa.Table:
    """The table, with the key that Feast gives a view without entities, where it lacks it."""
    needed = any(column.name == DUMMY_ENTITY_ID for column in view.entity_columns)
    if not needed or DUMMY_ENTITY_ID in table.column_names:
        return table
    constant = pa.repeat(pa.scalar(DUMMY_ENTITY_VAL), table.num_rows)
    return table.append_column(DUMMY_ENTITY_ID, constant)
