"""Alerts: bounded attempts at a webhook, a secret kept, no message lost and none told twice."""

import logging
import socket
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import NoReturn

import pytest
import slack_channel
from hypothesis import given, settings
from hypothesis import strategies as st
from slack_channel import SECRET, Answer, Channel, status
from sqlalchemy.exc import DatabaseError
from tries import tries
from typer import Typer
from typer.testing import CliRunner
from waiting import wait_until

from contract_checks.commands.gate import GateResult
from contract_checks.findings import Finding, Outcome, Report
from contract_checks.language.loader import load
from contract_checks.operations.incidents import Standing, standing
from contract_checks.operations.log import ADDRESS_VARIABLE as LOG_VARIABLE
from contract_checks.operations.log import OperationsLog, Record
from jobs import repository
from jobs.reporting import alerting, recording
from jobs.reporting import alerts as dropping
from jobs.reporting.alerting import REPORT_VARIABLE, News, alert
from jobs.reporting.webhook import ADDRESS_VARIABLE, UndeliveredError, Webhook
from jobs.repository import CONTRACT
from scripts import promote
from storage.errors import RefusedError

VIEW = "customer_profile_v1"
CHANNEL = "#ml-alerts"
AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ALWAYS = datetime.max.replace(tzinfo=UTC)
TERMS = load(CONTRACT)

Waits = list[float]


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Channel]:
    for proxy in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(proxy, raising=False)
        monkeypatch.delenv(proxy.upper(), raising=False)
    with slack_channel.channel() as server:
        yield server


@pytest.fixture(autouse=True)
def _attempts_take_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the clock that stops further attempts: or a slow machine would make fewer of them."""
    monkeypatch.setattr("tenacity.time", SimpleNamespace(monotonic=lambda: 0.0))


HANGING = {slack_channel.hang, slack_channel.drip}


def hurried(address: str, plan: Sequence[Answer] = (), waits: Waits | None = None) -> Webhook:
    """A webhook with time for the answers that come, and none to lose on those that do not.

    How long it would have slept between attempts is noted instead.
    """
    hanging = HANGING.intersection(plan)
    seconds = 60.0 if not hanging else 0.3 if hanging.issuperset(plan) else 5.0
    return Webhook(address, attempt_seconds=seconds, sleep=([] if waits is None else waits).append)


# One message


DELIVERED: list[tuple[list[Answer], Waits]] = [
    ([slack_channel.ok], []),
    ([status(500), slack_channel.ok], [0.5]),
    ([status(503), status(500), slack_channel.ok], [0.5, 1.0]),
    ([slack_channel.hang, slack_channel.ok], [0.5]),
    ([slack_channel.hang_up, slack_channel.ok], [0.5]),
    ([slack_channel.garbage, slack_channel.ok], [0.5]),
    ([status(429, Retry_After="1"), slack_channel.ok], [1.0]),
    ([status(429, retry_after="2"), status(500), slack_channel.ok], [2.0, 1.0]),
    ([status(429), slack_channel.ok], [0.5]),
    ([status(429, Retry_After="soon"), slack_channel.ok], [0.5]),
    ([status(429, Retry_After="-1"), slack_channel.ok], [0.5]),
]


@pytest.mark.parametrize(("plan", "waited"), DELIVERED)
def test_delivered_in_the_end(channel: Channel, plan: list[Answer], waited: Waits) -> None:
    waits: Waits = []
    channel.plan, attempts = list(plan), len(plan)
    hurried(channel.address, plan, waits).send("PSI ≥ 0.1")
    assert channel.told == ["PSI ≥ 0.1"]
    assert len(channel.asked) == attempts
    assert waits == waited


UNDELIVERED: list[tuple[Answer, int, str]] = [
    (status(500), 3, "the webhook answered 500"),
    (status(429), 3, "the webhook answered 429"),
    (slack_channel.hang, 3, "the webhook did not answer within 0.3 s"),
    (slack_channel.drip, 3, "the webhook did not answer within 0.3 s"),
    (slack_channel.hang_up, 3, r"the webhook gave no good answer \(RemoteDisconnected\)"),
    # Who asks for more time than there is gets it: no further attempt in this run.
    (status(429, Retry_After="3600"), 1, "the webhook answered 429"),
    (status(429, Retry_After="5"), 1, "the webhook answered 429"),
    (status(429, Retry_After="9" * 5000), 1, "the webhook answered 429"),
    # A refusal is not tried again.
    (status(400), 1, "the webhook answered 400"),
    (status(403), 1, "the webhook answered 403"),
    (status(404), 1, "the webhook answered 404"),
    (status(410), 1, "the webhook answered 410"),
    (slack_channel.to_a_page, 1, "the webhook answered with a page"),
]


@pytest.mark.parametrize(("answer", "attempts", "why"), UNDELIVERED)
def test_given_up_in_time(channel: Channel, answer: Answer, attempts: int, why: str) -> None:
    waits: Waits = []
    channel.plan = [answer]
    with pytest.raises(UndeliveredError, match=f"^{why}$"):
        hurried(channel.address, channel.plan, waits).send("PSI ≥ 0.1")
    wait_until(lambda: len(channel.asked) >= attempts)
    assert len(channel.asked) == attempts
    assert waits == [0.5, 1.0][: attempts - 1]


def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}"
        waits: Waits = []
        with pytest.raises(UndeliveredError, match=r"ConnectionRefusedError"):
            hurried(address, waits=waits).send("x")
    assert waits == [0.5, 1.0]


def test_a_webhook_that_hangs_is_left_after_seconds(channel: Channel) -> None:
    """With the patience that jobs have: three times two seconds, and the waits between."""
    channel.plan = [slack_channel.hang]
    waits: Waits = []
    with pytest.raises(UndeliveredError, match=r"within 0\.3 s"):
        hurried(channel.address, channel.plan, waits).send("x")
    assert 3 * Webhook(channel.address).attempt_seconds + sum(waits) < 8


def test_what_slack_would_take_for_a_command_is_text(channel: Channel) -> None:
    hurried(channel.address).send("bin < 0 & <!channel>")
    assert channel.told == ["bin &lt; 0 &amp; &lt;!channel&gt;"]


# The address is a secret

ADDRESSES = (
    f"no address {SECRET}",
    f"ftp://127.0.0.1/{SECRET}",
    f"http://127.0.0.1:{SECRET}/",
    f"http://[{SECRET}/",
    f"http:///{SECRET}",
    f"http://127.0.0.1/a b\x00{SECRET}",
    f"http://{'x' * 70}.example/{SECRET}",
    f"http://{SECRET}.invalid/",
)


def told_by(address: str, caplog: pytest.LogCaptureFixture, plan: Sequence[Answer] = ()) -> str:
    """Everything that a failing webhook lets out."""
    caplog.set_level(logging.DEBUG)
    webhook = hurried(address, plan)
    with pytest.raises(UndeliveredError) as raised:
        webhook.send("x")
    chain: list[BaseException] = [raised.value]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None:
        chain.append(cause)
    whole = "".join(traceback.format_exception(raised.value))
    return "\n".join([caplog.text, repr(webhook), whole, *map(repr, chain)])


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_address_that_is_none_is_not_told(
    address: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    said = told_by(address, caplog)
    assert SECRET not in said
    assert "Webhook(attempt_seconds" in said


@pytest.mark.parametrize("answer", [answer for answer, *_ in UNDELIVERED])
def test_the_address_of_a_failing_webhook_is_not_told(
    channel: Channel,
    answer: Answer,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    channel.plan = [answer]
    said = told_by(channel.address, caplog, channel.plan)
    assert SECRET not in said + "".join(capfd.readouterr())
    assert str(channel.server_port) not in said


# Incidents


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with nothing but room for a log."""
    (tmp_path / "data").mkdir()
    for variable in (LOG_VARIABLE, ADDRESS_VARIABLE, REPORT_VARIABLE):
        monkeypatch.delenv(variable, raising=False)
    for module in (alerting, dropping, recording, repository):
        monkeypatch.setattr(module, "ROOT", tmp_path)
    return tmp_path


def alerts(folder: Path) -> tuple[Record, ...]:
    return OperationsLog(f"sqlite:///{folder / 'data' / 'operations.db'}").records(ALWAYS)


def drifted(broken: bool = True, feature: str = "orders_30d", clause: str = "§7 warn") -> News:
    return News(clause, feature, broken, "drifted", "PSI 0.15 ≥ 0.1")


def test_a_message_says_what_broke_where_by_how_much_and_links_the_report(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, f"  {channel.address}\n")
    alert(TERMS, AS_OF, drifted())
    assert channel.told == [
        "customer_profile_v1 §7 warn orders_30d begun: drifted: PSI 0.15 ≥ 0.1\n"
        f"as of 2026-03-01T12:00:00+00:00, report: {(folder / 'report.html').as_uri()}"
    ]
    monkeypatch.setenv(REPORT_VARIABLE, "https://reports.example/?of=customer_profile&v=1")
    alert(TERMS, AS_OF + HOUR, drifted(broken=False))
    assert channel.told[1].endswith("report: https://reports.example/?of=customer_profile&amp;v=1")
    assert "§7 warn orders_30d ended" in channel.told[1]


def test_an_incident_is_told_when_it_begins_and_when_it_ends(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    for hour, broken in enumerate([False, True, True, True, False, False, True]):
        alert(TERMS, AS_OF + hour * HOUR, drifted(broken))
    assert [text.split(":")[0] for text in channel.told] == [
        f"{VIEW} §7 warn orders_30d {state}" for state in ("begun", "ended", "begun")
    ]
    begun, told = alerts(folder)[:2]
    figures = {
        "clause": "§7 warn",
        "feature": "orders_30d",
        "state": "begun",
        "message": "drifted",
        "figure": "PSI 0.15 ≥ 0.1",
        "channel": CHANNEL,
    }
    assert (begun.job, begun.subject, begun.at) == ("alert", VIEW, AS_OF + HOUR)
    assert begun.figures == figures | {"delivered": False}
    assert told.figures == figures | {"delivered": True}
    assert [record.passed for record in (begun, told)] == [False, True]


def test_incidents_are_told_apart_by_clause_feature_and_view(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    other = TERMS.model_copy(
        update={"overview": TERMS.overview.model_copy(update={"version": "v2"})}
    )
    assert other.view_name == "customer_profile_v2"
    one, two, three = (
        drifted(),
        drifted(feature="sessions_30d"),
        drifted(clause="§7 fail"),
    )
    for _ in range(2):
        alert(TERMS, AS_OF, one, two, three)
        alert(other, AS_OF, one)
    assert len(channel.told) == 4
    alert(TERMS, AS_OF, drifted(broken=False))
    assert set(standing(r for r in alerts(folder) if r.subject == VIEW).open) == {
        ("§7 warn", "sessions_30d"),
        ("§7 fail", "orders_30d"),
    }


@pytest.mark.parametrize("garbage", [b"no database", b"SQLite format 3\x00" + b"\x81" * 5000])
def test_what_breaks_is_sent_though_no_log_can_be_read(
    folder: Path, channel: Channel, garbage: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    (folder / "data" / "operations.db").write_bytes(garbage)
    with pytest.raises(DatabaseError):
        alert(TERMS, AS_OF, drifted(), drifted(False, feature="sessions_30d"))
    (told,) = channel.told
    assert told.startswith(f"{VIEW} §7 warn orders_30d begun: drifted")
    assert told.splitlines()[-1].startswith("not on record: DatabaseError: ")


def test_a_log_that_cannot_be_written_holds_no_alert_back(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: OperationsLog, *records: Record) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    monkeypatch.setattr(OperationsLog, "append", full)
    with pytest.raises(OSError, match="No space left"):
        alert(TERMS, AS_OF, drifted())
    (told,) = channel.told
    assert told.splitlines()[-1] == "not on record: OSError: No space left on device"


def test_neither_log_nor_webhook_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "data" / "operations.db").write_bytes(b"no database")
    with pytest.raises(DatabaseError):
        alert(TERMS, AS_OF, drifted())
    said = capsys.readouterr().err
    assert said.startswith(f"1 alert neither delivered ({ADDRESS_VARIABLE} is not set) nor on rec")
    assert f"{VIEW} §7 warn orders_30d begun" in said


# Dropped by a person


def test_an_alert_that_nobody_can_deliver_is_dropped_with_a_reason(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert(TERMS, AS_OF, drifted(), drifted(feature="sessions_30d"))
    key = ("§7 warn", "orders_30d")
    shown = dropping.listed(standing(alerts(folder)))
    assert [line.split(",")[0] for line in shown[:2]] == [
        "lasts     §7 warn orders_30d",
        "lasts     §7 warn sessions_30d",
    ]
    assert [line.split(":")[0] for line in shown[2:]] == [
        f"waits     {VIEW} §7 warn orders_30d begun",
        f"waits     {VIEW} §7 warn sessions_30d begun",
    ]
    assert dropping.drop(TERMS, key, " the webhook was never set ", AS_OF - HOUR) == 1
    stand = standing(alerts(folder))
    assert set(stand.open) == {("§7 warn", "sessions_30d")}
    assert [r.figures["feature"] for r in stand.undelivered] == ["sessions_30d"]
    left = [r for r in alerts(folder) if "dropped" in r.figures]
    assert [(r.at, r.passed, r.figures["state"], r.figures["delivered"]) for r in left] == [
        (AS_OF, False, "begun", False),  # never before the alerts it is of
        (AS_OF, False, "ended", False),
    ]
    assert {r.figures["dropped"] for r in left} == {"the webhook was never set"}

    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    alert(TERMS, AS_OF + HOUR, drifted())  # it still breaks, and so it begins again
    assert [text.split(":")[0] for text in channel.told] == [
        f"{VIEW} §7 warn sessions_30d begun",
        f"{VIEW} §7 warn orders_30d begun",
    ]


def test_an_incident_that_was_told_is_dropped_as_well_and_its_end_waits_no_more(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    hurry(monkeypatch, channel.address)
    alert(TERMS, AS_OF, drifted())
    assert dropping.drop(TERMS, ("§7 warn", "orders_30d"), "known", AS_OF) == 0
    assert standing(alerts(folder)) == Standing({}, ())
    alert(TERMS, AS_OF + HOUR, drifted())
    channel.plan = [status(500)]
    alert(TERMS, AS_OF + 2 * HOUR, drifted(broken=False))
    assert dropping.drop(TERMS, ("§7 warn", "orders_30d"), "known", AS_OF) == 1  # its end alone
    assert standing(alerts(folder)) == Standing({}, ())
    assert dropping.listed(standing(alerts(folder))) == ["no incident lasts, and no alert waits"]


@pytest.mark.parametrize(
    ("key", "reason", "why"),
    [
        (("§7 warn", "orders_30d"), "", "without a reason"),
        (("§7 warn", "orders_30d"), "  ", "without a reason"),
        (("§7 fail", "orders_30d"), "known", "no incident §7 fail orders_30d of customer_profile"),
        (("§7 warn", "sessions_30d"), "known", "no incident §7 warn sessions_30d"),
        (("", ""), "known", "no incident named"),
    ],
)
def test_nothing_else_is_dropped(folder: Path, key: tuple[str, str], reason: str, why: str) -> None:
    alert(TERMS, AS_OF, drifted())
    before = alerts(folder)
    with pytest.raises(RefusedError, match=why):
        dropping.drop(TERMS, key, reason, AS_OF)
    assert alerts(folder) == before


@pytest.mark.parametrize("answer", [answer for answer, *_ in UNDELIVERED[:2] + UNDELIVERED[5:9]])
def test_what_did_not_arrive_is_sent_by_the_next_run_before_anything_new(
    folder: Path,
    channel: Channel,
    answer: Answer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    hurry(monkeypatch, channel.address)
    channel.plan = [answer]
    alert(TERMS, AS_OF, drifted(), drifted(feature="sessions_30d"))
    assert len({*channel.asked}) == 1  # the second is not tried where the first fails
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("2 alerts not delivered: the webhook answered ")
    assert "sent by the next run" in said.err

    alert(TERMS, AS_OF + HOUR, drifted(broken=False))
    assert capsys.readouterr().err.startswith("3 alerts not delivered")
    assert channel.told == []

    channel.plan = [slack_channel.ok]
    alert(TERMS, AS_OF + 2 * HOUR, drifted(clause="§7 fail"))
    assert [text.split(":")[0] for text in channel.told] == [
        f"{VIEW} §7 warn orders_30d begun",
        f"{VIEW} §7 warn sessions_30d begun",
        f"{VIEW} §7 warn orders_30d ended",
        f"{VIEW} §7 fail orders_30d begun",
    ]
    assert AS_OF.isoformat() in channel.told[0]  # as it was then
    alert(TERMS, AS_OF + 3 * HOUR)
    assert len(channel.told) == 4


def hurry(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Let jobs have little patience with the webhook."""
    monkeypatch.setattr(alerting, "configured", lambda: hurried(address))


def test_without_a_webhook_alerts_are_kept_for_a_run_that_has_one(
    folder: Path,
    channel: Channel,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for hour, blank in enumerate([None, "", " "]):
        if blank is not None:
            monkeypatch.setenv(ADDRESS_VARIABLE, blank)
        alert(TERMS, AS_OF + hour * HOUR, drifted())
        assert capsys.readouterr().err == (
            f"1 alert not delivered: {ADDRESS_VARIABLE} is not set; "
            "on record, sent by the next run\n"
        )
    assert [record.figures["delivered"] for record in alerts(folder)] == [False]
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    alert(TERMS, AS_OF + 3 * HOUR)
    assert len(channel.told) == 1
    assert capsys.readouterr().out.startswith(f"told {CHANNEL}: {VIEW} §7 warn orders_30d begun")


def test_no_record_and_no_word_of_a_job_holds_the_address(
    folder: Path,
    channel: Channel,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    channel.plan = [status(404), slack_channel.ok]
    alert(TERMS, AS_OF, drifted())
    alert(TERMS, AS_OF + HOUR, drifted(feature="sessions_30d"))
    said = "".join(capfd.readouterr()) + caplog.text + repr(alerts(folder))
    assert "delivered" in said
    assert SECRET not in said
    assert SECRET.encode() not in b"".join(p.read_bytes() for p in (folder / "data").iterdir())


def test_an_alert_is_never_stamped_before_those_on_record(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that began at noon and took long, while another told of something."""
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    alert(TERMS, AS_OF + HOUR, drifted())
    alert(TERMS, AS_OF, drifted(broken=False))
    assert standing(alerts(folder)).open == {}
    assert {record.at for record in alerts(folder)} == {AS_OF + HOUR}


# Whatever happens, in whatever order


class Killed(BaseException):
    """The job is gone, at once."""


class Scripted:
    """A webhook that delivers, is down, or is the last thing a job saw, message by message."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.fates: list[str] = []

    def send(self, text: str) -> None:
        fate = self.fates.pop(0) if self.fates else "delivered"
        if fate == "down":
            raise UndeliveredError("down", again=True)
        if fate != "killed before":
            self.told.append(text)
        if fate.startswith("killed"):
            raise Killed


KEYS = [(c, f) for c in ("§7 warn", "§7 fail") for f in ("orders_30d", "sessions_30d")]
FATES = ("delivered", "down", "killed before", "killed after")
RUNS = st.lists(
    st.tuples(
        st.lists(st.sampled_from([True, False, None]), min_size=4, max_size=4),
        st.lists(st.sampled_from(FATES), max_size=6),
    ),
    max_size=8,
)


@settings(max_examples=tries(60))
@given(runs=RUNS)
def test_every_change_is_told_in_its_order_and_but_once(
    runs: list[tuple[list[bool | None], list[str]]],
) -> None:
    """None lasts, none is lost; one that is told twice was told just before its job was killed."""
    webhook, due, held = Scripted(), list[str](), dict.fromkeys(KEYS, False)
    kills = 0
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.delenv(LOG_VARIABLE, raising=False)
        for module in (alerting, recording):
            patched.setattr(module, "ROOT", Path(folder))
        (Path(folder) / "data").mkdir()
        patched.setattr(alerting, "configured", lambda: webhook)
        for hour, (states, fates) in enumerate([*runs, ([None] * 4, [])]):
            at, news = AS_OF + hour * HOUR, []
            for key, state in zip(KEYS, states, strict=True):
                if state is None:
                    continue
                news.append(News(key[0], key[1], state, "drift", "PSI"))
                if state != held[key]:
                    due.append(f"{key} {'begun' if state else 'ended'} {at.isoformat()}")
                held[key] = state
            webhook.fates = list(fates)
            try:
                alert(TERMS, at, *news)
            except Killed:
                kills += 1
            said = [told_as(text) for text in webhook.told]
            once = [text for n, text in enumerate(said) if said[n - 1 : n] != [text]]
            assert once == due[: len(once)]
            assert len(said) - len(once) <= kills
            for key, incident in standing(alerts(Path(folder))).open.items():
                begun = f"{key} begun {incident.begun.at.isoformat()}"
                assert begun in said or not incident.told
        assert once == due
        records = alerts(Path(folder)) if due else ()
        assert sum(record.passed for record in records) == len(due)
        assert set(standing(records).open) == {key for key, broken in held.items() if broken}
        assert all(incident.told for incident in standing(records).open.values())


def told_as(text: str) -> str:
    """Which change a message tells of."""
    subject, section, level, feature, state = text.split(":")[0].split()
    assert subject == VIEW
    at = text.split("\nas of ")[1].split(",")[0]
    return f"{(f'{section} {level}', feature)} {state} {at}"


# A promotion that is blocked


def test_a_blocked_promotion_is_told_once_and_so_is_its_success(
    folder: Path, channel: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from feature_access import registry

    kept = Finding("§1 version", "version-is-tagged", Outcome.KEPT, "v1", "v1")
    broken = Finding("§6 freshness", "features-are-fresh", Outcome.BROKEN, "2h", "3h")
    report = Report(str(CONTRACT), "customer_profile v1", AS_OF, (kept, broken))
    blocked = GateResult(report, None, "1 broken and 0 unknown of 2 clauses")
    passed = GateResult(replace(report, findings=(kept,)), folder / "receipt.json")
    result = blocked

    monkeypatch.setattr(registry, "open_store", lambda root: None)
    monkeypatch.setattr(promote, "promote", lambda *_: result)
    app = Typer()
    app.command()(promote.main)

    def run(hours: int) -> int:
        return CliRunner().invoke(app, ["--as-of", (AS_OF + hours * HOUR).isoformat()]).exit_code

    assert run(0) == 1
    assert not (folder / "data" / "operations.db").exists()  # without a webhook, people are told
    monkeypatch.setenv(ADDRESS_VARIABLE, channel.address)
    assert [run(1), run(2)] == [1, 1]
    assert len(channel.told) == 1
    assert channel.told[0].startswith(
        f"{VIEW} §6 freshness promotion begun: blocked: 1 broken and 0 unknown of 2 clauses; "
        "features-are-fresh expected 2h, got 3h\n"
    )
    other = replace(broken, clause="§3 timestamp timezone", check="timestamps-are-in-the-zone")
    result = replace(blocked, report=replace(report, findings=(other, broken)))
    assert run(2) == 1
    assert len(channel.told) == 1  # it is blocked still, whatever blocks it now
    result = passed
    assert [run(3), run(4)] == [0, 0]
    assert [text.split(":")[0] for text in channel.told[1:]] == [
        f"{VIEW} §6 freshness promotion ended"
    ]
