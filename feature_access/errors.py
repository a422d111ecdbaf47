"""Why the online store has no answer. Each fault is an error: never zeros in its place."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Feast takes seconds, which whoever only names an error should not
    from feast import FeatureView


class OnlineStoreUnavailableError(RuntimeError):
    """The online store cannot answer now; the message says what is wrong and what to do."""


class OnlineStoreDownError(OnlineStoreUnavailableError):
    """Nobody answers there, or what does cannot be read."""


class OnlineStoreHungError(OnlineStoreUnavailableError):
    """It took the question and did not answer in time."""


class OnlineStoreEmptyError(OnlineStoreUnavailableError):
    """It holds nothing of a view: never materialized, flushed or expired."""


class OnlineStoreStaleError(OnlineStoreUnavailableError):
    """What it holds of a view is older than the caller may use."""


class OnlineStoreEvictsError(OnlineStoreUnavailableError):
    """It drops rows to make room, or has: what it does not hold may be anybody's."""


def empty(view: "FeatureView") -> OnlineStoreEmptyError:
    """The error for a view that is to be materialized and has no heartbeat."""
    return OnlineStoreEmptyError(
        f"the online store holds nothing of {view.name}: it was never materialized, or was "
        f"flushed; {remedy(view)} before serving it"
    )


def lacking(view: "FeatureView", fields: Sequence[str]) -> OnlineStoreEmptyError:
    """The error for fields that the heartbeat does not testify to."""
    return OnlineStoreEmptyError(
        f"the online store holds nothing of {', '.join(fields)} of {view.name}: added since it "
        f"was materialized, or given another type or default; {remedy(view)} before serving it"
    )


def remedy(view: "FeatureView") -> str:
    """What fills the view: the refresh of a feature under contract, or its owner's own job."""
    of, version = view.tags.get("feature"), view.tags.get("version")
    if version and view.name == f"{of}_{version}":
        return "run `feast apply` and scripts/refresh.py"
    owner = f", or ask {view.owner} to," if view.owner else ""
    return f"run `feast apply` and `feast materialize`{owner}"
