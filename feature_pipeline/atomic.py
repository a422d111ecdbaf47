"""Write a file whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feature_pipeline.refusal import RefusedError


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a draft beside `target` to write to; put it in place on success, drop it on failure.

    The draft lies in the target's own folder, because only a rename within one file system is
    atomic. Its name carries the process, so two jobs never write the same draft.

    Raises:
        RefusedError: the target's folder cannot be written, or the target is a folder.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        draft.touch()
    except OSError as error:
        raise RefusedError(f"cannot write {target} ({error}): name a file you may write") from error
    try:
        yield draft
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
