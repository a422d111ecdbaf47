"""§2, §6: does the join to the active entities return what it promises, before defaults?"""

from collections.abc import Iterator

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import Join, MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract


def _measured(evidence: Evidence) -> Join:
    if evidence.join.entity_rows == 0:
        raise MissingEvidence(
            "no entity was active in the look-back window: nothing to join, so no rate to measure"
        )
    return evidence.join


def _match_rate(join: Join, least: float) -> Verdict:
    rate = join.matched / join.entity_rows
    missed = join.entity_rows - join.matched
    return Verdict(
        rate >= least,
        f"match rate ≥ {least:.2%}",
        f"{rate:.2%} ({join.matched:,} of {join.entity_rows:,} active entities)",
        missed,
        join.unmatched_sample,
    )


@check("§2 expected match rate", held_in="events, offline")
def active_entities_match(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Entities active in the look-back window find a feature row, before defaults."""
    yield _match_rate(_measured(evidence), contract.entity.expected_match_rate)


@check("§6 cardinality checks", held_in="events, offline")
def join_keeps_its_cardinality(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The join matches often enough and returns hardly more rows than it was given."""
    join, promised = _measured(evidence), contract.quality.cardinality
    yield _match_rate(join, promised.minimum_match_rate)
    yield _fanout(join, promised.maximum_fanout_ratio)


@check("§2 fanout", held_in="events, offline")
def latest_record_is_one(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The record kept for an entity, the latest one, is a single one."""
    yield _fanout(_measured(evidence), 1.0)


def _fanout(join: Join, most: float) -> Verdict:
    ratio = join.joined_rows / join.matched if join.matched else 1.0
    return Verdict(
        ratio <= most,
        f"fan-out ratio ≤ {most:g}",
        f"{ratio:.4f} ({join.joined_rows:,} rows for {join.matched:,} entities)",
        join.joined_rows - join.matched,
    )
