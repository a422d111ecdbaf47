"""§8, §11: what has to pass before a promotion did pass, and lately."""

from collections.abc import Iterator
from datetime import datetime

from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.tables import interval_digest
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.operations.log import Record


def _recent(contract: Contract, evidence: Evidence, record: Record) -> Verdict:
    """Evidence is recent within the stretch of history that §11 has validated."""
    longest = contract.test_plan.backfill_window
    age = evidence.as_of - record.at
    return Verdict(
        age <= longest,
        f"{record.job} run within the last {spell(longest)}",
        f"{age} ago, at {record.at.isoformat()}",
        int(age > longest),
    )


def _of_this_code(evidence: Evidence, record: Record) -> Verdict:
    """The code that ran is the code there is.

    Raises:
        MissingEvidence: the record names no file.
    """
    if not record.figures.get("files"):
        raise MissingEvidence(f"the last {record.job} names no file of the code that ran")
    changed = evidence.operations.changed_files.get((record.job, record.subject), ())
    return Verdict(
        not changed,
        f"code unchanged since {record.job}",
        f"{len(changed)} files changed",
        len(changed),
        changed[:3],
    )


def _last(contract: Contract, evidence: Evidence, job: str) -> Record:
    return evidence.operations.last(job, contract.view_name)


@check("§8 parity required", held_in="operations")
def stores_agree(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Where parity is required, the last shadow compare showed it within the acceptable delta."""
    if not contract.parity.required:
        yield Verdict(True, "parity is not required", "not asked for")
        return
    most, record = contract.parity.maximum_delta, _last(contract, evidence, "shadow_compare")
    _refuse_too_few(record)
    for feature, seen in sorted(record.figures.get("features", {}).items()):
        yield Verdict(
            seen["upper_bound"] <= most,
            f"{feature} differs for ≤ {most:.2%} of reads, with 95% confidence",
            f"≤ {seen['upper_bound']:.2%} ({seen['mismatched']:,} of {seen['compared']:,})",
            seen["mismatched"],
        )
    yield Verdict(
        record.passed, "the shadow compare passed", _passed(record), int(not record.passed)
    )


@check("§8 shadow compare enabled", held_in="operations")
def shadow_compare_runs(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Where shadow compare is on, it ran lately."""
    if not contract.parity.shadow_compare:
        yield Verdict(True, "shadow compare is off", "not asked for")
        return
    yield _recent(contract, evidence, _last(contract, evidence, "shadow_compare"))


@check("§11 unit tests", held_in="operations")
def unit_tests_passed(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The tests of the aggregation passed lately, and they and what they test are as they were."""
    record = _last(contract, evidence, "unit_tests")
    tests, failures = record.figures.get("tests", 0), record.figures.get("failures", 0)
    yield _recent(contract, evidence, record)
    yield Verdict(
        record.passed and tests > 0 and failures == 0,
        "every unit test of the aggregation passed",
        f"{tests} tests, {failures} failed",
        failures,
    )
    yield _of_this_code(evidence, record)


@check("§11 backfill validation", held_in="operations")
def backfill_agrees(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """History recomputed from events is the history on record, row by row."""
    record, stretch = _last(contract, evidence, "backfill"), contract.test_plan.backfill_window
    yield _recent(contract, evidence, record)
    start, end = (datetime.fromisoformat(record.figures[name]) for name in ("from", "to"))
    yield Verdict(end - start >= stretch, f"{spell(stretch)} recomputed", f"{end - start}")
    time = contract.time.event_timestamp
    same = record.figures.get("digest") == interval_digest(
        evidence.offline.history, time, start, end
    )
    told = "the same" if same else "other rows since"
    yield Verdict(same, "history as it was validated", told, int(not same))
    yield _of_this_code(evidence, record)
    rows, differing = record.figures.get("rows", 0), record.figures.get("differing", 0)
    yield Verdict(
        record.passed and rows > 0 and differing == 0,
        f"{spell(stretch)} of history recomputed without a difference",
        f"{differing:,} of {rows:,} rows differ",
        differing,
    )


@check("§11 canary materialization", held_in="operations")
def canary_agrees(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """A slice of entities, materialized apart from what is served, is read back as it was."""
    if not contract.test_plan.canary:
        yield Verdict(True, "no canary", "not asked for")
        return
    record = _last(contract, evidence, "canary")
    yield _recent(contract, evidence, record)
    yield _of_this_code(evidence, record)
    entities, differing = record.figures.get("customers", 0), record.figures.get("differing", 0)
    yield Verdict(
        record.passed and entities > 0 and differing == 0,
        "every entity of the canary read back as it was written",
        f"{differing:,} of {entities:,} differ",
        differing,
    )


@check("§11 shadow reads", held_in="operations")
def shadow_reads_passed(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Reads compared between the stores passed lately."""
    if not contract.test_plan.shadow_reads:
        yield Verdict(True, "no shadow reads", "not asked for")
        return
    record = _last(contract, evidence, "shadow_compare")
    yield _recent(contract, evidence, record)
    yield _of_this_code(evidence, record)
    _refuse_too_few(record)
    reads = record.figures.get("reads", 0)
    yield Verdict(
        record.passed and reads > 0, "shadow reads passed", f"{reads:,} reads, {_passed(record)}"
    )


@check("§11 performance tests", held_in="operations")
def serving_is_fast_enough(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The last load test kept to the latency and the error rate."""
    record, promised = _last(contract, evidence, "load_test"), contract.test_plan.performance
    yield _recent(contract, evidence, record)
    yield _of_this_code(evidence, record)
    _refuse_too_few(record)
    for latency in promised.latencies:
        name, limit = f"p{latency.percentile:g}", latency.maximum
        if f"{name}_ms" not in record.figures:
            raise MissingEvidence(f"the last load test did not measure {name}: run another")
        took = float(record.figures[f"{name}_ms"])
        within = took <= limit.total_seconds() * 1000
        yield Verdict(within, f"{name} latency ≤ {spell(limit)}", f"{took:.2f} ms")
    errors, rate = record.figures["errors"], float(record.figures["error_rate"])
    yield Verdict(
        rate <= promised.maximum_error_rate,
        f"error rate ≤ {promised.maximum_error_rate:.2%}",
        f"{rate:.2%} ({errors:,} of {record.figures['requests']:,})",
        errors,
    )
    yield Verdict(record.passed, "the load test passed", _passed(record), int(not record.passed))


def _refuse_too_few(record: Record) -> None:
    if record.figures.get("outcome") == "unknown":
        raise MissingEvidence(f"the last {record.job} was too small to tell: run a larger one")


def _passed(record: Record) -> str:
    return "passed" if record.passed else "did not pass"
