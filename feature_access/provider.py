"""What every way into Feast passes, our jobs or plain Feast: materializing and applying.

A materialization says how far it came, and `feast apply` leaves the pointer where it is.
"""

from datetime import UTC, datetime
from typing import Any

from feast import FeatureView, RepoConfig
from feast.infra.passthrough_provider import PassthroughProvider
from feast.infra.supported_async_methods import ProviderAsyncMethods
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from feature_access.declared_pointers import is_applying, refuse_to_move_pointers
from feature_access.unavailable import OnlineStoreEmptyError, OnlineStoreUnavailableError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HeartbeatProvider(PassthroughProvider):  # type: ignore[misc]
    """Feast's own provider; a view that was materialized leaves a heartbeat, changed or not."""

    def __init__(self, config: RepoConfig) -> None:
        """As Feast; where it is `feast apply` that asks, it has not written anything yet.

        Its other hooks come after the registry is written, do not see the services, or are left out
        with `--skip-source-validation`.

        Raises:
            PointerDeclaredElsewhereError: see `refuse_to_move_pointers`.
        """
        if is_applying():
            refuse_to_move_pointers(config)
        super().__init__(config)

    @property
    def async_supported(self) -> ProviderAsyncMethods:
        """None: Feast's feature server is to read in threads.

        Where a store can, it reads on its event loop, and unpacks there what it read: while it does
        that for a large answer, every other read misses its time-out, though Redis answered.
        """
        return ProviderAsyncMethods()

    def materialize_single_feature_view(
        self,
        config: RepoConfig,
        feature_view: FeatureView,
        start_date: datetime,
        end_date: datetime,
        *arguments: Any,
        **options: Any,
    ) -> None:
        """Write the view's rows from `start_date` to `end_date`, then the heartbeat.

        Where the store does not reach up to `start_date` (it was flushed, or restored from an older
        copy), a heartbeat would testify to rows that are not there: all within the ttl is written
        again.

        Raises:
            OnlineStoreUnavailableError: the store does not answer, or was flushed meanwhile.
        """
        held = self._held(config, feature_view)
        # Feast's SQLite store keeps whole seconds.
        if held is None or held < start_date.replace(microsecond=0):
            whole = end_date - feature_view.ttl if feature_view.ttl else _EPOCH
            start_date = min(start_date, whole)
        super().materialize_single_feature_view(
            config, feature_view, start_date, end_date, *arguments, **options
        )
        if self._held(config, feature_view) != held:
            raise OnlineStoreEmptyError(
                f"the online store lost what it held of {feature_view.name} while it was written "
                "to: materialize again"
            )
        self.online_store.beat(config, feature_view, end_date)

    def _held(self, config: RepoConfig, view: FeatureView) -> datetime | None:
        """How far the view is materialized; a job has more patience than a reader."""
        asking = Retrying(
            retry=retry_if_exception_type(OnlineStoreUnavailableError),
            wait=wait_exponential(multiplier=0.1),
            stop=stop_after_attempt(5),
            reraise=True,
        )
        held: datetime | None = asking(self.online_store.materialized_to, config, view)
        return held
