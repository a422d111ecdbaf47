"""Write a file whole or not at all."""

import os
from glob import escape
from pathlib import Path
from shutil import copymode


def write(target: Path, text: str) -> None:
    """Replace a file, or make it and its folder; line endings are written as they are.

    The draft lies beside the target, because only a rename within one file system is atomic.

    Raises:
        OSError: the target cannot be written; it is as it was.
    """
    whole = target.resolve()  # of a link the file it leads to is replaced, not the link
    whole.parent.mkdir(parents=True, exist_ok=True)
    draft = whole.with_name(f".{whole.name}.{os.getpid()}.draft")
    for left in whole.parent.glob(f".{escape(whole.name)}.*.draft"):
        if not _is_running(left.suffixes[-2].removeprefix(".")):  # it was killed
            left.unlink(missing_ok=True)
    try:
        draft.write_bytes(text.encode())
        if whole.exists():
            copymode(whole, draft)
        draft.replace(whole)
    finally:
        draft.unlink(missing_ok=True)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
