"""A failure is never a success: damaged files, full disks and our own faults end with 2 or 70.

Each job is run over a repository in which one file is damaged. Whatever it comes to, it is told in
lines for a person; 1, which says that a clause is broken, is only said by a job that judged.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from subprocess import CompletedProcess

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import slack_channel
from feast_copy import HISTORY, ROOT, apply, copy_of_the_whole_project, run
from jobs_run import ALWAYS, DAY, HOUR, KEY, PRESENT, shopping
from oracle import write_events
from slack_channel import Channel
from warm_start import run_warm

from contract_checks import atomic, failure
from contract_checks.damaged_files import damaged_files
from contract_checks.operations.log import OperationsLog, Record
from feature_pipeline.erasure.erased_customers import read_erased
from storage.atomic import replacing
from storage.errors import RefusedError

DATA = Path("data")
LATER = PRESENT + HOUR
JOBS = {
    "refresh": ("scripts/refresh.py",),
    "ingest": ("scripts/ingest.py",),
    "drift": ("scripts/drift.py",),
    "retain": ("scripts/retain.py",),
    "erase": ("scripts/erase.py", "3"),
    "promote": ("scripts/promote.py",),
    "access_review": ("scripts/access_review.py",),
    "backfill": ("scripts/backfill.py",),
    "build_training_set": (
        *("scripts/build_training_set.py", "labels.parquet", "data/set.parquet"),
        *("--consumer", "ML Platform"),
    ),
    "check": ("check",),
}


def garbled(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[: len(content) // 2] = b"\x81" * (len(content) // 2)
    replaced(file, bytes(content))


def truncated(file: Path) -> None:
    replaced(file, file.read_bytes()[: file.stat().st_size // 2])


def absent(file: Path) -> None:
    file.unlink()


def emptied(file: Path) -> None:
    replaced(file, b"")


def replaced(file: Path, content: bytes) -> None:
    file.unlink()  # other versions of the log link to it
    file.write_bytes(content)


def the_part(repository: Path) -> Path:
    return sorted((repository / HISTORY).glob("*.parquet"))[-1]


FILES: dict[str, Callable[[Path], Path]] = {
    "operations.db": lambda repository: repository / DATA / "operations.db",
    "registry.db": lambda repository: repository / DATA / "registry.db",
    "online_store.db": lambda repository: repository / DATA / "online_store.db",
    "watermark": lambda repository: repository / HISTORY / "_watermark.json",
    "part": the_part,
    "events": lambda repository: repository / HISTORY.with_name("customer_events.parquet"),
    "erased": lambda repository: repository / HISTORY.with_name("erased_customers.txt"),
}


@pytest.fixture(scope="module")
def channel() -> Iterator[Channel]:
    with slack_channel.channel() as server:
        yield server


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Applied and refreshed, with one customer erased; not to be changed."""
    copy = copy_of_the_whole_project(tmp_path_factory.mktemp("refreshed") / "repository")
    write_events(shopping(), copy / HISTORY.with_name("customer_events.parquet"))
    labels = {"customer_id": [1, 2], "event_timestamp": [PRESENT - DAY] * 2}
    pq.write_table(pa.table(labels), copy / "labels.parquet")
    apply(copy)
    for job, at in (("refresh", PRESENT - HOUR), ("refresh", PRESENT)):
        done = command(copy, job, at=at.isoformat())
        assert done.returncode == 0, done.stderr
    done = run(
        copy, "python", "scripts/erase.py", "2", "--as-of", PRESENT.isoformat(), env=env_of(copy)
    )
    assert done.returncode in (0, 1), done.stderr
    return copy


@pytest.fixture
def repository(refreshed: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "repository"
    shutil.copytree(refreshed, copy, symlinks=True)
    return copy


def env_of(repository: Path, channel: Channel | None = None) -> dict[str, str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith("FEATURE_STORE_")}
    env |= {"PYTHONPATH": str(repository), "COLUMNS": "200", "FEATURE_STORE_HASH_KEY": KEY}
    return env | ({"FEATURE_STORE_ALERT_WEBHOOK": channel.address} if channel else {})


def command(
    repository: Path, job: str, channel: Channel | None = None, at: str = LATER.isoformat()
) -> "CompletedProcess[str]":
    program = "contract-checks" if job == "check" else "python"
    return run(repository, program, *JOBS[job], "--as-of", at, env=env_of(repository, channel))


def failed(done: "CompletedProcess[str]") -> str:
    """The one line of a command that failed."""
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = (line for line in done.stderr.splitlines() if line.startswith("failed: "))
    return line.removeprefix("failed: ")


def test_a_log_that_is_damaged_is_named_and_told_though_nothing_can_be_put_on_record(
    repository: Path, channel: Channel
) -> None:
    garbled(FILES["operations.db"](repository))
    channel.told.clear()
    line = failed(command(repository, "refresh", channel))
    assert line.startswith("data/operations.db is damaged (file is not a database): restore it")
    (told,) = channel.told
    assert told.startswith("customer_profile_v1 §4 refresh cadence refresh begun: the refresh fail")
    assert "not on record: DatabaseError" in told


def test_a_scheduled_job_tells_that_it_failed_and_that_it_runs_again(
    repository: Path, channel: Channel
) -> None:
    channel.told.clear()
    registry = FILES["registry.db"](repository)
    whole = registry.read_bytes()
    garbled(registry)
    for _ in range(2):  # an incident is told once
        assert failed(command(repository, "retain", channel)).startswith("data/registry.db is dam")
    replaced(registry, whole)
    assert command(repository, "retain", channel).returncode == 0
    assert [text.split(":")[0] for text in channel.told] == [
        "customer_profile_v1 §9 retention policy retain begun",
        "customer_profile_v1 §9 retention policy retain ended",
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--events", "nofile", "--as-of", LATER.isoformat()), "no parquet file or folder of them"),
        (("--as-of", (PRESENT - DAY).isoformat()), "customer_profile_v1 is materialized up to"),
        (("--as-of", "2026-03-01"), "customer_profile_v1 is materialized up to"),
        (("--as-of", "yesterday"), "is not a time such as"),
        (("--contract", "absent.md"), "cannot be read"),
    ],
)
def test_what_a_caller_got_wrong_is_no_failure_of_the_job(
    repository: Path, channel: Channel, arguments: tuple[str, ...], why: str
) -> None:
    channel.told.clear()
    before = OperationsLog(f"sqlite:///{repository / DATA / 'operations.db'}").records(ALWAYS)
    done = run(
        *(repository, "python", "scripts/refresh.py", *arguments), env=env_of(repository, channel)
    )
    assert done.returncode == 2, done.stderr
    assert why in " ".join(done.stderr.split())
    assert channel.told == []
    after = OperationsLog(f"sqlite:///{repository / DATA / 'operations.db'}").records(ALWAYS)
    assert after == before


def compiled(file: Path) -> bool:
    return "__pycache__" in file.parts


@pytest.mark.parametrize("job", ["retain", "check"])
def test_a_profile_that_was_cut_off_starts_no_other_registry(repository: Path, job: str) -> None:
    profile = repository / "feature_store.yaml"
    text = profile.read_text("utf-8")
    profile.write_text(text[: text.index("registry_type") + len("registry_typ")], encoding="utf-8")
    before = {*repository.rglob("*")}
    done = command(repository, job)
    assert done.returncode == {"retain": 2, "check": 1}[job], done.stdout + done.stderr
    told = {
        "retain": "refused: feature_store.yaml names the registry registry_typ, which is not there",
        "check": f"no registry at {repository}/registry_typ: run `feast apply`",
    }
    assert told[job] in done.stdout + done.stderr
    made = {file.name for file in {*repository.rglob("*")} - before if not compiled(file)}
    assert made <= {"writing.lock"}


def test_a_registry_that_was_removed_is_missed_and_one_in_its_place_is_read(
    repository: Path, refreshed: Path
) -> None:
    from feature_access.registry import open_store, read_again

    def served() -> set[str]:
        return {
            service.name
            for service in store.registry.list_feature_services(store.project, allow_cache=True)
        }

    registry = FILES["registry.db"](repository)
    store = open_store(repository, registry_expires=False)
    read_again(store)
    both = served()
    registry.unlink()
    with pytest.raises(FileNotFoundError, match="the registry is gone"):
        read_again(store)
    assert not registry.exists()
    assert served() == both
    restored = registry.with_name("restored.db")
    shutil.copy(FILES["registry.db"](refreshed), restored)
    with closing(sqlite3.connect(restored)) as database, database:
        database.execute(
            "DELETE FROM feature_services WHERE feature_service_name = 'customer_profile'"
        )
    restored.replace(registry)
    read_again(store)
    assert served() == both - {"customer_profile"} != both


def test_what_jobs_make_is_for_their_own_user_but_the_metrics(repository: Path) -> None:
    before = os.umask(0o022)
    try:
        assert command(repository, "refresh").returncode == 0
        done = command(repository, "build_training_set", at=LATER.isoformat())
        assert done.returncode == 0, done.stderr
    finally:
        os.umask(before)
    data = repository / DATA
    known = (repository / "labels.parquet").stat().st_mtime
    made = {file for file in data.rglob("*") if file.stat().st_mtime > known}
    modes = {
        f.relative_to(data).as_posix(): f.stat().st_mode & 0o077
        for f in made
        if f.suffix in (".parquet", ".json", ".prom") and f.is_file() and not f.is_symlink()
    }
    assert {name for name, mode in modes.items() if mode} == {"metrics/refresh.prom"}
    assert any(name.endswith("set.parquet") for name in modes)
    assert (data / "online_store.db").stat().st_mode & 0o077 == 0  # `feast apply` made it


def test_a_refresh_in_whose_window_no_event_falls_is_done(repository: Path) -> None:
    done = command(repository, "refresh", at=(PRESENT + 90 * DAY).isoformat())
    assert "failed" not in done.stderr, done.stderr
    assert done.returncode == 1, done.stderr  # for the source is silent
    assert "source silent: no event has arrived since" in done.stdout
    log = OperationsLog(f"sqlite:///{repository / DATA / 'operations.db'}")
    last = log.records(ALWAYS, ["refresh"])[-1]
    assert last.passed
    assert len(last.figures["outliers"]) == 4
    assert set(last.figures["outliers"].values()) == {0}


def test_a_disk_that_is_full_is_no_broken_clause(repository: Path, channel: Channel) -> None:
    channel.told.clear()
    at = LATER.isoformat()
    full = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)); "
        f"sys.argv = ['scripts/refresh.py', '--as-of', '{at}']; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    (repository / "full.py").write_text(full)
    before = {f: f.read_bytes() for f in (repository / DATA).rglob("*.parquet") if f.is_file()}
    failed(run(repository, "python", "full.py", env=env_of(repository, channel)))
    assert "§4 refresh cadence refresh begun" in channel.told[0]
    assert (
        before.items()
        <= {
            f: f.read_bytes() for f in (repository / DATA).rglob("*.parquet") if f.is_file()
        }.items()
    )
    assert command(repository, "refresh").returncode == 0


# The last handler alone


class TheirsError(Exception):
    """Of a library."""


TheirsError.__module__ = "sqlalchemy.exc"
IDENTIFIER = "4711"
OUTSIDE = [
    (OSError(28, "No space left on device", "data/x"), "OSError: No space left on device: data/x"),
    (MemoryError(), "MemoryError"),
    (duckdb.IOException("IO Error: 'alice'"), "IOException: IO Error: '…'"),
    (TheirsError(f"no 'alice', no {IDENTIFIER}\nDETAIL: bob"), "TheirsError: no '…', no #"),
    (RefusedError("no events at x: name others"), "RefusedError: no events at x: name others"),
    (UnicodeDecodeError("utf-8", b"alice", 0, 1, "bad"), "UnicodeDecodeError: '…' codec can"),
]


def outcome_of(
    error: BaseException, folder: Path, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    def command() -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        failure.run(command, folder)
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(("error", "told"), OUTSIDE)
def test_a_failure_outside_ends_with_2_and_quotes_nothing(
    error: Exception, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, said = outcome_of(error, tmp_path, capsys)
    assert (code, said.count("\n")) == (2, 1)
    assert said.startswith(f"failed: {told}")
    assert said.endswith(": mend that, then run again\n")
    assert not any(name in said for name in ("alice", "bob", IDENTIFIER))


@pytest.mark.parametrize(
    "error",
    [KeyError("alice"), TypeError(f"int {IDENTIFIER}"), ValueError("bad: 'alice'"), IndexError()],
)
def test_our_own_fault_ends_with_70_and_keeps_where_it_came_about(
    error: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "feature_store.yaml").touch()
    error.__cause__ = ConnectionError(111, "refused", "x")
    code, said = outcome_of(error, tmp_path, capsys)
    assert (code, said.count("\n")) == (70, 1)
    log = tmp_path / "data" / "failures.log"
    assert "an error of this program, not of its input. Report it to its maintainers with" in said
    assert str(log) in said
    kept = log.read_text()
    assert "raise error" in kept and type(error).__name__ in kept
    assert kept.startswith("ConnectionError: refused: x\n")
    assert not any(name in said + kept for name in ("alice", IDENTIFIER))
    assert log.stat().st_mode & 0o777 == 0o600


def test_another_projects_data_is_neither_read_nor_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "operations.db").write_bytes(b"no database")
    code, said = outcome_of(KeyError("alice"), tmp_path, capsys)
    assert code == 70
    assert "Report it to its maintainers, with KeyError: '…'" in said
    assert "alice" not in said
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["operations.db"]


def test_a_secret_of_the_environment_is_told_to_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = {"FEATURE_STORE_REGISTRY": "u:pa/ss@host", "PGPASSWORD": "opensesame"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    _, said = outcome_of(TheirsError(f"cannot reach {secrets.values()}"), tmp_path, capsys)
    assert "cannot reach" in said
    assert not any(value in said for value in secrets.values())


@pytest.mark.parametrize("fault", [garbled, truncated])
@pytest.mark.parametrize("name", ["operations.db", "part.parquet", "_watermark.json"])
def test_a_damaged_file_is_named_whatever_the_error(
    name: str, fault: Callable[[Path], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "data" / "log.parquet" / name
    file.parent.mkdir(parents=True)
    (tmp_path / "feature_store.yaml").touch()
    if file.suffix == ".db":
        OperationsLog(f"sqlite:///{file}").append(Record("drift", "v", PRESENT, True))
    elif file.suffix == ".parquet":
        pq.write_table(pa.table({"customer_id": list(range(1000))}), file)
    else:
        file.write_text(json.dumps({"as_of": PRESENT.isoformat(), "kept": 12}))
    assert list(damaged_files(tmp_path)) == []
    fault(file)
    code, said = outcome_of(KeyError("alice"), tmp_path, capsys)
    assert code == 2
    assert said.startswith(f"failed: data/log.parquet/{name} is damaged (")
    assert said.endswith("): restore it from a backup, then run again\n")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("raise typer.Exit(1)", 1),
        ("raise typer.Exit(0)", 0),
        ("pass", 0),
        ("raise BrokenPipeError(32, 'Broken pipe')", 2),
        ("raise typer.Abort", 2),
        ("raise EOFError", 2),
        ("raise KeyboardInterrupt", 130),
        ("raise typer.BadParameter('no')", 2),
        ("raise ZeroDivisionError", 70),
    ],
)
def test_1_is_only_what_a_command_says_itself(body: str, code: int, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import typer\nfrom pathlib import Path\nfrom contract_checks.failure import run\n"
        f"app = typer.Typer(pretty_exceptions_enable=False)\n"
        f"@app.command()\ndef main() -> None:\n    {body}\n"
        "run(app, Path())\n"
    )
    done = run_warm([script], tmp_path, os.environ | {"PYTHONPATH": str(ROOT)})
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def _by_replacing(target: Path) -> None:
    with replacing(target) as draft:
        draft.write_text("whole")


@pytest.mark.parametrize("write", [_by_replacing, lambda target: atomic.write(target, "whole")])
@pytest.mark.parametrize("name", ["set.parquet", "a[b]*.md"])
def test_what_a_killed_run_left_goes_with_the_next_that_writes_there(
    name: str, write: Callable[[Path], None], tmp_path: Path
) -> None:
    gone, running = 999_999_999, os.getppid()
    (tmp_path / f".{name}.{gone}.draft").touch()
    others = {f".{name}.{running}.draft", f".another_{name}.{gone}.draft", f".{name}.mine.draft"}
    for other in others:
        (tmp_path / other).touch()
    write(tmp_path / name)
    assert {file.name for file in tmp_path.iterdir()} == others | {name}
    assert (tmp_path / name).read_text() == "whole"


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda text: b"",
        lambda text: b"\n",
        lambda text: text[:-20],
        lambda text: text[30:],
        lambda text: text.upper(),
        lambda text: text + b"4711\n",
        lambda text: b"\x81" * len(text),
    ],
)
def test_a_list_of_erased_customers_that_is_damaged_is_no_list(
    spoilt: Callable[[bytes], bytes], refreshed: Path, tmp_path: Path
) -> None:
    """Whoever it no longer holds would come back with the next delivery."""
    text = FILES["erased"](refreshed).read_bytes()
    file = tmp_path / "erased_customers.txt"
    file.write_bytes(text)
    assert 2 in read_erased(file, KEY.encode())
    file.write_bytes(spoilt(text))
    with pytest.raises(RefusedError, match=r"is damaged: .* Restore it from a backup"):
        read_erased(file, KEY.encode())


EVERY_JOB = [(job, file, garbled) for job in JOBS for file in FILES if job != "ingest"]
ITS_OWN = [("ingest", "operations.db", garbled), ("ingest", "events", garbled)]
EVERY_FAULT = [
    (job, file, fault)
    for job in ("refresh", "check", "build_training_set")
    for file in FILES
    for fault in (truncated, absent, emptied)
]


@pytest.mark.slow
@pytest.mark.parametrize(("job", "file", "fault"), EVERY_JOB + ITS_OWN + EVERY_FAULT)
def test_no_job_ends_in_a_traceback(
    repository: Path, job: str, file: str, fault: Callable[[Path], None]
) -> None:
    fault(FILES[file](repository))
    done = command(repository, job)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode in (0, 1, 2), done.stderr
    assert done.returncode != 2 or done.stderr.strip() or "unknown" in done.stdout
