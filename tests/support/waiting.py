"""Waiting for servers and other processes: the one place where tests look at a clock.

However slow the machine, a test that waits passes once what it waits for happens. What is bounded
in time by design is tested by the time limits that it hands on and by the number of its attempts.
"""

import time
from collections.abc import Callable
from typing import TypeVar

GIVE_UP_SECONDS = 300
"""No promise of anything: what has not happened by then never will."""

T = TypeVar("T")


def eventually(attempt: Callable[[], T], *failing: type[Exception]) -> T:
    """What the attempt returns as soon as it no longer fails in one of these ways."""
    give_up = time.monotonic() + GIVE_UP_SECONDS
    while True:
        try:
            return attempt()
        except failing:
            if time.monotonic() > give_up:
                raise
            time.sleep(0.02)


def wait_until(happened: Callable[[], object]) -> None:
    """Wait for what another process, thread or server does."""

    def attempt() -> None:
        if not happened():
            raise TimeoutError(f"it did not happen within {GIVE_UP_SECONDS} s")

    eventually(attempt, TimeoutError)


def seconds_until(done: Callable[[], object]) -> float:
    """How long it took; for a test to draw an instant of, never to hold it to a bound."""
    began = time.monotonic()
    done()
    return time.monotonic() - began
