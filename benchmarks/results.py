"""Run benchmarks and put what each prints into its section of RESULTS.md, leaving the others."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "RESULTS.md"
SECTIONS = {
    "aggregate_10m": "Aggregation",
    "refresh": "Refresh",
    "historical_features": "Point-in-time reads",
    "postgres_training_set": "Training sets from PostgreSQL",
    "online_reads": "Online reads",
    "feature_server": "Feature server",
    "materialize_redis": "Materialization to Redis",
    "scaling": "Every step, for scaling",
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Which; all if none is named.")] = None,
    printed: Annotated[Path | None, typer.Option(help="What one printed, run before.")] = None,
) -> None:
    """Run them one after the other, and write a section each."""
    for name in names or SECTIONS:
        if printed:
            write(name, printed.read_text(encoding="utf-8"))
        else:
            write(name, _run(name))


def write(name: str, printed: str) -> None:
    """Put it into the section of that benchmark, or at the end; what is said below it stays."""
    title = f"## {SECTIONS[name]}\n"
    section = f"{title}\n`benchmarks/{name}.py`\n\n```text\n{printed.strip()}\n```\n"
    text = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Results\n"
    before, _, after = text.partition(title)
    own, others, rest = after.partition("\n## ")
    said = own.partition("\n```\n")[2]
    RESULTS.write_text(f"{before.rstrip()}\n\n{section}{said}{others}{rest}", encoding="utf-8")


def _run(name: str) -> str:
    command = [sys.executable, str(HERE / f"{name}.py")]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    typer.run(main)
