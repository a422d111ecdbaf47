"""The folder by which frames and answers travel between a read and Spark's workers."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from socket import gethostname
from tempfile import TemporaryDirectory, TemporaryFile

from feast import RepoConfig

from storage.errors import RefusedError
from storage.spark_parquet import LostRowsError
from storage.spark_session import failures_refused

_ROOM = 2**20  # bytes
_NAME_ANOTHER = (
    "set FEATURE_STORE_SPARK_STAGING (staging_location in the profile) to a folder, by its "
    "absolute path, that this job and every worker see and may write"
)


def refuse_unusable_staging(config: RepoConfig) -> None:
    """Make sure of the folder for frames and answers before anything is written anywhere.

    Raises:
        RefusedError: it is no folder of a file system by an absolute path, is not there, is full,
            or cannot be written.
    """
    named = config.offline_store.staging_location
    if why := _why_unusable(named):
        raise RefusedError(f"the staging folder {named or ''!r} {why}: {_NAME_ANOTHER}")


def _why_unusable(named: str | None) -> str | None:
    if not named:
        return "is not named"
    if re.match(r"\w[\w+.-]+:", named):
        return "is an address, where a folder of a file system is needed"
    if not Path(named).is_absolute():
        return "is no absolute path, which a worker would look for elsewhere"
    if not Path(named).is_dir():
        return "is not there"
    try:
        with TemporaryFile(dir=named, buffering=0) as room:
            written = room.write(bytes(_ROOM))
            os.fsync(room.fileno())
    except OSError as error:
        return f"cannot be written ({error.strerror})"
    return None if written == _ROOM else "is full"


@contextmanager
def staging_folder(config: RepoConfig) -> Iterator[Path]:
    """A folder that every worker sees, which goes when the answer is read.

    A job that was killed leaves its own, customers and all: the next on its machine clears it.

    Raises:
        RefusedError: see `refuse_unusable_staging`; also when Spark fails in the block, or rows
            that a worker wrote are not in the folder.
    """
    refuse_unusable_staging(config)
    folder, here = config.offline_store.staging_location, f"staged-{gethostname()}-"
    for left in Path(folder).glob(f"{here}*"):
        if not _is_running(int(left.name.rsplit("-", 1)[-1])):
            rmtree(left, ignore_errors=True)
    with (
        TemporaryDirectory(dir=folder, prefix=here, suffix=f"-{os.getpid()}") as staging,
        failures_refused(RefusedError, "Spark did not read the offline table"),
    ):
        try:
            yield Path(staging)
        except LostRowsError as lost:
            raise RefusedError(f"{lost}: {_NAME_ANOTHER}") from lost


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
