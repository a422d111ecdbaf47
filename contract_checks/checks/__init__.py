"""The checks, a module per kind of promise. Importing this package binds them all."""

from contract_checks.checks import (
    accountability,
    behaviour,
    data_quality,
    declarations,
    drift,
    freshness,
    joins,
    operations,
    parity,
    rehearsal,
    schema,
    versions,
)

__all__ = [
    "accountability",
    "behaviour",
    "data_quality",
    "declarations",
    "drift",
    "freshness",
    "joins",
    "operations",
    "parity",
    "rehearsal",
    "schema",
    "versions",
]
