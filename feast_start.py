"""Feast starts in a third of the time: its own classes are not instrumented by typeguard.

Feast decorates its classes with typeguard's `@typechecked`, which parses and compiles a whole
module again for each of their methods: two thirds of what `import feast` costs
(benchmarks/RESULTS.md).
typeguard makes the decorator the identity under `python -O`, as an aid to development that
production goes without; but `-O` would take every assert with it, and the answers of typeguard's
other users. So it is the identity for classes of Feast alone, when this is imported before Feast.

What goes is a `TypeCheckError` where our code gives Feast an argument of another type than it
declares. The `feast` command imports Feast before us and keeps it: it is what reads definitions.
"""

from typing import Any

import typeguard

_instrument: Any = typeguard.typechecked


def typechecked(target: Any = None, **options: Any) -> Any:
    """typeguard's decorator, but a class of Feast stays as it was written."""
    if target is not None and target.__module__.partition(".")[0] == "feast":
        return target
    return _instrument(target, **options)


typeguard.typechecked = typechecked
