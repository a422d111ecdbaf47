"""The Spark profile from nothing, as a person runs it: applied, refreshed, read."""

import os
import shutil
from pathlib import Path
from shutil import copyfile, copytree

import pyarrow.parquet as pq
import pytest
from feast_copy import HISTORY, ROOT, copy_of_the_whole_project, run
from feast_households import LOG_END, TTL, at, entity_frame, expected, historical, online, profiles
from oracle import read_change_log
from redis_server import RedisServer

from storage.errors import RefusedError
from storage.profile import chosen_profile

PROFILE = "profiles/spark.yaml"


def test_it_says_what_it_asks_for() -> None:
    asked = "FEATURE_STORE_REDIS, FEATURE_STORE_SPARK_MASTER, FEATURE_STORE_SPARK_STAGING"
    with pytest.raises(RefusedError, match=f"asks for {asked}, not set"):
        chosen_profile(ROOT, {"FEAST_FS_YAML_FILE_PATH": PROFILE})


@pytest.mark.slow
def test_from_nothing_to_answers(
    real_events: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("java") is None:
        pytest.skip("NO JAVA HERE: Spark was not tested; install Java 17 or later")
    repository = copy_of_the_whole_project(tmp_path / "repository")
    copytree(ROOT / "profiles", repository / "profiles")
    copyfile(real_events, repository / "data" / "data_warehouse" / "customer_events.parquet")
    (tmp_path / "redis").mkdir(), (tmp_path / "staging").mkdir()
    redis = RedisServer(tmp_path / "redis")
    for name, value in {
        "FEAST_FS_YAML_FILE_PATH": PROFILE,
        "FEATURE_STORE_SPARK_MASTER": "local[2]",
        "FEATURE_STORE_SPARK_STAGING": str(tmp_path / "staging"),
        "FEATURE_STORE_REDIS": f"127.0.0.1:{redis.port}",
        "PYTHONPATH": str(repository),
    }.items():
        monkeypatch.setenv(name, value)
    try:
        applied = run(repository, "feast", "apply", env=os.environ)
        assert applied.returncode == 0, applied.stdout + applied.stderr
        asked = ("scripts/refresh.py", "--as-of", LOG_END.isoformat())
        refreshed = run(repository, "python", *asked, env=os.environ)
        assert refreshed.returncode in (0, 1), refreshed.stdout + refreshed.stderr
        assert "rows offline, online up to" in refreshed.stdout
        assert len(list((repository / HISTORY).glob("*-00000-whole.parquet"))) == 1

        from feature_access.offline_stores.spark_session import lake_session
        from feature_access.registry import open_store

        store, log = open_store(repository), read_change_log(repository / HISTORY)
        customers = sorted(log.of_customer)[:500]
        questions = at(LOG_END - TTL, customers) + at(LOG_END, customers)
        answer = historical(store, entity_frame(questions)).to_df()
        assert list(profiles(answer)) == expected(log, questions)
        served = list(profiles(online(store, customers).to_dict()))
        assert served == expected(log, at(LOG_END, customers))
        assert pq.read_table(repository / HISTORY).num_rows == len(log.rows)
        assert list((tmp_path / "staging").iterdir()) == []
        lake_session(store.config).stop()
    finally:
        redis.kill()
