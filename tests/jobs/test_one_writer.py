"""One job at a time writes to a lake, whichever checkout it is of; a killed one bars no other."""

import errno
import fcntl
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from waiting import GIVE_UP_SECONDS

from jobs import repository
from jobs.repository import NotBegunError, writing_alone
from storage.atomic import clear_drafts, scratch_folder


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    """Two checkouts, `here` and `there`, that share it: by a link, and by the path of a mount."""
    lake = tmp_path / "there" / "data" / "data_warehouse"
    lake.mkdir(parents=True)
    (tmp_path / "here" / "data").mkdir(parents=True)
    (tmp_path / "here" / "data" / "data_warehouse").symlink_to(lake)
    return lake


def stand_in(monkeypatch: pytest.MonkeyPatch, checkout: Path) -> None:
    monkeypatch.setattr(repository, "ROOT", checkout)


def test_of_two_checkouts_on_one_lake_one_writes(lake, tmp_path, monkeypatch) -> None:
    for first, second in (("here", "there"), ("there", "here")):
        stand_in(monkeypatch, tmp_path / first)
        with writing_alone():
            stand_in(monkeypatch, tmp_path / second)
            with pytest.raises(NotBegunError, match="another job is writing"), writing_alone():
                pytest.fail("two jobs at once")
    with writing_alone():
        stand_in(monkeypatch, tmp_path / "with_a_lake_of_its_own")
        with writing_alone():
            pass


def killed_while_writing(checkout: Path) -> None:
    repository.ROOT = checkout
    with writing_alone():
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_killed_job_keeps_nobody_out(lake, tmp_path, monkeypatch) -> None:
    killed = multiprocessing.get_context("fork").Process(
        target=killed_while_writing, args=[tmp_path / "here"]
    )
    killed.start()
    killed.join(GIVE_UP_SECONDS)
    assert killed.exitcode == -signal.SIGKILL
    stand_in(monkeypatch, tmp_path / "there")
    with writing_alone():
        pass


@pytest.mark.parametrize("lacking", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_nobody_can_be_kept_out_nothing_begins(lake, tmp_path, monkeypatch, lacking) -> None:
    def no_locks(*_: Any) -> None:
        raise OSError(lacking, os.strerror(lacking))

    stand_in(monkeypatch, tmp_path / "here")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    refused = pytest.raises(NotBegunError, match=r"cannot be locked .*, and no object store")
    with refused, writing_alone():
        pytest.fail("it began")


def test_a_lake_that_is_not_mounted_is_no_lake(lake, tmp_path, monkeypatch) -> None:
    lake.rename(tmp_path / "elsewhere")
    stand_in(monkeypatch, tmp_path / "here")
    with pytest.raises(NotBegunError, match="cannot be locked"), writing_alone():
        pytest.fail("it began")


def test_an_error_of_the_job_is_no_lock_that_is_missing(lake, tmp_path, monkeypatch) -> None:
    stand_in(monkeypatch, tmp_path / "here")
    with pytest.raises(PermissionError), writing_alone():
        raise PermissionError
    with writing_alone():
        pass


def test_what_a_killed_job_left_in_a_shared_lake_goes(lake, tmp_path) -> None:
    dead, alive = (lake / f".spark.xyz.{pid}.draft" for pid in (2**22 + 1, os.getpid()))
    for draft in (dead, alive):
        draft.mkdir()
        (draft / "part-0.parquet").touch()
    assert clear_drafts(tmp_path / "here" / "data") == 1
    assert alive.is_dir() and not dead.exists()


def test_what_a_killed_job_worked_in_goes_with_the_next_of_its_kind(tmp_path) -> None:
    dead, alive = (tmp_path / f".backfill.x.{pid}.draft" for pid in (2**22 + 1, os.getpid()))
    other = tmp_path / f".shadow.x.{2**22 + 1}.draft"
    for draft in (dead, alive, other):
        draft.mkdir()
    with scratch_folder(tmp_path, "backfill"):
        assert not dead.exists()
        assert alive.is_dir() and other.is_dir()
