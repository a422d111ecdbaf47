"""Why the online store has no answer. Each fault is an error: never zeros in its place."""


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


def empty(view: str) -> OnlineStoreEmptyError:
    """The error for a view without a heartbeat."""
    return OnlineStoreEmptyError(
        f"the online store holds nothing of {view}: it was never materialized, or was "
        "flushed; run `feast apply` and scripts/refresh.py before serving it"
    )
