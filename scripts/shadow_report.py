"""A shadow compare as a person reads it: per feature, by age, by cause, and the worst rows."""

from collections.abc import Iterator

import pyarrow as pa
from rich.table import Table

from contract_checks.measures.comparison import Comparison
from contract_checks.measures.mismatch_causes import Cause
from contract_checks.measures.proportions import upper_bound
from feature_access.training.hashing import hashed
from scripts.sampling import AGES
from scripts.shadow import Shadow

_SHOWN_DIGITS = 12


def tables(shadow: Shadow, hash_key: bytes | None) -> Iterator[Table]:
    """What there is to show; whose rows are worst only with a key that hashes them (§9)."""
    yield _features(shadow.compared)
    yield _ages(shadow.compared)
    if shadow.compared.differing:
        yield _causes(shadow)
        if hash_key:
            yield _worst(shadow, hash_key)


def _features(compared: Comparison) -> Table:
    table = Table("feature", title="Online against offline", title_justify="left")
    headings = ("reads", "differ", "at most", "both null", "mean", "largest", "relative")
    for column in (*headings, "SMAPE", "bias"):
        table.add_column(column, justify="right")
    for name, feature in sorted(compared.features.items()):
        measured = (
            feature.mean_difference,
            feature.largest_difference,
            feature.relative_difference,
            feature.smape,
            feature.bias,
        )
        table.add_row(
            name,
            f"{feature.compared:,}",
            f"{feature.mismatched:,}",
            f"{upper_bound(feature.mismatched, feature.compared):.2%}",
            f"{feature.both_null:,}",
            *("-" if value is None else f"{value:.4g}" for value in measured),
        )
    return table


def _ages(compared: Comparison) -> Table:
    """How many differ of those compared, by how old the offline row is."""
    table = Table("feature", title="Differing, by the value's age", title_justify="left")
    for age in AGES:
        table.add_column(age, justify="right")
    for name, feature in sorted(compared.features.items()):
        counts = [feature.groups.get(age, (0, 0)) for age in AGES]
        # A row that is online alone has no offline row either.
        alone = feature.groups.get("", (0, 0))
        counts[-1] = (counts[-1][0] + alone[0], counts[-1][1] + alone[1])
        cells = (f"{differ:,} of {of:,}" if of else "-" for of, differ in counts)
        table.add_row(name, *cells)
    return table


def _causes(shadow: Shadow) -> Table:
    table = Table("cause", title="Why they differ", title_justify="left")
    names = sorted(shadow.compared.features)
    for name in names:
        table.add_column(name, justify="right")
    counts = [shadow.counted(name) for name in names]
    for cause in Cause:
        if any(cause in of_feature for of_feature in counts):
            table.add_row(cause.value, *(f"{of_feature.get(cause, 0):,}" for of_feature in counts))
    return table


def _worst(shadow: Shadow, hash_key: bytes) -> Table:
    """By the beginnings of the hashes that training sets hold."""
    table = Table("feature", title="Worst rows", title_justify="left")
    table.add_column("who", no_wrap=True)
    for column in ("offline", "online", "cause"):
        table.add_column(column, justify="left" if column == "cause" else "right")
    for name, feature in sorted(shadow.compared.features.items()):
        if not feature.worst:
            continue
        identifiers = pa.chunked_array([pa.array([pair.keys[0] for pair in feature.worst])])
        digests = hashed(identifiers, hash_key).to_pylist()
        for pair, digest in zip(feature.worst, digests, strict=True):
            who = "-" if digest is None else digest[:_SHOWN_DIGITS]
            cause = shadow.cause_of(name, pair.keys)
            table.add_row(name, who, str(pair.offline), str(pair.online), cause.value)
    return table
