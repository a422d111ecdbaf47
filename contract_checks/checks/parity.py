"""§8: does the online store serve what the offline one holds?"""

from collections.abc import Iterator

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.measures.proportions import at_most


@check("§8 acceptable delta", held_in="offline, online")
def online_serves_what_offline_holds(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Looked up online, entities have their offline values of the last materialization.

    Of a sample the upper bound of the share counts, with 95% confidence. Unknown entities have the
    defaults, each of them.
    """
    parity, most = evidence.parity, contract.parity.maximum_delta
    if parity.compared == 0:
        raise MissingEvidence("the offline table holds no entity to look up online")
    sampled = parity.entities is not None and parity.compared < parity.entities
    too_few = []
    for feature, differing in parity.differing.items():
        told = f"{differing / parity.compared:.2%} ({differing:,} of {parity.compared:,})"
        outcome = _judged(most, differing, parity.compared, sampled=sampled)
        if outcome == "unknown":
            too_few.append(f"{feature} {told}")
            continue
        broken = outcome == "broken"
        yield Verdict(
            not broken,
            f"{feature} differs for ≤ {most:.2%} of entities",
            told,
            differing,
            parity.sample if broken else (),
        )
    for feature, differing in parity.strangers.items():
        if differing:
            yield Verdict(
                False,
                f"{feature} of unknown entities is its default",
                f"{differing} of them have another value",
                differing,
            )
    if too_few:
        raise MissingEvidence(f"too many of the sample differ to tell: {'; '.join(too_few)}")


def _judged(most: float, differing: int, compared: int, *, sampled: bool) -> str:
    if sampled:
        return at_most(most, differing, compared)
    return "kept" if differing / compared <= most else "broken"
