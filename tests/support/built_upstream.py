"""The dbt project, built as its owner does."""

import os
import subprocess
from pathlib import Path

from feast_copy import ROOT
from postgres_server import Database
from warehouse import PURCHASES, SECRET

PROJECT = ROOT / "customer_activity"
DBT = PROJECT / ".venv" / "bin" / "dbt"
YEARS_END = "2018-01-02T00:00:00"


def dbt(
    folder: Path, *arguments: str, as_of: str = YEARS_END, **environment: str
) -> "subprocess.CompletedProcess[str]":
    """dbt, with all that it makes in the folder."""
    return subprocess.run(
        [DBT, "--no-use-colors", *arguments, "--vars", f"{{as_of: '{as_of}'}}"],
        cwd=PROJECT,
        env=os.environ
        | {
            "DBT_TARGET_PATH": str(folder / "target"),
            "DBT_LOG_PATH": str(folder / "logs"),
            "CUSTOMER_ACTIVITY_DATABASE": str(folder / "warehouse.duckdb"),
            "CUSTOMER_ACTIVITY_EVENTS": str(folder / "events.parquet"),
            "CUSTOMER_ACTIVITY_PURCHASES": PURCHASES,
        }
        | environment,
        capture_output=True,
        text=True,
    )


def built(folder: Path, *arguments: str, as_of: str = YEARS_END, **environment: str) -> None:
    done = dbt(folder, "build", *arguments, as_of=as_of, **environment)
    assert done.returncode == 0, done.stdout
    assert "PASS=27" in done.stdout


def login_of(warehouse: Database, user: str) -> dict[str, str]:
    """The environment in which a job of the warehouse works."""
    return {
        "FEATURE_STORE_WAREHOUSE_HOST": "127.0.0.1",
        "FEATURE_STORE_WAREHOUSE_PORT": str(warehouse.port),
        "FEATURE_STORE_WAREHOUSE_DATABASE": warehouse.name,
        "FEATURE_STORE_WAREHOUSE_USER": user,
        "FEATURE_STORE_WAREHOUSE_PASSWORD": SECRET,
        "FEATURE_STORE_WAREHOUSE_SSLMODE": "disable",
    }
