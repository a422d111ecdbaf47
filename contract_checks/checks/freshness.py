"""§6: are the features young enough where models read them?"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.evidence import Evidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell


@check("§6 freshness", held_in="offline, online")
def features_are_fresh(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The newest offline row and the last materialization are both young enough."""
    oldest = contract.quality.freshness
    yield _age("offline", evidence.offline.newest, evidence.as_of, oldest)
    materialized = served_view(contract, evidence).materialized_to
    yield _age("online", materialized, evidence.as_of, oldest)


def _age(store: str, newest: datetime | None, as_of: datetime, oldest: timedelta) -> Verdict:
    expected = f"{store} age ≤ {spell(oldest)}"
    if newest is None:
        return Verdict(False, expected, "nothing there", 1)
    age = as_of - newest
    # A store ahead of the clock is no fresher for it: the clock or the data is wrong.
    kept = timedelta(0) <= age <= oldest
    got = f"{age} (newest {newest.isoformat()})"
    return Verdict(
        kept, expected, got if age >= timedelta(0) else f"in the future: {got}", int(not kept)
    )
