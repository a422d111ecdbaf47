"""The table of docs/faults.md: what was tried, and what came of it, noted while the suite runs.

FAULTS_FOUND=found.jsonl pytest tests/test_faults*.py
python tests/support/fault_table.py found.jsonl
"""

import json
import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

PROPERTY = "fault"
_HEAD = "| job | fault | tried | ended with |\n| --- | --- | --- | --- |\n"
_BEGIN, _END = "<!-- faults -->\n", "<!-- end of faults -->\n"
_ROW = re.compile(r"\| `([^|`]+)` \| ([^|]+) \| (\d+) \|")

Tried = tuple[str, str]
"""A job, and a kind of fault."""


def note(job: str, kind: str, outcome: str) -> None:
    """Add one fault that a job outlived to the file that the environment names."""
    if found := os.environ.get("FAULTS_FOUND"):
        with Path(found).open("a", encoding="utf-8") as file:
            file.write(json.dumps([job, kind, outcome]) + "\n")


def tried(reports: Iterable[Any]) -> int:
    """How many faults the tests of a run tried that passed."""
    return sum(PROPERTY in dict(r.user_properties) for r in reports if r.when == "teardown")


def table(suite: Mapping[Tried, int], faults: Iterable[tuple[str, str, str]]) -> str:
    """A row per job and kind of fault of the suite's list, and what was noted of it."""
    noted: dict[Tried, Counter[str]] = defaultdict(Counter)
    for job, kind, outcome in faults:
        noted[job, kind][outcome] += 1
    lines = [
        f"| `{job}` | {kind} | {number} | {_ended(noted[job, kind], number)} |\n"
        for (job, kind), number in suite.items()
    ]
    jobs, total = len({job for job, _ in suite}), sum(suite.values())
    return f"{_BEGIN}{total} faults on {jobs} jobs.\n\n{_HEAD}{''.join(lines)}{_END}"


def _ended(noted: Counter[str], number: int) -> str:
    """How often with which exit code; where not all of them were noted, of how many that is."""
    told = ", ".join(f"{code}: {many}" for code, many in sorted(noted.items())) or "-"
    return told if noted.total() == number else f"{told} ({noted.total()} of {number} noted)"


def rewrite(document: Path, suite: Mapping[Tried, int], found: Path) -> None:
    faults = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    before, rest = document.read_text(encoding="utf-8").split(_BEGIN)
    text = before + table(suite, faults) + rest.split(_END)[1]
    document.write_text(text, encoding="utf-8")


def numbers_in(document: Path) -> Counter[Tried]:
    """How often the table says that each was tried."""
    text = document.read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0]
    return Counter({(job, kind): int(number) for job, kind, number in _ROW.findall(text)})


if __name__ == "__main__":
    from fault_cases import EVERY, TABLE

    rewrite(TABLE, EVERY, Path(sys.argv[1]))
