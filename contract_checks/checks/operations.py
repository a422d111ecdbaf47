"""§4, §9: is the feature refreshed, fed, kept and read as the document promises?"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.measures.calendar import one_period_after

_HELD_AGAINST = timedelta(days=1)
"""How long a missed refresh is held against the cadence."""
_JITTER = 0.05
"""A scheduler's start may be late by this share of the cadence."""


@check("§4 refresh cadence", held_in="operations")
def refreshes_keep_the_cadence(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Over the last day no refresh on record is further from the next one than the cadence."""
    promised, view = contract.source.refresh_cadence, contract.view_name
    if promised.at or promised.weekday:
        raise MissingEvidence(
            "nothing measures at which time of the day or day of the week refreshes begin, which "
            "the clause promises: promise how often, or judge it by the schedule"
        )
    cadence = promised.every
    newest = evidence.operations.last("refresh", view)
    since = evidence.as_of - max(_HELD_AGAINST, 2 * cadence)
    done = [r.at for r in evidence.operations.of("refresh", view) if r.passed]
    before = [at for at in done if at <= since][-1:]
    times = [*before, *(at for at in done if at > since), evidence.as_of]
    gaps = [(later - earlier, earlier) for earlier, later in pairwise(times)]
    missed = [(gap, at) for gap, at in gaps if gap > cadence * (1 + _JITTER)]
    longest = max(gaps)[0] if gaps else None
    yield Verdict(
        bool(gaps) and not missed,
        f"a refresh at least every {spell(cadence)}",
        f"{len(done)} on record, longest gap {longest}"
        if longest is not None
        else f"none passed, the last at {newest.at.isoformat()}",
        len(missed),
        tuple(f"{gap} after {at.isoformat()}" for gap, at in missed[:3]),
    )


@check("§4 upstream dependencies", held_in="operations")
def upstream_jobs_ran(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every upstream job is on record, passed, and is no older than a feature may be."""
    oldest = contract.quality.freshness
    for job in contract.source.upstream:
        runs = evidence.operations.of("upstream", job)
        if not runs:
            yield Verdict(False, f"{job} on record", "never ran", 1)
            continue
        age = evidence.as_of - runs[-1].at
        yield Verdict(
            runs[-1].passed and age <= oldest,
            f"{job} passed within {spell(oldest)}",
            f"{'passed' if runs[-1].passed else 'failed'} {age} ago",
            int(not runs[-1].passed or age > oldest),
        )


@check("§9 masking", held_in="offline, operations")
def training_sets_are_masked(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """In every training set on record the masked columns hold hashes alone."""
    if contract.privacy.masking is None:
        yield Verdict(True, "nothing masked", "nothing asked for")
        return
    if contract.privacy.masking.method != "hashed":
        raise MissingEvidence(f"columns {contract.privacy.masking.method} cannot be measured yet")
    built = [r for r in evidence.operations.of("training_set", contract.view_name) if r.passed]
    if not built:
        raise MissingEvidence("no training set is on record: run scripts/build_training_set.py")
    if not evidence.training_sets:
        yield Verdict(True, "training sets masked", f"{len(built)} on record, none is there still")
    for training_set in evidence.training_sets:
        yield Verdict(
            training_set.as_built,
            f"{training_set.path} as it was built",
            "the same" if training_set.as_built else "another file than the one on record",
            int(not training_set.as_built),
        )
        for column in contract.privacy.masking.columns:
            plain = training_set.unmasked.get(column, 0)
            yield Verdict(
                plain == 0,
                f"{column} hashed in {training_set.path}",
                f"{plain:,} of {training_set.rows:,} rows hold no hash",
                plain,
            )


@check("§9 retention policy", held_in="events, offline, online, operations")
def nothing_is_kept_too_long(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """No store, log, quarantine or baseline holds anything older than the retention."""
    longest = contract.privacy.retention
    for store, oldest in sorted(evidence.oldest.items()):
        age = evidence.as_of - oldest
        yield Verdict(
            age <= longest,
            f"{store} holds nothing older than {spell(longest)}",
            f"oldest {oldest.isoformat()}, {age.days:,} days ago",
            int(age > longest),
        )


@check("§9 approved consumers", held_in="operations")
def only_approved_consumers_read(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Every read on record that was answered is by an approved consumer."""
    approved = {name.casefold() for name in contract.privacy.consumers}
    reads = [r for r in evidence.operations.of("training_set", contract.view_name) if r.passed]
    others = [r for r in reads if str(r.figures.get("consumer", "")).casefold() not in approved]
    yield Verdict(
        not others,
        f"read by {', '.join(contract.privacy.consumers)} alone",
        f"{len(reads)} reads on record, {len(others)} by others",
        len(others),
        tuple(sorted({str(r.figures.get("consumer", "nobody named")) for r in others})[:3]),
    )


@check("§9 audit requirements", held_in="operations")
def access_was_reviewed(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The access review is not overdue: its period runs from the last one, or the first read."""
    view, cadence = contract.view_name, contract.privacy.access_review
    reviews = [r for r in evidence.operations.of("access_review", view) if r.completed]
    reads = evidence.operations.of("training_set", view)
    begun: datetime | None = next((r.at for r in (*reviews[-1:], *reads[:1])), None)
    if begun is None:
        yield Verdict(True, f"{cadence} access review", "nothing was read yet: none is due")
        return
    due = one_period_after(begun, cadence)
    last = f"last {reviews[-1].at.date()}" if reviews else "none yet"
    yield Verdict(
        evidence.as_of <= due,
        f"{cadence} access review, the next by {due.date()}",
        f"{last}, judged on {evidence.as_of.date()}",
        int(evidence.as_of > due),
    )
    if reviews:
        yield Verdict(
            reviews[-1].passed,
            "the last review found approved consumers alone",
            "passed" if reviews[-1].passed else "found others",
            int(not reviews[-1].passed),
        )
