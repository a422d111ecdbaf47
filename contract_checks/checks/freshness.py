"""§6: are the features young enough where models read them?"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell

_SECOND = timedelta(seconds=1)


@check("§6 freshness", held_in="offline, online, operations")
def features_are_fresh(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """What both stores hold was the state of things lately enough, and all of it is there."""
    oldest = contract.quality.freshness
    yield _age("offline", _offline_up_to(contract, evidence), evidence.as_of, oldest)
    yield _age("online", _online_up_to(contract, evidence), evidence.as_of, oldest)


def _offline_up_to(contract: Contract, evidence: Evidence) -> datetime | None:
    """The last refresh, where what it wrote is there; else the newest row.

    In a quiet hour nothing changes, so a table may be up to date and its newest row old.
    """
    newest, log = evidence.offline.newest, evidence.gathered_operations
    if newest is None or isinstance(log, MissingEvidence):
        return newest
    refreshes = [r for r in log.of("refresh", contract.view_name) if r.passed]
    wrote = refreshes[-1].figures.get("newest") if refreshes else None
    whole = wrote is not None and datetime.fromisoformat(wrote) <= newest
    return max(newest, refreshes[-1].at) if whole else newest


def _online_up_to(contract: Contract, evidence: Evidence) -> datetime | None:
    """The last materialization, where the newest row it had to write is there; else the newest.

    The registry knows of the job; the store's own heartbeat, where it keeps one, of what it holds.
    """
    registered = served_view(contract, evidence).materialized_to
    if registered is None:
        return None
    online = evidence.online
    materialized = online.heartbeat or registered
    if online.newest_to_serve is None:
        return materialized
    # A store may keep whole seconds.
    whole = online.newest is not None and online.newest_to_serve - online.newest < _SECOND
    return materialized if whole else online.newest


def _age(store: str, newest: datetime | None, as_of: datetime, oldest: timedelta) -> Verdict:
    expected = f"{store} age ≤ {spell(oldest)}"
    if newest is None:
        return Verdict(False, expected, "nothing there", 1)
    age = as_of - newest
    # A store ahead of the clock is no fresher for it: the clock or the data is wrong.
    kept = timedelta(0) <= age <= oldest
    got = f"{age} (up to {newest.isoformat()})"
    return Verdict(
        kept, expected, got if age >= timedelta(0) else f"in the future: {got}", int(not kept)
    )
