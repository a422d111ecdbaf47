"""The table of docs/faults.md: what was tried, and what came of it, noted while the suite runs.

FAULTS_FOUND=found.jsonl pytest tests/test_faults*.py
python tests/fault_table.py found.jsonl
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
_HEAD = "| job | fault | tried | ended with | the next run |\n| --- | --- | --- | --- | --- |\n"
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


def table(faults: Iterable[tuple[str, str, str]]) -> str:
    """A row per job and kind of fault."""
    rows: dict[Tried, Counter[str]] = defaultdict(Counter)
    for job, kind, outcome in faults:
        rows[job, kind][outcome] += 1
    lines = [
        f"| `{job}` | {kind} | {ended.total()} | {_counted(ended)} | equal |\n"
        for (job, kind), ended in rows.items()
    ]
    total = sum(ended.total() for ended in rows.values())
    return f"{_BEGIN}{total} faults, {len(rows)} kinds.\n\n{_HEAD}{''.join(lines)}{_END}"


def _counted(ended: Mapping[str, int]) -> str:
    return ", ".join(f"{code}: {number}" for code, number in sorted(ended.items()))


def rewrite(document: Path, found: Path) -> None:
    faults = [json.loads(line) for line in found.read_text(encoding="utf-8").splitlines()]
    before, rest = document.read_text(encoding="utf-8").split(_BEGIN)
    document.write_text(before + table(faults) + rest.split(_END)[1], encoding="utf-8")


def numbers_in(document: Path) -> Counter[Tried]:
    """How often the table says that each was tried."""
    text = document.read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0]
    return Counter({(job, kind): int(number) for job, kind, number in _ROW.findall(text)})


if __name__ == "__main__":
    rewrite(Path("docs", "faults.md"), Path(sys.argv[1]))
