"""The jobs of a feature store under /opt/feature-store, as Airflow runs them (Airflow 3).

Secrets come from the worker's environment. A task fails with its job's exit code: 1 is a broken
clause, which the job tells the alert channel, 2 a refusal, such as that another job is writing,
which the next try may find ended. A run fails with any of its tasks.
"""

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

ROOT = "/opt/feature-store"
FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)


def dag(name: str, schedule: str) -> DAG:
    """Of one job after the other, never two runs at once, and none for times gone by."""
    return DAG(
        f"feature_store_{name}",
        schedule=schedule,
        start_date=FIRST_DAY,
        catchup=False,
        max_active_runs=1,
        default_args={"retries": 2, "retry_delay": timedelta(minutes=5)},
    )


def job(name: str, command: str, trigger_rule: str = "all_success") -> BashOperator:
    """A script of the repository, in its own environment and not in Airflow's."""
    return BashOperator(
        task_id=name,
        bash_command=f".venv/bin/python scripts/{command}",
        cwd=ROOT,
        trigger_rule=trigger_rule,
    )


def watcher() -> BashOperator:
    """Fail where any task before it did: Airflow judges a run by its last tasks alone."""
    return BashOperator(
        task_id="watcher",
        bash_command="echo 'a task of this run failed' && exit 1",
        trigger_rule="one_failed",
        retries=0,
    )


# Every hour (contract §4): upstream, refresh, then drift (§7), whatever those before it found.
with dag("hourly", "5 * * * *"):
    upstream = job("ingest", "ingest.py")
    refresh = job("refresh", "refresh.py", trigger_rule="all_done")
    drift = job("drift", "drift.py", trigger_rule="all_done")
    upstream >> refresh >> drift
    [upstream, refresh, drift] >> watcher()

# Every day, between two refreshes: retention (§9), then the rehearsals of §11, whatever it found.
with dag("daily", "35 2 * * *"):
    retention = job("retain", "retain.py --ahead-hours 24")
    rehearsals = job("rehearse", "rehearse.py", trigger_rule="all_done")
    retention >> rehearsals
    [retention, rehearsals] >> watcher()

# Every quarter: who read the feature since the last review (§9), up to the turn of the quarter. A
# tick that runs late, such as the last one when the DAG is unpaused, reviews nothing twice.
with dag("quarterly", "10 0 1 1,4,7,10 *"):
    job("access_review", "access_review.py")
