"""How our code meets Spark: started in silence, set up one way, its failures told in one line.

Spark's driver is a Java process. It speaks on standard error before any level can be set, and tells
of a failure in a hundred lines of Java, in which customers may stand. So what it says goes to a
file without a name, of which only the end is told where it does not start; and whatever a call into
Spark raises is told here, in words that name no value.
"""

import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, NoReturn
from urllib.parse import unquote

from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark import SparkConf, SparkContext
from pyspark.errors import PySparkException
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

warnings.filterwarnings(
    "ignore", r"The spark (offline store|data source)", RuntimeWarning
)  # Feast's
logging.getLogger("py4j").setLevel(logging.CRITICAL + 1)  # the same failure, with its frames

SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a sum too large is an error, and no NULL
    "spark.sql.caseSensitive": "true",  # a column beside one that differs in case is another
    "spark.sql.parser.quotedRegexColumnNames": "false",  # Feast's takes quoted names for patterns
    "spark.sql.files.ignoreMissingFiles": "false",  # or rows are missing and nobody says so
    "spark.sql.files.ignoreCorruptFiles": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.datetimeRebaseModeInRead": "CORRECTED",  # an instant of long ago stays
    "spark.sql.parquet.datetimeRebaseModeInWrite": "CORRECTED",
}
"""Settings of every session of ours, whatever the cluster or the one it stems from is set to."""


def own_session(session: SparkSession) -> SparkSession:
    """One with settings and views of its own."""
    own = session.newSession()
    for name, value in SETTINGS.items():
        own.conf.set(name, value)
    return own


def start_silently(settings: Mapping[str, str]) -> None:
    """Start Spark's driver with these settings, where this process has none yet.

    Raises:
        NotStartedError: it did not start.
    """
    if SparkContext._gateway is not None:
        return
    with TemporaryFile() as said:
        try:
            configured = SparkConf().setAll(list(settings.items()))
            gateway = launch_gateway(configured, {"stdout": said, "stderr": said})  # type: ignore[no-untyped-call]
        except (PySparkException, OSError) as error:
            raise NotStartedError(_complaint(said) or type(error).__name__) from None
    SparkContext._ensure_initialized(gateway=gateway)


class NotStartedError(RuntimeError):
    """Spark's driver ended before it answered; the message is what it said."""


def _complaint(said: IO[bytes]) -> str:
    said.seek(0)
    lines = said.read().decode(errors="replace").splitlines()
    telling = [line for line in lines if re.search(r"error|exception|not ", line, re.IGNORECASE)]
    return (telling or lines or [""])[0].strip()[:200]


FAILURES = (PySparkException, Py4JError, ConnectionError, EOFError, NotStartedError)
"""What a call into Spark raises; the connection is the one to its driver."""


@contextmanager
def failures_refused(refuse: Callable[[str], Exception], what: str) -> Iterator[None]:
    """Raise what `refuse` makes of a failure of Spark's in the block: `what`, why, what to do."""
    try:
        yield
    except FAILURES as error:
        _raise(refuse(f"{what}: {why_it_failed(error)}"))


def _raise(refusal: Exception) -> NoReturn:
    # Not from the failure: whoever prints the refusal would print its hundred lines as well.
    raise refusal from None


def why_it_failed(error: Exception) -> str:
    """Why, and what to do, in words without values: those of rows may be a customer's."""
    said = _said(error)
    if _has_ended(error, said):
        return (
            "Spark's driver, a Java process, ended in the middle of it: where memory ran out, give "
            "spark.driver.memory more in the profile; then run again"
        )
    for pattern, why in _KNOWN.items():
        if re.search(pattern, said):
            return why.format(file=_file_in(said))
    if isinstance(error, NotStartedError):
        return f"Spark's driver does not start ({error}): install Java 17 or later, or mend that"
    return f"Spark gave up ({_kind_of(error, said)}): mend that, then run again"


def is_of_a_file(error: Exception) -> bool:
    """Whether Spark failed because it cannot read a file."""
    return bool(re.search(_UNREADABLE, _said(error)))


_MISSING = r"FILE_NOT_EXIST|FileNotFoundException|PATH_NOT_FOUND"
_UNREADABLE = r"FAILED_READ_FILE|CANNOT_READ_FILE"
_KNOWN = {
    _MISSING: (
        "a worker does not find {file}: let every worker see data/data_warehouse and the folder "
        "of FEATURE_STORE_SPARK_STAGING under the same path"
    ),
    r"No space left on device|Disk quota exceeded": (
        "a disk is full: make room where the lake, FEATURE_STORE_SPARK_STAGING or spark.local.dir "
        "lies, then run again"
    ),
    r"OutOfMemoryError|Container killed by YARN|ExecutorLostFailure": (
        "memory ran out: give spark.executor.memory more in the profile, or spark.driver.memory "
        "where the master is local, then run again"
    ),
    _UNREADABLE: (
        "a part cannot be read to its end ({file}): write it anew from where its rows came"
    ),
    r"AccessControlException|AccessDeniedException|Permission denied": (
        "a worker may not read or write {file}: run the workers as a user who may"
    ),
    r"ARITHMETIC_OVERFLOW|CAST_OVERFLOW|NUMERIC_VALUE_OUT_OF_RANGE": (
        "sums grow beyond what a feature can hold: mend the amounts and run again"
    ),
    r"[Mm]aster URL|Master must|masters? (?:is|are) unresponsive|Invalid master"
    r"|UnknownHostException|HADOOP_CONF_DIR|stopped SparkContext|[Cc]ontext (?:was )?stopped": (
        "no Spark is at the master that FEATURE_STORE_SPARK_MASTER names: set it to local[N], "
        "spark://HOST:PORT or yarn, of a cluster that runs"
    ),
}
"""What Spark says, and what that means here; the first that is found counts."""


def _said(error: Exception) -> str:
    """What it says, its causes in Java included."""
    try:
        return f"{error}\n{getattr(error, '_stackTrace', '')}"
    except FAILURES:  # the text is asked of the driver, which may have ended
        return ""


def _has_ended(error: Exception, said: str) -> bool:
    if isinstance(error, Py4JNetworkError | ConnectionError | EOFError) or not said:
        return True
    return type(error) is Py4JError and "Trace:" not in said  # it was called, and did not answer


def _file_in(said: str) -> str:
    """The path of the file that it speaks of."""
    found = re.search(r"(?:file:(?://)?|Exception: )(/.+?)(?:\. |\.?$| does not| \()", said, re.M)
    return unquote(found[1]) if found else "a file"


def _kind_of(error: Exception, said: str) -> str:
    condition = re.search(r"\[([A-Z][A-Z_]+(?:\.[A-Z_]+)*)\]", said)
    java = re.findall(r"\b((?:java|scala|org\.apache)[\w.]*(?:Exception|Error))\b", said)
    return condition[1] if condition else java[-1] if java else type(error).__name__
