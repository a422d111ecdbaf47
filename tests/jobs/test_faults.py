"""Every job, killed, stopped, on a full disk and over files that are not whole: nothing is lost.

Whatever meets a job, it ends with 0, 1 or 2 and says why in a line; and the next run leaves every
store, file and record as a run leaves them that met nothing. docs/faults.md counts what was tried.
"""

import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from fault_cases import DISK, FILES, LISTENERS, SIGNALLED, TOLD, place_of
from fault_injection import DAMAGE, SIGNALS, Done, command
from fault_jobs import BASES, JOBS, PRESENT, environment
from fault_state import State, differences, state_of, tables_of
from fault_table import PROPERTY, note

from contract_checks.damaged_files import damaged_files

pytestmark = pytest.mark.slow

FEASTS = {"feast apply"}
"""Feast's own command line: a traceback and a 1 are its way to fail."""

ONCE = {"rollback", "alerts drop", "scaffold"}
"""They refuse to do again what is done."""
OF_THE_MACHINE = {"load_test", "promote"}
"""They measure how fast it is."""


class Unharmed(NamedTuple):
    done: Done
    before: State
    after: State
    longest: int
    """Bytes of the longest file it wrote."""


class Bench:
    """Where repositories are made, copied, harmed and compared: a registry holds absolute paths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.place = folder / "repository"
        self._unharmed: dict[str, Unharmed] = {}

    def fresh(self, base: str) -> Path:
        pristine = self._folder / base
        if not pristine.exists():
            shutil.rmtree(self.place, ignore_errors=True)
            BASES[base](self.place)
            self.place.rename(pristine)
        shutil.rmtree(self.place, ignore_errors=True)
        return shutil.copytree(pristine, self.place, symlinks=True)

    def restore(self, base: str, file: Path) -> None:
        """From a backup, in the place that the job's message named."""
        file.unlink(missing_ok=True)
        shutil.copy2(self._folder / base / file.relative_to(self.place), file)

    def run(self, job: str, listeners: Mapping[str, str] | None = None, **fault: Any) -> Done:
        held = environment(self.place, **(listeners or {}))
        return command(JOBS[job].words, self.place, held, **fault)

    def unharmed(self, job: str) -> Unharmed:
        if job not in self._unharmed:
            self.fresh(JOBS[job].base)
            before, sizes = state_of(self.place), self._sizes()
            done = self.run(job)
            assert done.code in (0, 1, 2), done.out + done.err
            after = state_of(self.place)
            written = {f: s for f, s in self._sizes().items() if sizes.get(f) != s}
            longest = max((size for size, _ in written.values()), default=0)
            self._unharmed[job] = Unharmed(done, before, after, longest)
        return self._unharmed[job]

    def _sizes(self) -> dict[Path, tuple[int, int]]:
        files = [f for f in self.place.rglob("*") if f.is_file()]
        return {f: (f.stat().st_size, f.stat().st_mtime_ns) for f in files}


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return Bench(tmp_path_factory.mktemp("faults"))


@pytest.fixture
def tell(record_property: Callable[[str, object], None]) -> Iterator[list[str]]:
    told: list[str] = []
    yield told
    if told:
        record_property(PROPERTY, told)
        note(*told)


def content_of(file: Path) -> bytes | None:
    return file.read_bytes() if file.exists() else None


def in_words(done: Done) -> str:
    return "killed" if done.code < 0 else str(done.code)


def ended_well(job: str, done: Done, *, signalled: bool = False) -> None:
    """It says what happened in a line, and its exit code is one of those that are documented."""
    said = done.out + done.err
    if job in FEASTS and done.code:
        return
    assert "Traceback" not in said, said
    assert done.code in (0, 1, 2), (done.code, said)
    if done.code == 2 and not signalled:
        assert done.err.strip() or "unknown" in done.out, said


def whole(bench: Bench, job: str, unharmed: Unharmed) -> None:
    """Readers see the tables of before or of after, never half of either.

    A step back from a time to come first lets go of what was stamped since the last right refresh.
    """
    assert list(damaged_files(bench.place)) == []
    for name, rows in tables_of(bench.place).items():
        before, after = unharmed.before.tables[name], unharmed.after.tables[name]
        right = [row for row in before or [] if row.get("event_timestamp", PRESENT) <= PRESENT]
        assert rows in (before, after) or (job == "step_back" and rows == right), name


def ends_where(bench: Bench, job: str, unharmed: Unharmed) -> None:
    again = bench.run(job)
    ended_well(job, again)
    may = {2} if job in ONCE else {0, 1, 2} if job in OF_THE_MACHINE else set()
    assert again.code in {unharmed.done.code} | may, again
    assert differences(state_of(bench.place), unharmed.after) == []


class TestSignals:
    """SIGKILL, SIGTERM and SIGINT at an instant drawn from the time that the job takes."""

    @pytest.mark.parametrize(("job", "kind", "number"), SIGNALLED)
    def test_a_job_that_is_stopped(
        self, bench: Bench, tell: list[str], job: str, kind: str, number: int
    ) -> None:
        unharmed = bench.unharmed(job)
        bench.fresh(JOBS[job].base)
        instant = Random(f"{job} {kind} {number}").uniform(0, unharmed.done.seconds)
        done = bench.run(job, signalled=(instant, SIGNALS[kind]))
        if done.code == -SIGNALS[kind] and (kind == "SIGKILL" or job in FEASTS):
            assert "Traceback" not in done.out + done.err
        else:
            ended_well(job, done, signalled=True)
        whole(bench, job, unharmed)
        ends_where(bench, job, unharmed)
        tell += [job, kind, in_words(done)]


class TestFullDisk:
    """No file can grow beyond a size drawn from those of the files that the job writes."""

    @pytest.mark.parametrize(("job", "kind", "number"), DISK)
    def test_a_job_whose_disk_is_full(
        self, bench: Bench, tell: list[str], job: str, kind: str, number: int
    ) -> None:
        unharmed = bench.unharmed(job)
        bench.fresh(JOBS[job].base)
        size = Random(f"{job} {kind} {number}").randrange(unharmed.longest + 1)
        done = bench.run(job, full_at=size)
        ended_well(job, done)
        whole(bench, job, unharmed)
        ends_where(bench, job, unharmed)
        tell += [job, kind, in_words(done)]


class TestFiles:
    """Each file that a job reads is truncated, garbled or gone; then a backup is put in place."""

    @pytest.mark.parametrize(("job", "kind", "damage"), FILES)
    def test_a_job_over_a_file_that_is_not_whole(
        self, bench: Bench, tell: list[str], job: str, kind: str, damage: str
    ) -> None:
        unharmed = bench.unharmed(job)
        file = place_of(kind, bench.fresh(JOBS[job].base))
        version = file.parent.resolve()
        DAMAGE[damage](file)
        damaged = content_of(file)
        done = bench.run(job)
        ended_well(job, done)
        # A table of which the job made another version may hold that part no more, or another.
        stays = version == file.parent.resolve() or damaged == content_of(file) is not None
        if stays or not file.parent.is_symlink():
            bench.restore(JOBS[job].base, file)
        ends_where(bench, job, unharmed)
        tell += [job, kind, in_words(done)]


class TestListeners:
    """Whom a job tells of what it did takes the connection and never answers, or is not there."""

    @pytest.mark.parametrize(("job", "kind", "number"), TOLD)
    def test_a_job_that_nobody_hears(
        self, bench: Bench, tell: list[str], job: str, kind: str, number: int
    ) -> None:
        unharmed = bench.unharmed(job)
        bench.fresh(JOBS[job].base)
        with socket.create_server(("127.0.0.1", 0), backlog=100) as mute:
            port = mute.getsockname()[1] if kind.endswith("hung") else 1
            done = bench.run(job, {LISTENERS[kind]: f"http://127.0.0.1:{port}/secret"})
        ended_well(job, done)
        may = {0, 1} if job in OF_THE_MACHINE else {unharmed.done.code}
        assert done.code in may, done.out + done.err
        assert "secret" not in done.out + done.err
        whole(bench, job, unharmed)
        ends_where(bench, job, unharmed)
        tell += [job, kind, in_words(done)]
