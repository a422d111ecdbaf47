"""Run a script whose load test counts its own work, and not what else the machine is doing.

`python tests/support/unhurried.py scripts/demo.py`: a promise of 50 ms is no promise of a machine
on which other work has the processor. Requests still come as fast as they are to come, and take as
long as the process works on them.
"""

import runpy
import sys
import time
from pathlib import Path


class WorkClock:
    """Seconds of this process's own work and sleep."""

    def __init__(self) -> None:
        self.slept = 0.0

    def __call__(self) -> float:
        return time.process_time() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


def main() -> None:
    script = Path(sys.argv[1]).absolute()
    sys.argv = sys.argv[1:]
    sys.path[0] = str(script.parent)
    import feast_start  # noqa: F401  (before Feast, as every script has it)

    from feature_access import load_test

    clock = WorkClock()
    load_test.load_test.__kwdefaults__.update(clock=clock, sleep=clock.sleep)
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
