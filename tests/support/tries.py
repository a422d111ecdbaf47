"""How often a property is tried: a quarter with every change, the whole under `make test-all`."""

import os

WHOLE = os.environ.get("HYPOTHESIS_PROFILE", "house") != "house"
"""Under `make test-all` and `make nightly`."""


def tries(whole: int) -> int:
    """A quarter of them, rounded up, unless the whole is asked for."""
    return whole if WHOLE else -(-whole // 4)
