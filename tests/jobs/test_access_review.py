"""The access review: whose reads lie in the period, and who should not have been given any."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from feast_copy import ROOT, copy_of_the_whole_project, run
from oracle import MICROSECOND
from reads_on_record import MAY, VIEW, online, read
from typer.testing import CliRunner

from contract_checks.evidence.facts import MissingEvidence
from contract_checks.findings import Outcome
from contract_checks.language.loader import load
from contract_checks.measures import calendar
from contract_checks.measures.calendar import turn_of_the_period
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record
from jobs.privacy.access_review import Reader, access_review, outcome, turns_to_review
from jobs.privacy.exposed_files import exposed_files, told_of_exposed
from jobs.repository import CONTRACT
from scripts.access_review import main

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
JUST_AFTER_APRIL = APRIL.replace(minute=10)
FEBRUARY = datetime(2026, 2, 28, 12, tzinfo=UTC)  # three months before: there is no 31st


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OperationsLog:
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path / 'operations.db'}")
    return OperationsLog(os.environ[ADDRESS_VARIABLE])


def refusal(consumer: str) -> Record:
    figures = {"consumer": consumer, "reason": "not an approved consumer"}
    return Record("training_set", VIEW, MAY, False, 0.1, figures)


def test_reads_are_added_up_by_consumer_whatever_the_case(log: OperationsLog) -> None:
    log.append(
        read("ML Platform", 10, "a.parquet"),
        read("ml platform", 5, "b.parquet"),
        read("ML PLATFORM", 1, "a.parquet"),
        read("Marketing Analytics", 7),
        refusal("Sales"),
        refusal("marketing analytics"),
    )
    review = access_review(load(CONTRACT), MAY)
    assert review.readers == (
        Reader("ML Platform", True, 3, 0, 16, ("a.parquet", "b.parquet"), 0, MAY, MAY),
        Reader("Marketing Analytics", True, 1, 0, 7, ("set.parquet",), 1, MAY, MAY),
        Reader("Sales", False, 0, 0, 0, (), 1, MAY, MAY),
    )
    assert outcome(review) is Outcome.KEPT  # who was refused got nothing
    (record,) = log.records(MAY, ["access_review"])
    assert (record.subject, record.at, record.passed) == (VIEW, MAY, True)
    assert record.figures == {
        "exposed_files": sum(1 for _ in exposed_files(ROOT / "data")),
        "from": FEBRUARY.isoformat(),
        "to": MAY.isoformat(),
        "reads": {
            "ML Platform": {"sets": 3, "requests": 0, "rows": 16},
            "Marketing Analytics": {"sets": 1, "requests": 0, "rows": 7},
            "Sales": {"sets": 0, "requests": 0, "rows": 0},
        },
        "refused": {"Marketing Analytics": 1, "Sales": 1},
    }


def test_online_reads_are_added_to_those_of_training_sets(log: OperationsLog) -> None:
    log.append(
        read("ML Platform", 10, "a.parquet"),
        online("ml platform", 3, 300, 0),
        online("ML Platform", 2, 200, 0),
        online("Sales", 0, 0, 4),
        online(None, 0, 0, 9),
    )
    review = access_review(load(CONTRACT), MAY)
    assert review.readers == (
        Reader("ML Platform", True, 1, 5, 510, ("a.parquet",), 0, MAY, MAY),
        Reader("Sales", False, 0, 0, 0, (), 4, MAY, MAY),
        Reader("nobody named", False, 0, 0, 0, (), 9, MAY, MAY),
    )
    assert outcome(review) is Outcome.KEPT
    log.append(online("Sales", 1, 1, 0))
    assert outcome(access_review(load(CONTRACT), MAY)) is Outcome.BROKEN


def test_the_period_is_three_months_open_behind_and_closed_ahead(log: OperationsLog) -> None:
    log.append(
        read("before", at=FEBRUARY - MICROSECOND),
        read("on the edge behind", at=FEBRUARY),
        read("just within", at=FEBRUARY + MICROSECOND),
        read("on the edge ahead", at=MAY),
        read("after", at=MAY + MICROSECOND),
        read("of another view", view="customer_profile_v2"),
    )
    review = access_review(load(CONTRACT), MAY)
    assert [r.name for r in review.readers] == ["just within", "on the edge ahead"]


def test_the_period_is_the_contracts(log: OperationsLog, tmp_path: Path) -> None:
    document = CONTRACT.read_text(encoding="utf-8")
    yearly = tmp_path / "contract.md"
    yearly.write_text(document.replace("Quarterly access review", "Yearly access review"), "utf-8")
    log.append(read("ML Platform", at=datetime(2025, 6, 1, tzinfo=UTC)))
    assert len(access_review(load(yearly), MAY).readers) == 1
    assert len(access_review(load(CONTRACT), MAY).readers) == 0


@pytest.mark.parametrize("consumer", ["Sales", "", "ML Platform "])
def test_a_reader_who_is_not_approved_and_was_given_data_breaks_it(
    log: OperationsLog, consumer: str
) -> None:
    log.append(read("ML Platform"), read(consumer))
    review = access_review(load(CONTRACT), MAY)
    assert outcome(review) is Outcome.BROKEN
    assert [r.passed for r in log.records(MAY, ["access_review"])] == [False]


def test_a_read_that_names_nobody_breaks_it(log: OperationsLog) -> None:
    log.append(Record("training_set", VIEW, MAY, True, 1.0, {"rows": 3}))
    review = access_review(load(CONTRACT), MAY)
    assert review.readers == (Reader("nobody named", False, 1, 0, 3, (), 0, MAY, MAY),)
    assert outcome(review) is Outcome.BROKEN


@pytest.mark.parametrize(
    ("moment", "cadence", "turn"),
    [
        (datetime(2026, 7, 1, 0, 10, tzinfo=UTC), "quarterly", "2026-07-01"),
        (datetime(2026, 7, 1, tzinfo=UTC), "quarterly", "2026-07-01"),
        (datetime(2026, 7, 1, tzinfo=UTC) - MICROSECOND, "quarterly", "2026-04-01"),
        (datetime(2026, 9, 30, 23, 59, tzinfo=UTC), "quarterly", "2026-07-01"),  # a late boot
        (datetime(2027, 1, 2, tzinfo=UTC), "quarterly", "2027-01-01"),
        (datetime(2026, 8, 15, tzinfo=UTC), "monthly", "2026-08-01"),
        (datetime(2026, 8, 15, tzinfo=UTC), "half-yearly", "2026-07-01"),
        (datetime(2026, 6, 30, tzinfo=UTC), "half-yearly", "2026-01-01"),
        (datetime(2026, 8, 15, tzinfo=UTC), "yearly", "2026-01-01"),
        (datetime(2026, 8, 16, 9, tzinfo=UTC), "weekly", "2026-08-10"),  # a Sunday, its Monday
        (datetime(2026, 8, 17, tzinfo=UTC), "weekly", "2026-08-17"),
    ],
)
def test_a_period_turns_with_the_calendar(moment: datetime, cadence: str, turn: str) -> None:
    assert turn_of_the_period(moment, cadence).isoformat() == f"{turn}T00:00:00+00:00"


def test_every_period_of_the_language_has_a_turn() -> None:
    for cadence in calendar._PERIODS:
        turn = turn_of_the_period(MAY, cadence)
        assert turn <= MAY < calendar.one_period_after(turn, cadence)


def test_a_review_that_is_late_is_of_the_quarter_before_and_of_no_other(
    log: OperationsLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    log.append(
        read("of the quarter", at=datetime(2026, 3, 31, 23, tzinfo=UTC)),
        read("of this one", at=datetime(2026, 4, 1, 0, 5, tzinfo=UTC)),
    )
    said = _as_scheduled(monkeypatch, JUST_AFTER_APRIL, code=1)  # by another than the approved
    assert "1 readers, 2026-01-01 to 2026-04-01" in said
    assert _as_scheduled(monkeypatch, MAY).startswith(
        "nothing to review: no period ended since the last review"
    )
    (review,) = log.records(MAY, ["access_review"])
    assert review.at == APRIL
    assert list(review.figures["reads"]) == ["of the quarter"]


def test_quarters_over_which_the_machine_was_down_are_reviewed_each_by_itself(
    log: OperationsLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, summer = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 7, 2, 8, tzinfo=UTC)
    log.append(
        reviewed(last),
        read("of winter", at=datetime(2026, 2, 1, tzinfo=UTC)),
        read("ML Platform", at=datetime(2026, 6, 30, 23, tzinfo=UTC)),
        read("of summer", at=datetime(2026, 7, 1, 9, tzinfo=UTC)),
    )
    said = _as_scheduled(monkeypatch, summer, code=1)  # another than the approved ones, in winter
    assert "1 readers, 2026-01-01 to 2026-04-01\n" in said
    assert "1 readers, 2026-04-01 to 2026-07-01\n" in said
    of_each = [
        (r.at, r.passed, [*r.figures["reads"]]) for r in log.records(summer, ["access_review"])
    ]
    assert of_each[1:] == [
        (APRIL, False, ["of winter"]),
        (datetime(2026, 7, 1, tzinfo=UTC), True, ["ML Platform"]),
    ]


def _as_scheduled(monkeypatch: pytest.MonkeyPatch, at: datetime, code: int = 0) -> str:
    """What the job says when it is run then, told no time, as every schedule runs it."""
    app = typer.Typer()
    app.command()(main)
    monkeypatch.setattr("scripts.access_review.now", lambda: at)
    done = CliRunner().invoke(app, [], catch_exceptions=False)
    assert done.exit_code == code
    return done.stdout


@pytest.mark.parametrize(
    ("records", "at", "turns"),
    [
        ([], MAY, []),  # nothing was read yet: none is due
        (["read 2026-03-31"], JUST_AFTER_APRIL, ["2026-04-01"]),
        (["read 2025-11-03"], MAY, ["2026-01-01", "2026-04-01"]),
        (["read 2026-04-01"], MAY, ["2026-04-01"]),
        (["online 2025-11-03"], MAY, ["2026-01-01", "2026-04-01"]),
        (["read 2026-05-02"], MAY, []),
        (["read 2026-05-02", "online 2026-03-02"], MAY, ["2026-04-01"]),
        (["read 2025-11-03", "review 2026-01-01"], MAY, ["2026-04-01"]),
        (["read 2025-11-03", "review 2026-04-01"], MAY, []),
        (["read 2025-11-03", "review 2026-03-31"], APRIL - MICROSECOND, []),
        (["read 2025-11-03", "review 2026-01-01"], APRIL - MICROSECOND, []),
        (["read 2025-11-03", "review 2026-01-01"], APRIL, ["2026-04-01"]),
        (["review 2026-05-15"], MAY, []),  # by hand
        (["review 2026-02-15"], MAY, ["2026-04-01"]),
        (["review 2026-01-01", "failure 2026-04-01"], MAY, ["2026-04-01"]),
        (["review 2026-01-01", "other 2026-04-01"], MAY, ["2026-04-01"]),
        (["review 2025-04-01"], MAY, ["2025-07-01", "2025-10-01", "2026-01-01", "2026-04-01"]),
    ],
)
def test_what_is_to_be_reviewed_is_every_whole_quarter_since_the_last_review(
    records: list[str], at: datetime, turns: list[str], log: OperationsLog
) -> None:
    log.append(Record("refresh", VIEW, datetime(2025, 1, 1, tzinfo=UTC), True))
    for kind, day in (record.split() for record in records):
        when = datetime.fromisoformat(f"{day}T00:00:00+00:00")
        log.append(
            {
                "read": read("ML Platform", at=when),
                "online": Record("online_reads", VIEW, when, True, None, {"requests": 1}),
                "review": reviewed(when),
                "failure": reviewed(when, error="OSError: No space left on device"),
                "other": reviewed(when, view="customer_profile_v2"),
            }[kind]
        )
    found = turns_to_review(load(CONTRACT), at)
    assert [turn.isoformat() for turn in found] == [f"{turn}T00:00:00+00:00" for turn in turns]


def reviewed(at: datetime, view: str = VIEW, **figures: str) -> Record:
    return Record("access_review", view, at, not figures, 1.0, figures or {"reads": {}})


@pytest.mark.parametrize(
    ("modes", "readers"),
    [
        ({"": 0o755, "a": 0o755, "a/b.db": 0o644}, {"a/b.db": "everybody"}),
        ({"": 0o755, "a": 0o755, "a/b.db": 0o640}, {"a/b.db": "its group"}),
        ({"": 0o755, "a": 0o755, "a/b.db": 0o600}, {}),
        ({"": 0o755, "a": 0o700, "a/b.db": 0o644}, {}),  # nobody comes as far
        ({"": 0o700, "a": 0o755, "a/b.db": 0o666}, {}),
        ({"": 0o750, "a": 0o755, "a/b.db": 0o644}, {"a/b.db": "its group"}),
        ({"": 0o711, "a": 0o711, "a/b.db": 0o604}, {"a/b.db": "everybody"}),  # by its name
        ({"": 0o755, "a": 0o755, "a/b.db": 0o622}, {}),
    ],
)
def test_who_else_can_read_is_told_by_the_modes_on_the_way(
    modes: dict[str, int], readers: dict[str, str], tmp_path: Path
) -> None:
    data = tmp_path / "data"
    for folder in (data / "a", data / "metrics"):
        folder.mkdir(parents=True)
    for file in ("a/b.db", "README.md", "metrics/refresh.prom"):
        (data / file).touch()
        (data / file).chmod(0o644)
    (data / "link.db").symlink_to(data / "a" / "b.db")
    for path, mode in modes.items():
        (data / path).chmod(mode)
    found = {path.relative_to(data).as_posix(): who for path, who in exposed_files(data)}
    assert found == readers
    told = told_of_exposed(data)
    assert (told is None) == (not readers)
    for path, who in readers.items():
        first = f"others can read 1 file below data/, such as {path} ({who})"
        assert told == f"{first}: chmod -R go= {data}"


def test_where_no_job_ran_there_is_nothing_to_review(log: OperationsLog, tmp_path: Path) -> None:
    with pytest.raises(MissingEvidence, match="no operations log"):
        access_review(load(CONTRACT), MAY)
    assert list(tmp_path.iterdir()) == []


def test_as_a_person_runs_it(log: OperationsLog, tmp_path: Path) -> None:
    repository = copy_of_the_whole_project(tmp_path / "copy")
    env = os.environ | {"PYTHONPATH": str(repository), "COLUMNS": "120"}
    command = ("scripts/access_review.py", "--as-of", "2026-05-31T12:00Z")
    early = datetime(2026, 3, 2, tzinfo=UTC)
    read_at = [MAY, MAY, early, MAY, MAY]
    sets = (read("ML Platform", 1_000, f"{n}.parquet", at) for n, at in enumerate(read_at))
    log.append(*sets, refusal("Sales"))

    kept = run(repository, "python", *command, env=env)
    assert kept.returncode == 0, kept.stderr
    assert "2 readers, 2026-02-28 to 2026-05-31" in kept.stdout
    (platform,) = (line for line in kept.stdout.splitlines() if "ML Platform" in line)
    assert [cell.strip() for cell in platform.split("│")[1:-1]] == [
        *("ML Platform", "yes", "5", "0", "5,000", "0", "2026-03-02 to 2026-05-31", "0.parquet"),
    ]
    assert "and 2 more" in kept.stdout

    log.append(read("Sales"))
    broken = run(repository, "python", *command, env=env)
    assert broken.returncode == 1, broken.stderr
    assert [r.passed for r in log.records(MAY, ["access_review"])] == [True, False]
    assert not (repository / "data" / "operations.db").exists()
