"""What a refresh comes to: are its new rows good, is the source still speaking, who must know?"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from contract_checks import checks as _bound  # noqa: F401  (importing binds the checks)
from contract_checks.evidence.gather import gather_rows
from contract_checks.failure import one_line
from contract_checks.findings import Finding, Outcome, worst_of
from contract_checks.judge import judge
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.measures.proportions import upper_bound
from feature_pipeline.refreshed import RefreshResult
from jobs.reporting.alerting import News, alert
from jobs.reporting.freeze_baseline import registered
from jobs.reporting.refresh_metrics import write_metrics
from jobs.repository import NotBegunError

SUBJECT = "refresh"
_FAILED, _SILENT = "§4 refresh cadence", "§3 allowed lateness"
_PRODUCER = "§4 upstream dependencies"
_SURELY = 0.999
"""How sure it must be that a share is too large: an hour may hold few events."""


@dataclass(frozen=True)
class Verdict:
    """What was found, in lines for a person and news for the alert channel."""

    done: RefreshResult
    findings: tuple[Finding, ...]
    """Findings about the rows that were added; none where none was."""
    silent: str | None
    """How long nothing has arrived from the source; None while it speaks."""
    set_aside: str | None = None
    """That more of the new events was quarantined than may be; None where it was not."""

    @property
    def broken(self) -> list[Finding]:
        return [f for f in self.findings if f.outcome is Outcome.BROKEN]

    @property
    def exit_code(self) -> int:
        """0 good, 1 broken, 2 not to be judged."""
        found = worst_of([Outcome.KEPT, *(finding.outcome for finding in self.findings)])
        return Outcome.BROKEN.value if self.silent or self.set_aside else found.value

    @property
    def lines(self) -> list[str]:
        """For whoever reads the job's output; none where all is well."""
        told = [
            f"{f.outcome.name.lower()} {f.clause}: expected {f.expected}, got {f.got}"
            for f in self.findings
            if f.outcome is not Outcome.KEPT
        ]
        told += [f"source silent: {self.silent}"] if self.silent else []
        return told + ([f"events set aside: {self.set_aside}"] if self.set_aside else [])

    @property
    def news(self) -> Iterator[News]:
        """What begins an incident, and what ends one."""
        yield News(_FAILED, SUBJECT, False, "refreshing again", f"{self.done.new_rows:,} rows")
        spoke = f"an event arrived at {self.done.newest_arrival.isoformat()}"
        yield News(_SILENT, SUBJECT, bool(self.silent), "source silent", self.silent or spoke)
        ingested, quarantined = self.done.judged_now
        if ingested:
            figure = self.set_aside or f"{quarantined:,} of {ingested:,} events quarantined"
            yield News(_PRODUCER, SUBJECT, bool(self.set_aside), "events set aside", figure)
        for clause in sorted({f.clause for f in self.findings}):
            first = next((f for f in self.broken if f.clause == clause), None)
            figure = f"expected {first.expected}, got {first.got}" if first else "kept"
            yield News(clause, SUBJECT, first is not None, "rows just added", figure)


def judged(contract: Contract, done: RefreshResult, as_of: datetime) -> Verdict:
    """Judge the rows that were added by the clauses that are held in rows of the table alone.

    The source is silent once nothing has arrived for the allowed lateness (§3): what it still holds
    back will be too late.

    Raises:
        MissingEvidence: the view is not registered.
    """
    findings: tuple[Finding, ...] = ()
    if done.new_rows:
        view = registered(contract.view_name)
        rows = gather_rows(contract, view, as_of, done.since)
        findings = judge(contract, rows, held_in="offline").findings
    silence, longest = as_of - done.newest_arrival, contract.time.allowed_lateness
    silent = None
    if silence > longest:
        silent = (
            f"no event has arrived since {done.newest_arrival.isoformat()}, for {silence}, longer "
            f"than the allowed lateness of {spell(longest)}"
        )
    return Verdict(done, findings, silent, too_many_set_aside(contract, done))


def too_many_set_aside(contract: Contract, done: RefreshResult) -> str | None:
    """That surely more of what a refresh took in was quarantined than may be null (§6).

    What is quarantined counts nowhere: features are short of it, and none of them shows it.
    """
    ingested, quarantined = done.judged_now
    most = contract.quality.maximum_null_rate
    at_least = 1 - upper_bound(ingested - quarantined, ingested, _SURELY) if ingested else 0
    if at_least <= most:
        return None
    return (
        f"{quarantined:,} of the {ingested:,} events that arrived were quarantined, more than "
        f"{most:.0%} (§6 completeness); their reasons stand in customer_events_quarantine"
    )


@contextmanager
def told(contract: Contract, as_of: datetime) -> Iterator[list[Verdict]]:
    """Tell the alert channel and Prometheus what became of the refresh in the block.

    The block leaves its verdict in the list. Whatever it raises is told as a failed refresh, but
    for one that did not begin.
    """
    verdicts: list[Verdict] = []
    started = time.monotonic()
    try:
        yield verdicts
    except NotBegunError:
        raise
    except Exception as error:
        failed = News(_FAILED, SUBJECT, True, "the refresh failed", one_line(error))
        with suppress(Exception):  # what failed first is what to tell, and each tells of itself
            alert(contract, as_of, failed)
        with suppress(OSError):
            write_metrics(contract, as_of, None, broken=0, silent=False, seconds=None)
        raise
    (verdict,) = verdicts
    try:
        write_metrics(
            contract,
            as_of,
            verdict.done,
            broken=len({finding.clause for finding in verdict.broken}),
            silent=bool(verdict.silent),
            seconds=time.monotonic() - started,
        )
    finally:
        alert(contract, as_of, *verdict.news)
