"""`feast apply`: what it registers, what it must leave alone, and who may start a registry."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from feast_copy import HISTORY, apply, copy_of_the_project
from feast_households import LEAKY, PAST, PRESENT, SERVICE, TTL, VIEW, at, offline, online, profiles

pytest_plugins = ["feast_repository"]

SHUT_OUT = (
    "scripts/planted.py",
    "tests/planted.py",
    "tests/contracts/planted.py",
    "contract_checks/planted.py",
    "contract_checks/checks/planted.py",
    "feature_access/planted.py",
    "feature_pipeline/planted.py",
    "benchmarks/planted.py",
    "notebooks/planted.py",
    "fixtures/planted.py",
    ".hidden/planted.py",
    "setup_thing.py",
    "feature_thing.py",
    "fetch_thing.py",
)
LOOK_ALIKES = ("features/planted.py", "feature_repo_old/planted.py", "feature_reports/planted.py")
DECLARATION = "feature_repo/planted.py"

MARK = "from pathlib import Path\nPath({mark!r}).touch()\n"


@pytest.fixture(scope="module")
def executed(tmp_path_factory) -> set[str]:
    """Which of the planted files `feast apply` executed."""
    repository = copy_of_the_project(tmp_path_factory.mktemp("planted"))
    marks = tmp_path_factory.mktemp("marks")
    for planted in (*SHUT_OUT, *LOOK_ALIKES, DECLARATION):
        file = repository / planted
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(MARK.format(mark=str(marks / planted.replace("/", "|"))))
    apply(repository)
    return {mark.name.replace("|", "/") for mark in marks.iterdir()}


def test_apply_executes_the_declarations_and_nothing_beside_them(executed):
    assert DECLARATION in executed  # so a mark can be left at all
    assert executed.isdisjoint(SHUT_OUT)


def test_apply_is_not_fooled_by_a_folder_of_a_similar_name(executed):
    assert executed.isdisjoint(LOOK_ALIKES)


def test_the_customer_the_view_and_both_services_are_registered(applied, store):
    (entity,) = store.list_entities()
    assert entity.name == entity.join_key == "customer_id"
    assert entity.value_type.name == "INT64"
    (view,) = store.list_feature_views()
    assert (view.name, view.ttl, view.entities) == (VIEW, TTL, ["customer_id"])
    assert (view.online, view.owner) == (True, "Customer Analytics Team")
    assert view.tags.items() >= {"version": "v1", "status": "Active", "pii": "customer_id"}.items()
    assert {f.name: (str(f.dtype), f.tags) for f in view.features} == {
        "avg_order_value_30d": ("Float64", {"default": "0"}),
        "orders_30d": ("Int64", {"default": "0"}),
        "sessions_30d": ("Int64", {"default": "0"}),
        "distinct_order_days_30d": ("Int64", {"default": "0"}),
    }
    # The copy's own table, not that of the project installed in this environment.
    assert view.batch_source.path == str((applied / HISTORY).resolve())
    assert view.batch_source.owner == "Data Engineering"
    served = {
        s.name: [p.name for p in s.feature_view_projections] for s in store.list_feature_services()
    }
    assert served == {SERVICE: [VIEW], VIEW: [VIEW]}


def test_the_stores_are_ours_and_none_of_feasts_defaults(store):
    from feast.infra.offline_stores.duckdb import DuckDBOfflineStore
    from feast.infra.online_stores.sqlite import SqliteOnlineStore

    from feature_access.offline_stores.duckdb_store import PointInTimeOfflineStore
    from feature_access.online_stores.sqlite_store import DefaultingSqliteOnlineStore

    provider = store._get_provider()
    assert type(provider.offline_store) is PointInTimeOfflineStore
    assert type(provider.online_store) is DefaultingSqliteOnlineStore
    assert issubclass(PointInTimeOfflineStore, DuckDBOfflineStore)
    assert issubclass(DefaultingSqliteOnlineStore, SqliteOnlineStore)


def test_a_mistyped_store_is_an_error_and_not_another_store(fresh):
    from feature_access.registry import open_store

    settings = fresh / "feature_store.yaml"
    right = settings.read_text()
    settings.write_text(right.replace("PointInTimeOfflineStore", "PointInTimOfflineStore"))
    assert settings.read_text() != right
    with pytest.raises(Exception, match="PointInTimOfflineStore"):
        open_store(fresh)._get_provider()


@pytest.mark.parametrize("as_given", ["absolute", "relative"])
def test_a_repository_is_opened_from_any_folder(materialized, tmp_path, monkeypatch, as_given):
    from feature_access.registry import open_store

    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    repository = Path(os.path.relpath(materialized)) if as_given == "relative" else materialized

    opened = open_store(repository)

    assert {service.name for service in opened.list_feature_services()} == {SERVICE, VIEW}
    assert offline(opened, at(PRESENT, [LEAKY])) == [PAST]
    assert list(profiles(online(opened, [LEAKY]).to_dict())) == [PAST]
    ((first, _), (_, last)) = opened.get_feature_view(VIEW).materialization_intervals
    assert (first, last) == (PRESENT - timedelta(days=30, hours=1), PRESENT)
    assert list(elsewhere.iterdir()) == []
