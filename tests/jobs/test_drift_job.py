"""scripts/drift.py: what it measures, says, records and sends, as a scheduler runs it."""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import slack_channel
import typer
from drift_stores import AS_OF, DRIFT, FEATURES, VIEW, WARNED, alert, drawn_instant, row, stores
from feast_copy import HISTORY, apply, copy_of_the_whole_project
from slack_channel import Channel
from typer.testing import CliRunner
from warm_start import run_warm

from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.gather import gather
from contract_checks.findings import Outcome
from contract_checks.judge import judge
from contract_checks.language.loader import load
from contract_checks.operations.incidents import standing
from contract_checks.operations.log import ADDRESS_VARIABLE as LOG_VARIABLE
from contract_checks.operations.log import OperationsLog, Record
from jobs.reporting import alerting, drift, freeze_baseline, recording
from jobs.reporting.alerting import REPORT_VARIABLE, News
from jobs.reporting.drift import Verdict, news_of, verdict
from jobs.reporting.webhook import ADDRESS_VARIABLE
from jobs.repository import CONTRACT
from scripts.drift import main

HOUR = timedelta(hours=1)
CUSTOMERS = 1000
REPORT = "https://reports.example/customer_profile"
TERMS = load(CONTRACT)

Value = float | None
Values = Callable[[int], Value]
Job = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copy_of_the_whole_project(tmp_path_factory.mktemp("drift"))
    apply(folder)
    return folder


@pytest.fixture
def repository(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The project registered, with neither data nor a log."""
    for module in (alerting, drift, freeze_baseline, recording):
        monkeypatch.setattr(module, "ROOT", project)
    for variable in (LOG_VARIABLE, ADDRESS_VARIABLE, REPORT_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    yield project
    for made in (project / HISTORY.parent).iterdir():
        made.unlink()
    (project / "data" / "operations.db").unlink(missing_ok=True)


@pytest.fixture
def channel(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    """The alert channel, which the environment names."""
    monkeypatch.setenv(REPORT_VARIABLE, REPORT)
    with slack_channel.channel() as server:
        monkeypatch.setenv(ADDRESS_VARIABLE, server.address)
        yield server


@pytest.fixture
def job(repository: Path) -> Job:
    """Run the script: exit code, what it says, what it complains of."""
    app = typer.Typer()
    app.command()(main)

    def run(hours: float, *options: str) -> tuple[int, str, str]:
        at = AS_OF + hours * HOUR
        done = CliRunner().invoke(app, ["--as-of", at.isoformat(), *options])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.stdout, done.stderr

    return run


def fill(
    repository: Path, then: Values, now: Mapping[float, Values] | None = None, customers: int = 1000
) -> None:
    """Customers' orders in the baseline, and from some hours after it on."""
    rows = [made(n, drawn_instant(n), then(n)) for n in range(customers)]
    for hours, values in (now or {}).items():
        rows += [made(n, AS_OF + hours * HOUR, values(n)) for n in range(customers)]
    stores(repository / HISTORY.parent, rows)


def made(customer: int, stamp: datetime, orders: Value) -> dict[str, Any]:
    """A row in which nothing but the orders' value varies."""
    return row(customer, stamp) | {"avg_order_value_30d": orders}


def zeros(share: float) -> Values:
    """That share of customers has 0, the others have 1; by turns."""
    return lambda customer: float((customer * 7919) % 1000 >= share * 1000)


def records(repository: Path, name: str) -> tuple[Record, ...]:
    log = OperationsLog(f"sqlite:///{repository / 'data' / 'operations.db'}")
    return log.records(datetime.max.replace(tzinfo=AS_OF.tzinfo), [name])


def freeze(repository: Path) -> None:
    freeze_baseline.freeze_baseline(TERMS, AS_OF)


def line(said: str, feature: str = "avg_order_value_30d") -> list[str]:
    (found,) = (text.split() for text in said.splitlines() if text.startswith(f" {feature}"))
    return found[1:]


# From half and half: 70 % is PSI 0.17, 80 % is 0.42.
STILL, MOVED, FAR = zeros(0.5), zeros(0.7), zeros(0.8)


def test_the_life_of_a_drift(repository: Path, channel: Channel, job: Job) -> None:
    levels: dict[float, Values] = {1: STILL, 2: MOVED, 4: FAR, 6: MOVED, 7: STILL}
    fill(repository, STILL, levels)
    freeze(repository)
    codes = [job(hours)[0] for hours in range(1, 9)]
    assert codes == [0, 1, 1, 1, 1, 1, 0, 0]
    assert [text.split(": ")[0] for text in channel.told] == [
        f"{VIEW} §7 warn avg_order_value_30d begun",
        f"{VIEW} §7 fail avg_order_value_30d begun",
        f"{VIEW} §7 fail avg_order_value_30d ended",
        f"{VIEW} §7 warn avg_order_value_30d ended",
    ]
    stamps = [text.split("as of ")[1] for text in channel.told]
    assert stamps == [
        f"{(AS_OF + hours * HOUR).isoformat()}, report: {REPORT}" for hours in (2, 4, 6, 7)
    ]
    assert "drifted from the baseline: PSI 0.16" in channel.told[0]
    assert "≥ 0.1 (noise 0.0077, n = 1,000, m = 1,000)" in channel.told[0].replace("&lt;", "<")
    left = records(repository, "drift")
    assert [record.passed for record in left] == [True, *[False] * 5, True, True]
    assert left[1].figures["features"]["avg_order_value_30d"]["outcome"] == "warn"
    assert left[3].figures["features"]["avg_order_value_30d"]["outcome"] == "block"
    assert {*left[3].figures["features"]} == {*FEATURES}
    assert left[3].figures["features"]["orders_30d"] == {"psi": 0, "noise": 0, "outcome": "kept"}


def test_a_jump_to_the_block_is_one_message(repository: Path, channel: Channel, job: Job) -> None:
    fill(repository, STILL, {1: FAR, 2: MOVED, 3: STILL})
    freeze(repository)
    for hours in (1, 2, 3):
        job(hours)
    assert [" ".join(text.split()[1:5:1]).split(":")[0] for text in channel.told] == [
        "§7 fail avg_order_value_30d begun",
        "§7 fail avg_order_value_30d ended",
        "§7 warn avg_order_value_30d begun",
        "§7 warn avg_order_value_30d ended",
    ]


@pytest.mark.usefixtures("warm_probes")
def test_the_checks_see_what_the_job_told(repository: Path, channel: Channel, job: Job) -> None:
    """Told, then known: from drift that was told to nobody to an incident that lasts, and back."""
    fill(repository, STILL, {1: MOVED, 3: STILL, 5: MOVED})
    freeze(repository)

    def outcome(hours: float, clause: str) -> Outcome:
        report = judge(TERMS, gather(TERMS, repository, AS_OF + hours * HOUR))
        found = {finding.outcome for finding in report.findings if finding.clause == clause}
        return next(
            each for each in (Outcome.BROKEN, Outcome.UNKNOWN, Outcome.KEPT) if each in found
        )

    assert outcome(1, "§7 warn") is Outcome.BROKEN
    job(1)
    assert outcome(1, "§7 warn") is Outcome.KEPT
    assert outcome(1, "§7 alert routing") is Outcome.KEPT
    job(3)
    assert outcome(5, "§7 warn") is Outcome.BROKEN  # what was told of is over
    channel.plan = [slack_channel.status(404)]
    job(5)
    assert outcome(5, "§7 warn") is Outcome.BROKEN
    assert outcome(5, "§7 alert routing") is Outcome.BROKEN
    channel.plan = [slack_channel.ok]
    job(6)
    assert outcome(6, "§7 warn") is Outcome.KEPT
    assert outcome(6, "§7 alert routing") is Outcome.KEPT


def test_a_dry_run_says_what_it_would_send_and_does_nothing(
    repository: Path, channel: Channel, job: Job
) -> None:
    fill(repository, STILL, {1: FAR, 2: STILL})
    freeze(repository)
    before = (repository / "data" / "operations.db").read_bytes()
    code, said, _ = job(1, "--dry-run")
    assert code == 1
    assert f"would send: {VIEW} §7 fail avg_order_value_30d begun: drifted" in said
    assert f"report: {REPORT}" in said
    assert (repository / "data" / "operations.db").read_bytes() == before
    assert channel.asked == []

    channel.plan = [slack_channel.status(410)]
    assert job(1)[0] == 1
    _, said, _ = job(2, "--dry-run")
    planned = [text.split()[2:6] for text in said.splitlines() if text.startswith("would send")]
    feature = "avg_order_value_30d"
    assert planned == [[VIEW, "§7", "fail", feature]] * 2
    assert ["begun" in said, "ended" in said] == [True, True]
    assert len(channel.asked) == 1


def test_no_webhook_fails_nothing(repository: Path, job: Job) -> None:
    fill(repository, STILL, {1: MOVED})
    freeze(repository)
    code, said, complained = job(1)
    assert (code, line(said)[-1]) == (1, "warn")
    assert complained == (
        f"1 alert not delivered: {ADDRESS_VARIABLE} is not set; on record, sent by the next run\n"
    )
    assert [r.figures["delivered"] for r in records(repository, "alert")] == [False]


def test_a_webhook_that_is_down_fails_nothing(repository: Path, channel: Channel, job: Job) -> None:
    fill(repository, STILL, {1: MOVED})
    freeze(repository)
    channel.plan = [slack_channel.status(500)]
    code, _, complained = job(1)
    assert (code, len(channel.asked)) == (1, 3)
    assert "the webhook answered 500" in complained
    channel.plan = [slack_channel.ok]
    assert job(2)[0] == 1
    assert len(channel.told) == 1


# What went wrong elsewhere


def of_many(customer: int) -> Value:
    """Twenty amounts, spread evenly."""
    return float((customer * 7919) % 20)


def but(those: Callable[[int], bool], value: Value) -> Values:
    return lambda customer: value if those(customer) else of_many(customer)


def every_other(customer: int) -> bool:
    """Half of the customers with each amount."""
    return customer // 20 % 2 == 0


CASES: dict[str, tuple[Values, Values, int, str, int]] = {
    "nothing": (of_many, of_many, CUSTOMERS, "kept", 0),
    "one outlier of a million": (of_many, but(lambda n: n == 3, 1e6), CUSTOMERS, "kept", 0),
    "half of them null": (of_many, but(every_other, None), CUSTOMERS, "block", 1),
    "half of them null all along": (
        but(every_other, None),
        but(lambda n: not every_other(n), None),
        *(CUSTOMERS, "kept", 0),
    ),
    "an unseen value in a tenth": (
        zeros(0.5),
        lambda n: 7.0 if n % 10 == 0 else zeros(0.5)(n),
        *(CUSTOMERS, "block", 1),
    ),
    "an unseen value once": (
        zeros(0.5),
        lambda n: 7.0 if n == 3 else zeros(0.5)(n),
        *(CUSTOMERS, "kept", 0),
    ),
    "a constant": (lambda n: 4.0, lambda n: 4.0, CUSTOMERS, "kept", 0),
    "a constant that changes": (lambda n: 4.0, lambda n: 5.0, CUSTOMERS, "block", 1),
    "ten customers": (zeros(0.5), zeros(0.75), 10, "insufficient data", 2),
}


@pytest.mark.parametrize("case", CASES)
def test_verdict(case: str, repository: Path, channel: Channel, job: Job) -> None:
    then, now, customers, outcome, code = CASES[case]
    # Several rows of each customer: the one in force counts, and it counts once.
    fill(repository, then, {0.5: of_many, 0.6: of_many, 1: now}, customers)
    freeze(repository)
    exit_code, said, _ = job(1)
    psi, noise, n, m, *words = line(said)
    assert (exit_code, " ".join(words)) == (code, outcome)
    assert n == m == f"{customers:,}"
    assert len(channel.told) == (outcome == "block")
    (left,) = records(repository, "drift")
    figures = left.figures["features"]["avg_order_value_30d"]
    assert (f"{figures['psi']:.4f}", f"{figures['noise']:.4f}") == (psi, noise)
    assert figures["outcome"] == outcome


def test_too_little_data_ends_no_incident() -> None:
    noisy = replace(WARNED, psi=0.3, noise=0.4)
    assert verdict(TERMS, "orders_30d", noisy) is Verdict.INSUFFICIENT
    begun = standing([alert(clause=clause) for clause in ("§7 warn", "§7 fail")])
    measured = replace(DRIFT, features={"orders_30d": noisy})
    assert list(news_of(TERMS, measured, {"orders_30d": Verdict.INSUFFICIENT}, begun)) == []


def test_the_edges_of_the_thresholds() -> None:
    for psi, said in (
        (math.nextafter(0.1, 0), Verdict.KEPT),
        (0.1, Verdict.WARN),
        (math.nextafter(0.2, 0), Verdict.WARN),
        (0.2, Verdict.BLOCK),
    ):
        assert verdict(TERMS, "orders_30d", replace(WARNED, psi=psi)) is said
        assert verdict(TERMS, "orders_30d", replace(WARNED, psi=psi, noise=psi)) is said
        over = Verdict.KEPT if said is Verdict.KEPT else Verdict.INSUFFICIENT
        assert verdict(TERMS, "orders_30d", replace(WARNED, psi=psi, noise=0.3)) is over


def test_a_new_baseline_ends_what_was_measured_from_the_one_before() -> None:
    measured = replace(DRIFT, features={"orders_30d": WARNED})
    verdicts = {"orders_30d": Verdict.WARN}

    def changed(*alerts: Record) -> list[tuple[str, Any, Any]]:
        before = standing(alerts)
        news = news_of(TERMS, measured, verdicts, before)
        changes = alerting.changes(TERMS, AS_OF + 9 * HOUR, news, before)
        told = ("clause", "state", "message")
        return [tuple(change.figures[name] for name in told) for change in changes]

    ended = ("§7 warn", "ended", "a new baseline is in use")
    begun = ("§7 warn", "begun", "drifted from the baseline")
    assert changed(alert(-1)) == [ended, begun]
    assert changed(alert(0)) == []
    assert changed(alert(-1, clause="§6 freshness")) == [begun]
    assert changed(alert(-1, feature="gone")) == [ended, begun]


# Refusals


def test_refused_without_evidence(repository: Path, channel: Channel, job: Job) -> None:
    code, said, complained = job(1)
    assert (code, said) == (2, "")
    assert complained.startswith("refused: no operations log")
    fill(repository, STILL, {1: STILL})
    code, _, complained = job(1)
    assert (code, "freeze_baseline.py" in complained) == (2, True)
    freeze(repository)
    (repository / HISTORY).unlink()
    code, _, complained = job(1)
    assert (code, "no offline table" in complained) == (2, True)
    (repository / HISTORY).write_bytes(b"no parquet")
    assert job(1)[0] == 2
    assert not any(record.passed for record in records(repository, "drift"))
    assert channel.asked == []


def test_a_baseline_that_was_changed_is_refused(
    repository: Path, channel: Channel, job: Job
) -> None:
    fill(repository, STILL, {1: FAR})
    freeze(repository)
    (frozen,) = records(repository, "baseline")
    log = OperationsLog(f"sqlite:///{repository / 'data' / 'operations.db'}")
    log.append(replace(frozen, at=AS_OF + HOUR / 2, figures={**frozen.figures, "match_rate": 0.5}))
    code, _, complained = job(1)
    assert (code, "the baseline on record was changed" in complained) == (2, True)
    assert channel.asked == []


def test_a_metric_that_nobody_measures_is_refused(
    repository: Path, job: Job, tmp_path: Path
) -> None:
    document = tmp_path / "contract.md"
    document.write_text(CONTRACT.read_text("utf-8").replace("PSI", "KL"), "utf-8")
    code, _, complained = job(1, "--contract", str(document))
    assert (code, "KL cannot be measured yet" in complained) == (2, True)
    with pytest.raises(MissingEvidence):
        drift.measure(load(document), AS_OF)


def test_an_earlier_time_than_the_last_alert_is_refused(
    repository: Path, channel: Channel, job: Job
) -> None:
    fill(repository, STILL, {1: STILL, 2: FAR})
    freeze(repository)
    assert job(2)[0] == 1
    code, _, complained = job(1)
    assert (code, "has alerts as of" in complained) == (2, True)
    assert len(channel.told) == 1
    assert job(2)[0] == 1


# In a process of its own


def test_a_job_killed_between_sending_and_recording_sends_again(
    repository: Path, channel: Channel
) -> None:
    fill(repository, STILL, {1: FAR})
    freeze(repository)
    running: list[subprocess.Popen[bytes]] = []

    def kill(request: Any) -> None:
        request.server.told.append(request.text)
        running[0].send_signal(signal.SIGKILL)
        request.server.closing.wait(2)

    env = os.environ | {"PYTHONPATH": str(repository)}

    def words(hours: float) -> tuple[str, ...]:
        return ("scripts/drift.py", "--as-of", (AS_OF + hours * HOUR).isoformat())

    def run(hours: float) -> tuple[int, str]:
        done = run_warm(words(hours), repository, env)
        return done.returncode, done.stdout + done.stderr

    channel.plan = [kill, slack_channel.ok]
    with subprocess.Popen([sys.executable, *words(1)], cwd=repository, env=env) as job:
        running.append(job)
        assert job.wait(60) == -signal.SIGKILL
    assert [r.figures["delivered"] for r in records(repository, "alert")] == [False]
    code, said = run(2)
    assert code == 1, said
    assert channel.told[0] == channel.told[1]  # at least once: it comes twice rather than never
    assert [r.figures["delivered"] for r in records(repository, "alert")] == [False, True]
    assert run(3)[0] == 1
    assert len(channel.told) == 2
    assert slack_channel.SECRET not in said


def test_news_is_told_by_whoever_asks(repository: Path, channel: Channel) -> None:
    alerting.alert(TERMS, AS_OF, News("§4 refresh cadence", "refresh", True, "failed", "3 h late"))
    assert channel.told[0].startswith(f"{VIEW} §4 refresh cadence refresh begun: failed: 3 h late")
