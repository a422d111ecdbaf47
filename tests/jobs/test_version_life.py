"""The life of a version: v2, which breaks readers, is released beside v1 and rolled back again.

Everything is done with the commands that a person runs, once, in a copy of the project in which
the demonstration promoted v1; then each test looks at one step.
"""

import json
import re
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from feast_copy import HISTORY
from next_version import (
    BREAKING,
    DOCUMENT,
    DROPPED,
    NEXT_DOCUMENT,
    SERVICES,
    V1,
    V2,
    VIEWS,
    declare,
    declare_pointer,
    declare_status,
    edit,
    withdraw_pinned,
    write_document,
)
from two_versions import DAY, MINUTE, POINTER, RELEASE, TRAINING_SET, Copy, Done

from contract_checks.evidence.versions import superseded, version_before
from contract_checks.operations.log import Record

KEPT_FEATURES = {"avg_order_value_30d", "orders_30d", "distinct_order_days_30d"}
FEATURES_OF = {V1: KEPT_FEATURES | {DROPPED}, V2: KEPT_FEATURES}
SUPPORT = 90 * DAY
RECEIPT = Path("data", "receipts", f"{V2}.json")


@pytest.fixture(scope="module")
def life(kept_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """What was done, said and served at each step of the way."""
    copy = Copy(tmp_path_factory.mktemp("life") / "repository")
    shutil.copytree(kept_repository, copy.folder)
    life = SimpleNamespace(copy=copy, views_before=(copy.folder / VIEWS).read_text("utf-8"))

    # A new version is written, signed and compared with v1; so is v1 with the same edit in it.
    write_document(copy.folder)
    copy.sign(NEXT_DOCUMENT)
    edited = Path("edited", DOCUMENT.name)
    shutil.copytree(copy.folder / "contracts", copy.folder / "edited")
    edit(copy.folder / edited, BREAKING)
    life.diff = copy.checks("diff", DOCUMENT, NEXT_DOCUMENT, "--format", "json")
    life.diff_in_place = copy.checks("diff", DOCUMENT, edited, "--format", "json")

    # Its view and its pinned service are registered and refreshed beside v1's.
    declare(copy.folder)
    copy.apply()
    life.customers, life.truth = _customers(copy.folder / HISTORY)
    life.pointer_when_applied = copy.serves(POINTER, life.customers)
    life.refresh = copy.script("refresh", RELEASE)
    life.customers, life.truth = _customers(copy.folder / HISTORY)
    life.train = copy.train(RELEASE, life.customers)

    # The gate stays shut until it is rehearsed; then it is released.
    life.gate = copy.checks("gate", NEXT_DOCUMENT, "--as-of", RELEASE.isoformat())
    life.receipt_before = (copy.folder / RECEIPT).exists()
    life.served_before = _served(life)
    life.promote = copy.script("promote", RELEASE, "--contract", NEXT_DOCUMENT)
    assert life.promote.returncode == 0, life.promote.stdout + life.promote.stderr
    life.served_released = _served(life)
    life.verify, life.released = _together(
        lambda: copy.checks("verify", RECEIPT),
        lambda: copy.check(RELEASE + 5 * MINUTE, DOCUMENT, NEXT_DOCUMENT, edited),
    )

    # v1 is deprecated. Whoever applies with the old pointer still declared is refused, all of it.
    declare_status(copy.folder, "Active", "Deprecated")
    copy.sign(DOCUMENT)
    life.undeclared = _refused(life)
    declare_pointer(copy.folder, V1, V2)
    copy.apply()
    life.served_deprecated = _served(life)
    life.records_before = copy.records()
    life.dry_run, life.deprecated = _together(
        lambda: copy.script("rollback", RELEASE + 20 * MINUTE, "--dry-run"),
        lambda: copy.check(RELEASE + 15 * MINUTE, DOCUMENT, NEXT_DOCUMENT),
    )
    life.served_dry_run, life.records_dry_run = _served(life), copy.records()

    # v2 is rolled back.
    life.rollback = copy.script("rollback", RELEASE + 20 * MINUTE)
    life.served_rolled_back = _served(life)
    life.rolled_back = copy.check(RELEASE + 25 * MINUTE, DOCUMENT, NEXT_DOCUMENT)

    # v1 is active again, and served beyond what was to be its end; but its pinned service is gone.
    declare_status(copy.folder, "Deprecated", "Active")
    withdraw_pinned(copy.folder)
    life.undeclared_again = _refused(life)
    declare_pointer(copy.folder, V2, V1)
    copy.apply()
    life.served_withdrawn = _served(life, POINTER, V2)
    day_90 = RELEASE + SUPPORT
    life.refresh_day_90 = copy.script("refresh", day_90)
    life.day_90 = copy.check(day_90, DOCUMENT, select=("§10 deprecation plan", "§1 status"))
    return life


def _refused(life: SimpleNamespace) -> SimpleNamespace:
    """An apply that is to be refused: what it said, and what it left."""
    registry = life.copy.folder / "data" / "registry.db"
    before = registry.read_bytes()
    done = life.copy.feast("apply")
    untouched = registry.read_bytes() == before
    return SimpleNamespace(done=done, untouched=untouched, served=_served(life))


def _together(*commands: Callable[[], Done]) -> list[Done]:
    """Commands that only look, side by side."""
    with ThreadPoolExecutor() as pool:
        return [future.result() for future in [pool.submit(command) for command in commands]]


def _customers(history: Path) -> tuple[list[int], dict[str, list[Any]]]:
    """A few customers with sessions, and their last rows in the change log, by feature."""
    with duckdb.connect() as connection:
        last = connection.execute(
            f"""SELECT * EXCLUDE (event_timestamp) FROM read_parquet('{history}')
            QUALIFY row_number() OVER (PARTITION BY customer_id ORDER BY event_timestamp DESC) = 1
            AND {DROPPED} > 3 ORDER BY customer_id LIMIT 5"""
        ).fetch_arrow_table()
    truth = last.to_pydict()
    return truth.pop("customer_id"), truth


def _served(life: SimpleNamespace, *services: str) -> dict[str, dict[str, list[Any]]]:
    """What is served by services, all three unless some are named."""
    asked = services or (POINTER, V1, V2)
    return {service: life.copy.serves(service, life.customers) for service in asked}


def outcomes(done: Done) -> list[dict[str, set[str]]]:
    """For each document that was checked, in order: outcome to the clauses it has findings in."""
    found = []
    for report in json.loads(done.stdout)["reports"]:
        clauses: dict[str, set[str]] = {"kept": set(), "broken": set(), "unknown": set()}
        for finding in report["findings"]:
            clauses[finding["outcome"]].add(finding["clause"])
        found.append(clauses)
    return found


def findings(done: Done, clause: str, document: int = 0) -> list[tuple[str, str, str]]:
    """Outcome, expected and got of a clause."""
    told = json.loads(done.stdout)["reports"][document]["findings"]
    return [(f["outcome"], f["expected"], f["got"]) for f in told if f["clause"] == clause]


def assert_kept(clauses: dict[str, set[str]]) -> None:
    assert (clauses["broken"], clauses["unknown"]) == (set(), set())
    assert len(clauses["kept"]) >= 70


def assert_served(
    life: SimpleNamespace, served: dict[str, dict[str, list[Any]]], version: str
) -> None:
    """The pointer serves that version and the pinned services their own, all of them the truth."""
    assert POINTER in served
    for service, answer in served.items():
        assert set(answer) == FEATURES_OF[version if service == POINTER else service], service
        for feature, values in answer.items():
            assert values == life.truth[feature], (service, feature)


# Diff


def test_the_customers_that_are_asked_for_tell_the_versions_apart(life: SimpleNamespace) -> None:
    assert len(life.customers) == 5
    assert min(life.truth[DROPPED]) > 3
    assert len(set(life.truth["avg_order_value_30d"])) == 5


def test_the_change_is_breaking_and_its_version_is_there(life: SimpleNamespace) -> None:
    assert life.diff.returncode == 1, life.diff.stderr
    told = json.loads(life.diff.stdout)
    assert (told["grade"], told["bump"], told["bump_present"]) == ("breaking", "new version", True)
    (dropped,) = [c for c in told["changes"] if c["clause"] == "§5.2 allowed range"]
    assert (dropped["grade"], dropped["new"]) == ("breaking", None)
    assert DROPPED in dropped["term"]


def test_the_same_edit_within_v1_lacks_its_version(life: SimpleNamespace) -> None:
    assert life.diff_in_place.returncode == 1, life.diff_in_place.stderr
    told = json.loads(life.diff_in_place.stdout)
    assert (told["grade"], told["bump_present"]) == ("breaking", False)
    assert [c["clause"] for c in told["changes"]] == ["§5.2 allowed range"]


def test_the_same_edit_within_v1_breaks_what_was_promoted(life: SimpleNamespace) -> None:
    edited = 2
    assert outcomes(life.released)[edited]["broken"] >= {
        "§10 served versions immutable",
        "§10 breaking changes require new version",
    }
    immutable = findings(life.released, "§10 served versions immutable", edited)
    assert [outcome for outcome, *_ in immutable] == ["broken", "kept", "unknown"]
    assert immutable[0][1].startswith("document as promoted at 2017-11-30T23:00")
    (breaking,) = findings(life.released, "§10 breaking changes require new version", edited)
    assert breaking == ("broken", "no breaking change within v1", "1 breaking changes")


# Beside v1


def test_v1_is_untouched_and_served_while_v2_stands_beside_it(life: SimpleNamespace) -> None:
    views = (life.copy.folder / VIEWS).read_text("utf-8")
    assert views.replace("Deprecated", "Active").startswith(life.views_before)
    assert set(life.pointer_when_applied) == FEATURES_OF[V1]
    assert_served(life, life.served_before, V1)


def test_one_refresh_is_on_record_for_both(life: SimpleNamespace) -> None:
    assert life.refresh.returncode == 0, life.refresh.stderr
    of_both = [r for r in life.copy.records() if r.job == "refresh" and r.at == RELEASE]
    done = sorted(of_both, key=lambda record: record.subject)
    assert [(r.subject, r.passed) for r in done] == [(V1, True), (V2, True)]
    assert [r.figures["from"] for r in done] == ["2017-12-01T00:00:00+00:00", None]
    v1, v2 = ({k: v for k, v in r.figures.items() if k != "from"} for r in done)
    assert v1 == v2
    assert v1["history_rows"] > 100_000


def test_a_training_set_of_v2_is_its_own(life: SimpleNamespace) -> None:
    assert life.train.returncode == 0, life.train.stderr
    rows = pq.read_table(life.copy.folder / TRAINING_SET)
    assert set(rows.column_names) == {"customer_id", "event_timestamp"} | FEATURES_OF[V2]
    assert rows["orders_30d"].to_pylist() == life.truth["orders_30d"]
    (record,) = [r for r in life.copy.records() if r.figures.get("path") == TRAINING_SET.as_posix()]
    assert (record.job, record.subject, record.passed) == ("training_set", V2, True)


# Gate and release


def test_the_gate_is_shut_before_the_rehearsal(life: SimpleNamespace) -> None:
    assert life.gate.returncode == 2, life.gate.stdout
    assert re.match("no receipt was written: 0 broken and [1-9][0-9]* unknown", life.gate.stderr)
    assert f"no backfill of {V2} is on record" in life.gate.stdout
    assert not life.receipt_before
    assert_served(life, life.served_before, V1)


def test_v2_is_rehearsed_and_released(life: SimpleNamespace) -> None:
    assert life.promote.returncode == 0, life.promote.stdout + life.promote.stderr
    assert_served(life, life.served_released, V2)
    begun, record = (r for r in life.copy.records() if (r.job, r.subject) == ("promotion", V2))
    assert (begun.passed, begun.figures) == (False, {**record.figures, "begun": True})
    assert (record.at, record.passed) == (RELEASE, True)
    assert record.figures["receipt"] == RECEIPT.as_posix()


def test_its_receipt_verifies_though_the_pointer_moved(life: SimpleNamespace) -> None:
    assert life.verify.returncode == 0, life.verify.stdout + life.verify.stderr
    assert "differs" not in life.verify.stdout
    receipt = json.loads((life.copy.folder / RECEIPT).read_text("utf-8"))
    assert (receipt["view"], receipt["outcome"]) == (V2, "kept")
    assert receipt["contract"]["path"] == NEXT_DOCUMENT.as_posix()


def test_right_after_the_release_both_are_kept(life: SimpleNamespace) -> None:
    v1, v2, _ = outcomes(life.released)
    assert_kept(v1)
    assert_kept(v2)
    until = (RELEASE + SUPPORT).date()
    assert findings(life.released, "§10 deprecation plan") == [
        ("kept", f"{V1} {what} until {until}", "yes")
        for what in ("registered", "served by its pinned service", "materialized freshly")
    ]
    assert until.isoformat() == "2018-03-01"


def test_v1_is_held_to_its_own_answers_and_v2_may_answer_otherwise(life: SimpleNamespace) -> None:
    ((_, then, now),) = findings(life.released, "§7 semantic drift checks")
    assert re.fullmatch(f"[0-9]{{2}} probes answered as when {V1} was promoted", then)
    assert now == "0 answered otherwise"
    ((_, then, now),) = findings(life.released, "§7 semantic drift checks", document=1)
    assert re.fullmatch(f"[0-9]{{2}} probes answered as when {V2} was promoted", then)
    assert now == "0 answered otherwise"


# Deprecated


def test_an_old_pointer_is_not_applied_again_nor_anything_with_it(life: SimpleNamespace) -> None:
    assert f"declare service {POINTER} with {V2} in feature_repo/" in life.promote.stdout
    assert_refused(life, life.undeclared, serves=V2, declared=V1)


def assert_refused(
    life: SimpleNamespace, apply: SimpleNamespace, serves: str, declared: str
) -> None:
    """One message, which names the versions and what to do; not a byte was registered."""
    assert apply.done.returncode == 2, apply.done.stdout + apply.done.stderr
    (told,) = [x for x in apply.done.stderr.splitlines() if x.startswith("refused: ")]
    assert re.search(
        rf"service {POINTER} serves {serves}, and is declared with {declared} in "
        rf"{SERVICES}:\d+; .* Declare it there with features=\[{serves}\]",
        told,
    )
    assert apply.untouched
    assert_served(life, apply.served, serves)


def test_both_are_kept_once_v1_is_deprecated_and_the_pointer_declared(
    life: SimpleNamespace,
) -> None:
    assert_served(life, life.served_deprecated, V2)
    assert life.deprecated.returncode == 0, life.deprecated.stdout
    for clauses in outcomes(life.deprecated):
        assert_kept(clauses)
    assert ("kept", f"{V1} registered and materialized", "yes") in findings(
        life.deprecated, "§10 rollback plan", document=1
    )
    ((_, status, serving),) = [
        f for f in findings(life.deprecated, "§1 status") if "served by" in f[1]
    ]
    assert (status, serving) == (f"a contract that is deprecated is served by {V1}", V1)


# Rollback


def test_a_dry_run_moves_nothing(life: SimpleNamespace) -> None:
    assert life.dry_run.returncode == 0, life.dry_run.stderr
    assert life.dry_run.stdout == f"service {POINTER} would serve {V1} in place of {V2}\n"
    assert_served(life, life.served_dry_run, V2)
    jobs = [
        [r for r in log if r.job != "check"] for log in (life.records_before, life.records_dry_run)
    ]
    assert jobs[0] == jobs[1]


def test_a_rollback_serves_v1_and_leaves_v2_to_its_readers(life: SimpleNamespace) -> None:
    assert life.rollback.returncode == 0, life.rollback.stderr
    assert f"service {POINTER} serves {V1} in place of {V2}\n" in life.rollback.stdout
    assert_served(life, life.served_rolled_back, V1)
    begun, record = (r for r in life.copy.records() if r.job == "rollback")
    assert (record.subject, record.passed, dict(record.figures)) == (V1, True, {"from": V2})
    assert (begun.passed, dict(begun.figures)) == (False, {"from": V2, "begun": True})
    assert begun.at == record.at == RELEASE + 20 * MINUTE


def test_after_a_rollback_only_the_status_is_behind(life: SimpleNamespace) -> None:
    v1, v2 = outcomes(life.rolled_back)
    assert (v1["broken"], v1["unknown"]) == ({"§1 status"}, set())
    assert_kept(v2)
    for document in (0, 1):
        assert findings(life.rolled_back, "§10 rollback plan", document) == [
            ("kept", f"service {POINTER} points at {V1}, as rollback left it", V1),
            ("kept", "the version before is ready", f"none before {V1}"),
        ]


def test_the_pointer_of_before_the_rollback_is_not_applied_again(life: SimpleNamespace) -> None:
    assert f"declare service {POINTER} with {V1} in feature_repo/" in life.rollback.stdout
    assert_refused(life, life.undeclared_again, serves=V1, declared=V2)


def test_v1_is_active_again(life: SimpleNamespace) -> None:
    assert_served(life, life.served_withdrawn, V1)
    assert {outcome for outcome, *_ in findings(life.day_90, "§1 status")} == {"kept"}


# The clock


def test_90_days_after_a_release_that_was_rolled_back_v1_may_not_go(life: SimpleNamespace) -> None:
    assert "source silent" in life.refresh_day_90.stdout, "2017 is long over"
    assert life.refresh_day_90.returncode == 1, life.refresh_day_90.stderr
    assert life.day_90.returncode == 1, life.day_90.stderr
    assert findings(life.day_90, "§10 deprecation plan") == [
        ("kept", f"{V1} registered while it is served again in {V2}'s place", "yes"),
        (
            "broken",
            f"{V1} served by its pinned service while it is served again in {V2}'s place",
            "no",
        ),
        ("kept", f"{V1} materialized freshly while it is served again in {V2}'s place", "yes"),
    ]


MOVES = {"p": "promotion", "r": "rollback"}


def moved(moves: str) -> list[Record]:
    """Promotions and rollbacks, a day after the other, as in `p1 p2 r1`."""
    return [
        Record(MOVES[move[0]], f"v{move[1]}", RELEASE + day * DAY, True)
        for day, move in enumerate(moves.split())
    ]


@pytest.mark.parametrize(
    ("moves", "version", "before"),
    [
        ("p1", "v1", None),
        ("p1 p1 p2", "v2", "v1"),
        ("p1 p2 p3", "v3", "v2"),
        ("p1 p2 r1", "v1", None),
        ("p1 p2 r1 p2", "v2", "v1"),
        ("p1 p2 r1 p3", "v3", "v1"),
        ("p1 p2 p3 r2", "v2", "v1"),
        ("p1", "v2", None),
    ],
)
def test_a_rollback_leads_to_what_was_served_before(
    moves: str, version: str, before: str | None
) -> None:
    assert version_before(moved(moves), version) == before


@pytest.mark.parametrize(
    ("moves", "day"),
    [
        ("p1", None),
        ("p1 p2", 1),
        ("p1 p2 p2", 1),
        ("p1 p1 p2", 2),
        ("p1 p2 p3", 1),
        ("p1 p2 p3 r2", 1),
        ("p1 p2 r1", None),
        ("p1 p2 r1 p1", None),
        ("p1 p2 r1 p2", 3),
        ("p1 p2 r1 p2 p3", 3),
        ("p1 p2 r1 p3", 3),
        ("p1 p3", None),
        ("p1 p3 p2", 2),
    ],
)
def test_support_counts_from_when_the_version_was_last_left(moves: str, day: int | None) -> None:
    since = None if day is None else RELEASE + day * DAY
    assert superseded(moved(moves), "v1", successor="v2") == since
