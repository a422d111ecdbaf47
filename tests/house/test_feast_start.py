"""Feast is started without typeguard's instrumentation of its classes, wherever it is ours to."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import feast_start
import pytest
import typeguard

ROOT = Path(__file__).parents[2]
ASK = """
from feast import Entity, FeatureView, Field
from feast.infra.offline_stores.file_source import FileSource

asked = [thing.__init__.__code__.co_names for thing in (Entity, FeatureView, Field, FileSource)]
print([any("typeguard" in name for name in names) for names in asked])
"""


def instrumented(first: str) -> list[bool]:
    """Which classes of Feast are, in a process that runs one statement before it imports Feast."""
    done = subprocess.run(
        [sys.executable, "-c", first + ASK], cwd=ROOT, capture_output=True, text=True, check=True
    )
    asked: list[bool] = eval(done.stdout)
    assert len(asked) == 4
    return asked


@pytest.mark.parametrize(
    "asking",
    [
        "feature_access",
        pytest.param("feature_pipeline.online.materialize", marks=pytest.mark.slow),
        pytest.param("contract_checks.evidence.registry", marks=pytest.mark.slow),
    ],
)
def test_a_room_that_asks_feast_starts_it_as_it_was_written(asking: str) -> None:
    assert not any(instrumented(f"import {asking}"))


@pytest.mark.slow
def test_else_feast_is_instrumented() -> None:
    """When this fails, Feast has no need of `feast_start` any more."""
    assert all(instrumented(""))


def imported(source: str) -> Iterator[str]:
    """Modules that a source imports at run time, in the order of its lines."""
    tree = ast.parse(source)
    typed = [n for n in ast.walk(tree) if isinstance(n, ast.If) and "TYPE" in ast.unparse(n.test)]
    skipped = {id(node) for block in typed for node in ast.walk(block)}
    for node in sorted(
        (n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom)),
        key=lambda node: node.lineno,
    ):
        if id(node) not in skipped:
            yield node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name


def test_whoever_asks_feast_sees_to_its_start_first() -> None:
    """The package `feature_access` does; every other module, by itself or by importing that."""
    first = {}
    for room in ("feature_pipeline", "contract_checks", "jobs", "scripts", "storage"):
        for path in (ROOT / room).rglob("*.py"):
            roots = [m.partition(".")[0] for m in imported(path.read_text(encoding="utf-8"))]
            if "feast" in roots:
                first[path.name] = roots[: roots.index("feast")]
    assert len(first) > 5
    late = [n for n, roots in first.items() if not {"feast_start", "feature_access"} & set(roots)]
    assert late == []


def test_what_is_not_feasts_is_instrumented_as_ever() -> None:
    @typeguard.typechecked
    class Ours:
        def __init__(self, number: int) -> None:
            self.number = number

    @typeguard.typechecked(debug_instrumentation=False)
    def ours(number: int) -> int:
        return number

    assert typeguard.typechecked is feast_start.typechecked
    for checked in (Ours, ours):
        with pytest.raises(typeguard.TypeCheckError):
            checked("one")
