"""Run a script as if it were another time: `at_a_time.py TIME scripts/step_back.py ...`."""

import runpy
import sys
from datetime import datetime
from pathlib import Path


def main() -> None:
    moment, script = datetime.fromisoformat(sys.argv[1]), Path(sys.argv[2]).absolute()
    sys.argv = sys.argv[2:]
    sys.path[0] = str(script.parent)
    from contract_checks import clock

    clock.now = lambda: moment
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
