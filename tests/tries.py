"""How often a property is tried: a third with every change, the whole under `make test-all`."""

import os

WHOLE = os.environ.get("HYPOTHESIS_PROFILE", "house") != "house"
"""Under `make test-all` and `make nightly`."""


def tries(whole: int) -> int:
    """A third of them, rounded up, unless the whole is asked for."""
    return whole if WHOLE else -(-whole // 3)
