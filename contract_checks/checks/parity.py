"""§8: does the online store serve what the offline one holds?"""

from collections.abc import Iterator

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract


@check("§8 acceptable delta", held_in="offline, online")
def online_serves_what_offline_holds(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Looked up online, entities have their offline values of the last materialization."""
    parity, most = evidence.parity, contract.parity.maximum_delta
    if parity.compared == 0:
        raise MissingEvidence("the offline table holds no entity to look up online")
    for feature, differing in parity.differing.items():
        rate = differing / parity.compared
        yield Verdict(
            rate <= most,
            f"{feature} differs for ≤ {most:.2%} of entities",
            f"{rate:.2%} ({differing:,} of {parity.compared:,})",
            differing,
            parity.sample if rate > most else (),
        )
