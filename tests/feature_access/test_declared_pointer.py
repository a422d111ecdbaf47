"""`feast apply` and the pointer: what it registers, and what it leaves to those who move it."""

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from feast_copy import copy_of_the_project, run
from next_version import POINTER, SERVICES, V1, V2, declare, declare_pointer, edit, withdraw_pinned

from storage.errors import RefusedError

SERVICE = "customer_profile"
REGISTRY = Path("data", "registry.db")


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """v1 and v2 are registered, and the pointer with v1; not to be changed."""
    repository = copy_of_the_project(tmp_path_factory.mktemp("registered") / "repository")
    declare(repository)
    first = run(repository, "feast", "apply")
    assert first.returncode == 0, first.stdout + first.stderr
    return repository


@pytest.fixture
def repository(registered: Path, tmp_path: Path) -> Path:
    return copytree(registered, tmp_path / "repository")


def served(repository: Path) -> dict[str, list[str]]:
    from feature_access.registry import open_store

    services = open_store(repository).list_feature_services()
    return {s.name: [p.name for p in s.feature_view_projections] for s in services}


def declare_both(repository: Path) -> None:
    edit(repository / SERVICES, {POINTER.format(V1): POINTER.format(f"{V1}, {V2}")})


def withdraw_pointer(repository: Path) -> None:
    services = repository / SERVICES
    head, _, _ = services.read_text(encoding="utf-8").partition("# Promotion and rollback")
    services.write_text(head, encoding="utf-8")


def declare_twice(repository: Path) -> None:
    """Feast registers the two in no particular order."""
    (repository / "feature_repo" / "more.py").write_text(
        "from feast import FeatureService\n"
        f"from feature_repo.customer_profile import {V2}\n"
        f'again = FeatureService(name="{SERVICE}", features=[{V2}])\n'
    )


def shut_everything_out(repository: Path) -> None:
    """A mistyped `.feastignore`: Feast finds nothing, and would delete everything."""
    with (repository / ".feastignore").open("a") as ignored:
        ignored.write("\nfeature_repo\n")


def declare_v2(repository: Path) -> None:
    declare_pointer(repository, V1, V2)


APPLY = ["apply"]
UNCHECKED = ["apply", "--skip-source-validation"]
slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("command", "change", "told"),
    [
        pytest.param(APPLY, declare_v2, f"with {V2} in {SERVICES}:[0-9]+; only", id="elsewhere"),
        pytest.param(UNCHECKED, declare_v2, f"with {V2} in", id="unchecked"),
        pytest.param(["plan"], declare_v2, f"with {V2} in", id="planned", marks=slow),
        pytest.param(APPLY, declare_both, f"with {V1}, {V2} in", id="both", marks=slow),
        pytest.param(APPLY, declare_twice, f"with {V1} and {V2} in", id="twice", marks=slow),
        pytest.param(APPLY, withdraw_pointer, "nowhere in feature_repo/", id="nowhere"),
        pytest.param(APPLY, shut_everything_out, "nowhere in", id="nothing", marks=slow),
    ],
)
def test_what_would_move_the_pointer_is_refused_with_all_that_goes_with_it(
    command: list[str], change: Callable[[Path], None], told: str, repository: Path
) -> None:
    change(repository)
    withdraw_pinned(repository)  # which would be registered
    before = (repository / REGISTRY).read_bytes()

    done = run(repository, "feast", *command)

    assert done.returncode == 2, done.stdout + done.stderr
    (refusal,) = [line for line in done.stderr.splitlines() if line.startswith("refused: ")]
    assert refusal.startswith(f"refused: service {SERVICE} serves {V1}, and is declared ") or (
        refusal.startswith(f"refused: service {SERVICE} serves {V1} and is declared nowhere")
    )
    assert re.search(told, refusal)
    assert f"features=[{V1}]" in refusal
    assert "Traceback" not in done.stderr
    assert (repository / REGISTRY).read_bytes() == before


# The same by code: `FeatureStore.apply`.


@pytest.fixture(params=["ours", "Feast's own way", "a list"])
def apply(request: pytest.FixtureRequest, repository: Path) -> Callable[..., None]:
    """Apply services of one view each, as {name: view}, and others as given."""
    from feast import FeatureService, FeatureStore

    from feature_access.registry import open_store

    def apply(services: dict[str, str], **more: Any) -> None:
        ours = request.param == "ours"
        store = open_store(repository) if ours else FeatureStore(repo_path=str(repository))
        given = [
            FeatureService(name=name, features=[store.get_feature_view(view)])
            for name, view in services.items()
        ]
        alone = len(given) == 1 and not ours and request.param != "a list"
        store.apply(given[0] if alone else given, **more)

    monkeypatch = request.getfixturevalue("monkeypatch")
    monkeypatch.chdir(repository)
    return apply


def test_code_does_not_move_the_pointer(repository: Path, apply: Callable[..., None]) -> None:
    before = (repository / REGISTRY).read_bytes()
    with pytest.raises(RefusedError) as refusal:
        apply({SERVICE: V2})
    assert str(refusal.value).splitlines() == [
        f"service {SERVICE} serves {V1}, and would serve {V2}; only scripts/promote.py and "
        f"scripts/rollback.py move it. Apply it with features=[{V1}]",
        "Nothing was registered.",
    ]
    with pytest.raises(RefusedError, match=f"would serve {V2}"):
        apply({"churn_model": V1, SERVICE: V2})
    with pytest.raises(RefusedError, match=f"would serve {V2}"):
        apply({SERVICE: V2}, partial=False)
    assert (repository / REGISTRY).read_bytes() == before


def test_nor_deletes_it_beside_others(repository: Path, apply: Callable[..., None]) -> None:
    from feature_access.registry import open_store

    pointer = open_store(repository).get_feature_service(SERVICE)
    with pytest.raises(RefusedError, match="would be deleted"):
        apply({}, objects_to_delete=[pointer], partial=False)
    apply({}, objects_to_delete=[pointer])  # of which Feast deletes nothing
    assert served(repository)[SERVICE] == [V1]


def test_but_applies_whatever_else(repository: Path, apply: Callable[..., None]) -> None:
    apply({SERVICE: V1, "churn_model": V2, "customer_profile_v3": V2})
    apply({"churn_model": V1})
    now = served(repository)
    assert (now[SERVICE], now["churn_model"]) == ([V1], [V1])


def test_a_store_of_feasts_own_is_left_alone(repository: Path) -> None:
    from feast import FeatureService, FeatureStore

    settings = repository / "feature_store.yaml"
    text = settings.read_text()
    for ours in re.findall(r"feature_access\.[\w.]+", text):
        feasts = {"provider": "local", "offline_stores": "duckdb", "online_stores": "sqlite"}
        text = text.replace(ours, feasts[ours.split(".")[1]])
    settings.write_text(text.replace("path: sqlite:///", f"path: sqlite:///{repository}/"))
    store = FeatureStore(repo_path=str(repository))
    store.apply(FeatureService(name=SERVICE, features=[store.get_feature_view(V2)]))
    assert served(repository)[SERVICE] == [V2]


def test_promotion_moves_it(repository: Path) -> None:
    from datetime import UTC, datetime

    from feature_access.registry import open_store
    from feature_pipeline.online.pointer import point

    store = open_store(repository)
    at = datetime(2024, 3, 1, tzinfo=UTC)
    target = store.get_feature_view(V2)
    store.registry.apply_materialization(target, store.project, at, at)
    point(store, SERVICE, V2)
    (registered,) = (s for s in store.list_feature_services() if s.name == SERVICE)
    (projection,) = registered.feature_view_projections
    assert projection.name == V2
    assert [f.name for f in projection.features] == [f.name for f in target.features]
    assert registered.tags["serves"] == V2
    assert served(repository)[SERVICE] == [V2]


def test_what_leaves_the_pointer_alone_is_registered(repository: Path) -> None:
    withdraw_pinned(repository)
    done = run(repository, "feast", "apply")
    assert done.returncode == 0, done.stderr
    assert served(repository) == {V2: [V2], SERVICE: [V1]}


@slow
def test_a_service_that_is_no_pointer_may_be_declared_otherwise(repository: Path) -> None:
    churn, file = "churn_model", repository / "feature_repo" / "churn.py"
    for view in (V1, V2):
        file.write_text(
            "from feast import FeatureService\n"
            f"from feature_repo.customer_profile import {view}\n"
            f'churn = FeatureService(name="{churn}", features=[{view}])\n'
        )
        done = run(repository, "feast", "apply")
        assert done.returncode == 0, done.stderr
        assert served(repository)[churn] == [view]


@slow
def test_a_feature_can_be_withdrawn_by_name(repository: Path) -> None:
    withdraw_pointer(repository)
    run(repository, "feast", "delete", SERVICE)
    done = run(repository, "feast", "apply")
    assert done.returncode == 0, done.stderr
    assert served(repository) == {V1: [V1], V2: [V2]}
