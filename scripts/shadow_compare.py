"""Shadow compare: the same reads, online and offline, value by value."""

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import typer
from rich.table import Table

from contract_checks.console import console
from contract_checks.measures.comparison import Comparison
from contract_checks.measures.mismatch_causes import Cause
from contract_checks.measures.proportions import upper_bound
from feature_access.offline_stores.offline_table import BeforeRetentionError, NotYetKnownError
from feature_access.training.hashing import HASH_KEY_VARIABLE, hash_key_from, hashed
from jobs.own_tables import contract_of_own_tables
from jobs.rehearsal.sampling import AGES
from jobs.rehearsal.shadow import Shadow
from jobs.rehearsal.shadow_compare import outcome, shadow_compare
from jobs.repository import CONTRACT, feature_store
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option

_SHOWN_DIGITS = 12


def main(
    as_of: Annotated[datetime | None, time_option("Offline as of this; default now.")] = None,
    reads: Annotated[int, typer.Option(help="Customers to read in both stores.", min=1)] = 1_000,
    requests: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Logged requests in place of reads: key, read_at and the values served.",
        ),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Read customers online and offline, a few unknown ones among them, and compare every feature.

    With --requests what was served is what the log says, and offline is as of each request. Every
    mismatch gets a cause.

    Exit code 0: within the contract's acceptable delta; 1: beyond it; 2: refused, or too few reads.
    """
    from feature_access.errors import OnlineStoreUnavailableError

    with refusals_exit(OnlineStoreUnavailableError, BeforeRetentionError, NotYetKnownError):
        hash_key = hash_key_from(os.environ) if os.environ.get(HASH_KEY_VARIABLE) else None
        contract, moment = contract_of_own_tables(document), present(as_of)
        shadow = shadow_compare(feature_store(), contract, moment, reads, requests)
    for table in tables(shadow, hash_key):
        console().print(table)
    compared, judged = shadow.compared, outcome(shadow.compared, contract)
    typer.echo(
        f"{judged.name.lower()}: {compared.differing:,} of {compared.rows:,} reads differ, "
        f"{compared.only_offline:,} offline alone, {compared.only_online:,} online alone, "
        f"{compared.duplicates:,} of a key twice; "
        f"promised is ≤ {contract.parity.maximum_delta:.2%} a feature, shown with 95% confidence"
    )
    raise typer.Exit(judged.value)


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


if __name__ == "__main__":
    run_job(main)
