"""Bind checks to clauses and run them over evidence.

A check is a documented function from contract and evidence to verdicts. It is bound to the clauses
it judges by `@check("§6 completeness", ...)`; its docstring is what the reader of a report sees.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.findings import Finding, Outcome, Report
from contract_checks.language.contract import Contract


@dataclass(frozen=True)
class Verdict:
    """What a check found about its clause."""

    kept: bool
    expected: str
    got: str
    count: int = 0
    sample: tuple[str, ...] = ()


Judge = Callable[[Contract, Evidence], Iterator[Verdict]]


@dataclass(frozen=True)
class Check:
    """A check and the clause it is bound to."""

    clause: str
    name: str
    question: str
    """What it asks, in one sentence."""
    held_in: str
    """Where the promise is held: registry, events, offline, online."""
    judge: Judge

    def run(self, contract: Contract, evidence: Evidence) -> Iterator[Finding]:
        """The check's findings; *unknown* where evidence is missing."""
        line = contract.lines.get(self.clause)
        try:
            for v in self.judge(contract, evidence):
                outcome = Outcome.KEPT if v.kept else Outcome.BROKEN
                yield Finding(
                    self.clause, self.name, outcome, v.expected, v.got, v.count, v.sample, line
                )
        except MissingEvidence as missing:
            yield Finding(
                self.clause, self.name, Outcome.UNKNOWN, self.question, str(missing), line=line
            )
        except Exception as error:  # evidence of a kind no check foresaw is no verdict either
            why = f"could not be judged: {type(error).__name__}: {str(error).splitlines()[0]}"
            yield Finding(self.clause, self.name, Outcome.UNKNOWN, self.question, why, line=line)


CHECKS: list[Check] = []


def check(clause: str, *, held_in: str) -> Callable[[Judge], Judge]:
    """Bind the decorated function to a clause, and say where that clause is held."""

    def bind(judge: Judge) -> Judge:
        question = (judge.__doc__ or "").strip().splitlines()[0]
        CHECKS.append(Check(clause, judge.__name__.replace("_", "-"), question, held_in, judge))
        return judge

    return bind


def judge(contract: Contract, evidence: Evidence, held_in: str | None = None) -> Report:
    """Run every check in the document's order; or those of what is `held_in` one place alone."""
    order = list(contract.lines)
    checks = [bound for bound in CHECKS if held_in in (None, bound.held_in)]
    findings = [
        finding
        for bound in sorted(checks, key=lambda c: (order.index(c.clause), c.name))
        for finding in bound.run(contract, evidence)
    ]
    return Report(
        contract=str(contract.path),
        title=f"{contract.overview.feature_name} {contract.overview.version}",
        as_of=evidence.as_of,
        findings=tuple(findings),
    )
