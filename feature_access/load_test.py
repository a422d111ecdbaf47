"""A load test of the online store (contract §11): single look-ups, as a model asks, on a schedule.

The load is open: requests are due at a fixed rate whether or not the ones before are answered, and
a request's latency counts from when it was due. A stall so counts against every request it delays,
where asking one after the other would count it once (coordinated omission; G. Tene, HdrHistogram).
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import cycle
from typing import Any

from hdrh.histogram import HdrHistogram

_LONGEST = 60_000_000  # microseconds; whatever takes longer is drawn as a minute
_SIGNIFICANT_DIGITS = 3
_FIRST_BAR, _BAR_GROWTH = 100, 1.5  # microseconds: up to a minute in 34 bars


@dataclass(frozen=True)
class LoadTest:
    """What became of the requests."""

    requests: int
    failures: Mapping[str, int]
    """What went wrong, an error's name or features without a value, to how many requests."""
    latencies: Sequence[int]
    """In nanoseconds, of all requests, the shortest first."""

    @property
    def errors(self) -> int:
        """Requests that the model got no answer to."""
        return sum(self.failures.values())

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests

    def latency(self, percentile: float) -> float:
        """Milliseconds that so many per cent of the requests stayed within.

        By nearest rank: of n times in order the ⌈percentile / 100 · n⌉th, which one request took.
        """
        rank = math.ceil(Fraction(str(percentile)) * self.requests / 100)
        return self.latencies[rank - 1] / 1e6

    def histogram(self) -> list[tuple[float, int]]:
        """Upper edges in milliseconds and the requests up to each, from the first that has any.

        To be looked at, with edges to three digits; what is judged are the times themselves.
        """
        drawn = HdrHistogram(1, _LONGEST, _SIGNIFICANT_DIGITS)
        for took in self.latencies:
            drawn.record_value(min(max(math.ceil(took / 1_000), 1), _LONGEST))
        bars = [
            (bar.value_iterated_to / 1_000, bar.count_added_in_this_iter_step)
            for bar in drawn.get_log_iterator(_FIRST_BAR, _BAR_GROWTH)
        ]
        first = next(i for i, (_, count) in enumerate(bars) if count)
        return [(round(upper, 3), count) for upper, count in bars[first:]]


def load_test(
    store: Any,
    service_name: str,
    entity_rows: Sequence[Mapping[str, object]],
    *,
    requests: int,
    rate: float,
    clock: Callable[[], float] = time.perf_counter,
    sleep: Callable[[float], None] = time.sleep,
) -> LoadTest:
    """Ask a Feast store for `requests` entities in turn, `rate` a second.

    Args:
        clock: seconds from any start; a look-up's time is taken to the nanosecond.
        sleep: waits so many seconds.
    """
    service = store.get_feature_service(service_name)
    features = [f.name for view in service.feature_view_projections for f in view.features]

    def ask(row: Mapping[str, object]) -> str:
        """What went wrong; nothing did if that is empty."""
        try:
            answer = store.get_online_features(service, [dict(row)]).to_dict()
        except Exception as error:  # whatever it is, the model got no answer
            return type(error).__name__
        lacking = [name for name in features if answer.get(name, [None])[0] is None]
        return f"no value of {', '.join(lacking)}" if lacking else ""

    latencies = []
    failures = Counter[str]()
    ask(entity_rows[0])  # a server is warm before it is given traffic
    started = clock()
    for i, row in zip(range(requests), cycle(entity_rows), strict=False):
        due = started + i / rate
        if (wait := due - clock()) > 0:
            sleep(wait)
        if failure := ask(row):
            failures[failure] += 1
        latencies.append(round((clock() - due) * 1e9))
    return LoadTest(requests, failures, sorted(latencies))
