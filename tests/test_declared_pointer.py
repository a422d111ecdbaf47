"""`feast apply` and the pointer: what it registers, and what it leaves to those who move it."""

import re
from collections.abc import Callable
from pathlib import Path
from shutil import copytree

import pytest
from feast_copy import copy_of_the_project, run
from next_version import POINTER, SERVICES, V1, V2, declare, declare_pointer, edit, withdraw_pinned

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
