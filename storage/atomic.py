"""Write a file whole or not at all."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory

from storage.errors import RefusedError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a draft beside `target` to write to; put it in place on success, drop it on failure.

    The draft lies in the target's own folder, because only a rename within one file system is
    atomic. Its name carries the process, so two jobs never write the same draft, and one that was
    killed leaves its own to the next that writes this target.

    Raises:
        RefusedError: the target's folder cannot be written, or the target is a folder.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        _clear(target.parent.glob(f".{escape(target.name)}.*.draft"))  # of a run that was killed
        draft.touch()
    except OSError as error:
        raise RefusedError(f"cannot write {target} ({error}): name a file you may write") from error
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


@contextmanager
def scratch_folder(beside: Path, name: str) -> Iterator[Path]:
    """Give a folder in `beside` that goes when the work is done; it carries the process, too.

    One of that name that a killed process left there goes first.
    """
    _clear(beside.glob(f".{name}.*.draft"))
    with TemporaryDirectory(dir=beside, prefix=f".{name}.", suffix=f".{os.getpid()}.draft") as made:
        yield Path(made)


def clear_drafts(folder: Path) -> int:
    """Remove the drafts below a folder whose process is gone: what killed jobs left there.

    A lake that several share is a link in it, to a folder elsewhere.
    """
    linked = [entry.resolve() for entry in folder.glob("*") if entry.is_symlink()]
    return _clear(draft for place in (folder, *linked) for draft in place.rglob(".*.draft"))


def _clear(found: Iterable[Path]) -> int:
    drafts = [draft for draft in found if not _is_running(draft.suffixes[-2])]
    for draft in drafts:
        if draft.is_dir():
            rmtree(draft, ignore_errors=True)
        else:
            draft.unlink(missing_ok=True)
    return len(drafts)


def _is_running(suffix: str) -> bool:
    try:
        os.kill(int(suffix.removeprefix(".")), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
