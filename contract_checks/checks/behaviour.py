"""§2, §3, §5.1: does the code do what the document says? Measured by probes, never read off."""

from collections.abc import Iterator

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence, ProbeAnswer
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract

_ZONE = "§3 timestamp timezone"

_PROBED = {
    _ZONE: "A day ends at midnight in the document's zone, also where its clocks change.",
    "§3 point-in-time correctness": "A prediction sees what was known at its time, no more.",
    "§3 lookback window": "An event counts for exactly the look-back window.",
    "§3 allowed lateness": "A late event counts up to the allowed lateness, to the microsecond.",
    "§3 leakage guardrails": "An event dated after its own arrival takes no part.",
    "§5.1 aggregation": "The features are what the window's events add up to.",
    "§5.1 filters": "Who has an event in the window is active, who has none is not.",
    "§5.1 dedup rules": "Of a key's events in one period the one the document names counts.",
    "§5.1 edge cases": "Who has no event in the window has the default values.",
}


def _agrees(answer: ProbeAnswer, feature: str) -> bool:
    got, expected = answer.got[feature], answer.probe.expected[feature]
    return isinstance(got, int | float) and got == expected


def _spell(values: object) -> str:
    return ", ".join(f"{k} {v}" for k, v in values.items()) if isinstance(values, dict) else ""


def _bind_probes(clause: str, question: str) -> None:
    def judge(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
        answers = [a for a in evidence.probes.answers if a.probe.clause == clause]
        if not answers and clause == _ZONE and contract.definition.dedup is None:
            yield Verdict(True, "days in the zone", "no rule of §5.1 counts by the day")
        elif not answers:
            raise MissingEvidence(f"no probe of {clause} in the contract's probe set: add one")
        for answer in answers:
            wrong = [f for f in answer.probe.expected if not _agrees(answer, f)]
            yield Verdict(
                not wrong,
                f"{answer.probe.name}: {_spell(dict(answer.probe.expected))}",
                _spell(dict(answer.got)),
                len(wrong),
            )

    judge.__name__ = "probes_are_answered"
    judge.__doc__ = question
    check(clause, held_in="events, offline")(judge)


for _clause, _question in _PROBED.items():
    _bind_probes(_clause, _question)


@check("§2 join type", held_in="events, offline")
def join_returns_the_rows_it_was_given(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """A left join returns the caller's rows, unknown and doubled ones too, in their order."""
    if contract.entity.join_type != "left":
        raise MissingEvidence(f"a {contract.entity.join_type} join cannot be measured yet")
    asked, returned = evidence.probes.asked, evidence.probes.returned
    yield Verdict(
        asked == returned,
        f"{len(asked)} entity rows in, the same out, in order",
        f"{len(returned)} rows out{'' if asked == returned else ', not the same'}",
        abs(len(asked) - len(returned)),
    )


@check("§2 key uniqueness expectation", held_in="events, offline")
def an_entity_row_gets_one_row(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Where keys are 1:1, an entity row asked once comes back once."""
    probes = evidence.probes
    doubled = sorted(
        {k for k in probes.returned if probes.returned.count(k) > probes.asked.count(k)}
    )
    one = contract.entity.key_uniqueness in ("1:1", "n:1")
    yield Verdict(
        not (one and doubled),
        f"{contract.entity.key_uniqueness}: one row per entity row"
        if one
        else "any number of rows",
        f"{len(doubled)} keys came back more often than asked",
        len(doubled) if one else 0,
        tuple(doubled[:3]) if one else (),
    )
