"""Aggregate events into the change log of features: the computation alone."""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from contract_checks.language.contract import Contract
from feature_pipeline.aggregation.literals import UnreadableError, duration
from feature_pipeline.aggregation.reading import load
from feature_pipeline.change_log.aggregate import aggregate
from feature_pipeline.declared.log import compute_log
from jobs.repository import ROOT, OnStep
from storage.errors import RefusedError
from storage.profile import chosen_profile, offline_store_of


def log_of_contract(
    contract: Contract,
    files: tuple[Path, Path, Path],
    as_of: datetime,
    on_step: OnStep,
) -> str:
    """Write the change log of a contract's own columns, as the chosen profile makes it.

    `files` are the events, the log and the quarantine. Returns what there is to tell.

    Raises:
        RefusedError: see `feature_pipeline.change_log.aggregate`.
    """
    terms = contract.time
    done = aggregate(
        *files,
        as_of=as_of,
        lookback_window=terms.lookback,
        allowed_lateness=terms.allowed_lateness,
        zone=terms.timezone,
        on_step=on_step,
        in_sql=_by_a_warehouse(),
    )
    written = f"{done.history_rows:,} rows of {done.customers:,} customers written to {files[1]}"
    return f"{done.events}\n{written}"


@dataclass(frozen=True)
class Declared:
    """A declaration to compute, and what is said beside it."""

    file: Path
    lateness: str | None
    zone: str | None

    def log(self, files: tuple[Path, Path, Path], as_of: datetime, on_step: OnStep) -> str:
        """Write it; what there is to tell."""
        declaration = load(self.file)
        done = compute_log(
            *files,
            declaration,
            as_of=as_of,
            allowed_lateness=self._allowed_lateness(),
            zone=self.zone or "UTC",
            on_step=on_step,
        )
        keys = ", ".join(key.name for key in declaration.keys)
        written = f"{done.log_rows:,} rows of {done.keys:,} {keys} written to {files[1]}"
        return f"{done}\n{written}"

    def _allowed_lateness(self) -> timedelta:
        if self.lateness is None:
            raise RefusedError(
                "--allowed-lateness is missing: a declaration does not say how late an event may "
                "arrive, name it, such as --allowed-lateness 48h"
            )
        try:
            return duration(self.lateness, at_once=True)
        except UnreadableError as error:
            raise RefusedError(f"--allowed-lateness: {error}; nothing was written") from None


def _by_a_warehouse() -> bool:
    chosen, embedded = chosen_profile(ROOT, os.environ), chosen_profile(ROOT, {})
    return offline_store_of(chosen) != offline_store_of(embedded)
