"""`feast apply` leaves a feature's pointer where promotion and rollback put it (contract §10).

A pointer is the service by a feature's bare name: `customer_profile` serves `customer_profile_v1`.
Feast would register it as `feature_repo/` declares it, and so undo the last move without a word.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from feast import FeatureService, FeatureStore, RepoConfig
from feast.repo_contents import RepoContents
from feast.repo_operations import get_repo_files


def moved_pointers(config: RepoConfig, declared: RepoContents) -> list[str]:
    """What would move of the pointers that are registered, a line each; nothing is written.

    A registry without pointers has none to lose: the first apply registers what is declared.
    """
    repository = Path(config.repo_path)
    return [
        _refusal(repository, service.name, _views(service), targets)
        for service in _pointers(FeatureStore(config=config))
        if (targets := _targets(service, declared.feature_services)) != {_views(service)}
    ]


def pointers_moved_by_code(store: FeatureStore, applied: list[Any], gone: list[Any]) -> list[str]:
    """What would move of the registered pointers if these were applied and deleted, a line each."""
    services = [one for one in applied if isinstance(one, FeatureService)]
    deleted = {one.name for one in gone if isinstance(one, FeatureService)}
    return [
        f"service {service.name} serves {(served := _views(service))}, and would "
        + (f"serve {' and '.join(sorted(others))}" if others else "be deleted")
        + "; only scripts/promote.py and scripts/rollback.py move it. Apply it with "
        f"features=[{served}]"
        for service in (_pointers(store) if services or deleted else [])
        if (others := _targets(service, services) - {_views(service)}) or service.name in deleted
    ]


def _pointers(store: FeatureStore) -> list[FeatureService]:
    return [service for service in store.list_feature_services() if _is_pointer(service)]


def _targets(pointer: FeatureService, services: Iterable[FeatureService]) -> set[str]:
    return {_views(other) for other in services if other.name == pointer.name}


def _views(service: FeatureService) -> str:
    return ", ".join(projection.name for projection in service.feature_view_projections)


def _is_pointer(service: FeatureService) -> bool:
    return re.fullmatch(rf"{re.escape(service.name)}_v\d+", _views(service)) is not None


def _refusal(repository: Path, service: str, served: str, declared: set[str]) -> str:
    if not declared:
        return (
            f"service {service} serves {served} and is declared nowhere in feature_repo/, so that "
            f"its readers would lose it. Declare it with features=[{served}]; to withdraw it for "
            f"good, `feast delete {service}` first."
        )
    other = " and ".join(sorted(declared))
    return (
        f"service {service} serves {served}, and is declared with {other} in "
        f"{_where(repository, service)}; only scripts/promote.py and scripts/rollback.py move it. "
        f"Declare it there with features=[{served}] and apply again."
    )


def _where(repository: Path, service: str) -> str:
    """File and line that name the service."""
    named = re.compile(rf"""\bname\s*=\s*["']{re.escape(service)}["']""")
    for file in get_repo_files(repository):
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            if named.search(line):
                return f"{file.relative_to(repository.resolve())}:{number}"
    return "feature_repo/"
