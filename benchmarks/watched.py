"""A process watched from outside: its seconds, its peak memory, its end if it takes too much."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile


@dataclass(frozen=True)
class Cost:
    """What one run took, or why it has no figures."""

    seconds: float
    cpu: float
    """Seconds of all its threads."""
    gigabytes: float
    missing: int = 0
    ended: str = ""


@dataclass(frozen=True)
class Limits:
    """When a process is ended."""

    seconds: float
    gigabytes: float


def in_a_child(
    command: Sequence[str | Path], folder: Path, environment: Mapping[str, str], limits: Limits
) -> Cost:
    """What a process says that its work took (`measured`), run in the folder."""
    with TemporaryFile("w+") as said, TemporaryFile("w+") as complained:
        process = subprocess.Popen(
            command, cwd=folder, env=os.environ | environment, stdout=said, stderr=complained
        )
        started = time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            ended = ""
            if time.monotonic() - started > limits.seconds:
                ended = f"> {limits.seconds:,.0f} s"
            elif resident(process.pid, "VmRSS") > limits.gigabytes:
                ended = f"> {limits.gigabytes:,.0f} GB"
            if ended:
                process.kill()
                process.wait()
                return Cost(0, 0, 0, ended=ended)
        for file in (said, complained):
            file.seek(0)
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, command))} failed: {complained.read()[-3000:]}")
        return Cost(*json.loads(said.read().splitlines()[-1]))


def measured(work: Callable[[], object]) -> tuple[str, object]:
    """What the work took (`Cost`), as text, and what it returned."""
    Path("/proc/self/clear_refs").write_text("5", encoding="utf-8")  # forget the peak so far
    before, started, busy = resident("self", "VmRSS"), time.perf_counter(), time.process_time()
    answer = work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - busy
    return json.dumps([seconds, cpu, resident("self", "VmHWM") - before]), answer


def resident(process: int | str, which: str) -> float:
    """Its resident memory (VmRSS), or the peak of it (VmHWM), in GB; 0 once it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    line = re.search(rf"^{which}:\s+(\d+) kB", status, re.MULTILINE)
    return int(line[1]) / 1e6 if line else 0
