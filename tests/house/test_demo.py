"""`make demo`, the whole of it, in a copy of the repository: words, files and exit code."""

import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import Demonstration, its_own
from feast_copy import run

from storage.parquet_table import parts_of


@pytest.fixture(scope="module")
def copy(demonstration: Demonstration, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What it left, in a folder of its own, where its registry has to be told the paths."""
    copy = tmp_path_factory.mktemp("demo") / "repository"
    shutil.copytree(demonstration.repository, copy, symlinks=True)
    applied = run(copy, "feast", "apply", env=its_own(copy))
    assert applied.returncode == 0, applied.stdout + applied.stderr
    return copy


def test_it_keeps_its_contract(demonstration: Demonstration) -> None:
    """The fixture saw exit code 0, though files of another run lay in the way."""
    assert "71 kept, 0 broken," in demonstration.stdout
    assert "142,594 events ingested: 116,018 kept, 26,576 superseded, 0" in demonstration.stdout
    assert "plain, over HTTP and offline agree" in demonstration.stdout


def test_each_step_is_told(demonstration: Demonstration) -> None:
    lines = demonstration.stderr.splitlines()
    told = [line.split(" ")[0] for line in lines if line[:1].isdigit()]
    assert told == ["1", "2", "3", "4", "5", "6", "7", "8", "9"]


def test_it_leaves_a_report_and_a_hashed_training_set(demonstration: Demonstration) -> None:
    made = demonstration.repository
    report = (made / "report.html").read_text(encoding="utf-8")
    assert "customer_profile v1 is" in report
    assert str(made) not in report
    outside = re.sub(r"<script>.*?</script>", "", report, flags=re.DOTALL)
    assert re.findall(r"""src=|href=(?!"#)""", outside) == []
    assert "://" not in outside.replace("https://catalog.company.com/lineage/customer_profile", "")
    rows = pq.read_table(made / "data" / "training_set.parquet")
    assert rows.num_rows == 10_000
    assert all(len(value) == 64 for value in rows["customer_id"].to_pylist())
    assert rows["orders_30d"].null_count == 0
    assert max(rows["orders_30d"].to_pylist()) > 10


def check(copy: Path) -> subprocess.CompletedProcess[str]:
    at = ("--as-of", "2017-12-01T00:00Z")
    return run(copy, "contract-checks", "check", *at, env=its_own(copy))


def test_a_tampered_online_store_is_broken_and_a_flushed_one_is_not_judged(
    copy: Path,
) -> None:
    with sqlite3.connect(copy / "data" / "online_store.db") as online:
        table = "feature_store_customer_profile_v1"
        (value,) = online.execute(
            f"SELECT value FROM {table} WHERE feature_name = 'orders_30d' LIMIT 1"
        ).fetchone()
        online.execute(f"UPDATE {table} SET value = ? WHERE feature_name = 'orders_30d'", (value,))
    tampered = check(copy)
    assert tampered.returncode == 1
    assert "broken  §8 acceptable delta" in tampered.stdout
    assert "70 kept, 1 broken, 0 unknown" in tampered.stdout

    with sqlite3.connect(copy / "data" / "online_store.db") as online:
        online.execute(f"DELETE FROM {table}")
    flushed = check(copy)
    assert flushed.returncode == 2
    assert "OnlineStoreEmptyError: the online store holds nothing" in flushed.stdout
    assert "68 kept, 0 broken, 3 unknown" in flushed.stdout


def test_a_refresh_never_takes_back_what_was_served(
    copy: Path,
) -> None:
    warehouse = copy / "data" / "data_warehouse"
    history = warehouse / "customer_features_offline.parquet"
    before = [part.read_bytes() for part in parts_of(history)]
    events = pq.read_table(warehouse / "customer_events.parquet")
    pq.write_table(events.slice(1000), copy / "fewer.parquet")
    job = ("scripts/refresh.py", "--as-of", "2017-12-01T01:00Z", "--events", "fewer.parquet")
    refused = run(copy, "python", *job, env=its_own(copy))
    assert refused.returncode == 2
    assert "would be taken back" in refused.stderr
    assert [part.read_bytes() for part in parts_of(history)] == before
