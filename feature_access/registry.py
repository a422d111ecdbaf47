"""Open the feature store of a repository, from whatever folder the caller stands in."""

import os
from errno import ENOENT
from pathlib import Path

from feast import FeatureStore
from feast.repo_config import RegistryConfig, load_repo_config
from sqlalchemy import NullPool

from storage.errors import RefusedError
from storage.profile import chosen_profile

_SQLITE = "sqlite:///"


def open_store(repository: Path, *, registry_expires: bool = True) -> FeatureStore:
    """The feature store of `repository`, by the chosen profile (see `chosen_profile`).

    Feast reads the registry again whenever its copy has expired, and the caller at that moment
    waits for it; a server lets it never expire and reads it again at its own time.

    Feast resolves a relative SQLite registry against the working directory, and would quietly
    start a second registry elsewhere; here it is always the repository's.

    Raises:
        RefusedError: the profile names a registry file that is not there; see `chosen_profile`.
    """
    profile = chosen_profile(repository, os.environ)
    config = load_repo_config(repository, profile)
    path = config.registry.path
    if _is_a_file(config.registry) and not (repository / path).exists():
        raise RefusedError(
            f"{profile.name} names the registry {path}, which is not there: Feast would start an "
            "empty one. Restore the profile, or run `feast apply`"
        )
    if path.startswith(_SQLITE) and not path.startswith(f"{_SQLITE}/"):
        config.registry.path = f"{_SQLITE}{repository.resolve() / path.removeprefix(_SQLITE)}"
    if path.startswith(_SQLITE):
        # A connection that is kept goes on reading a file that was removed or replaced since.
        config.registry.sqlalchemy_config_kwargs["poolclass"] = NullPool
    if not registry_expires:
        config.registry.cache_ttl_seconds = 0
    return FeatureStore(config=config)


def read_again(store: FeatureStore) -> None:
    """Bring the store's copy of its registry up to date.

    Raises:
        FileNotFoundError: it is gone; SQLite would make an empty one in its place.
        Exception: it cannot be read; the copy is as it was.
    """
    path = store.config.registry.path
    if path.startswith(_SQLITE) and not Path(path.removeprefix(_SQLITE)).exists():
        raise FileNotFoundError(ENOENT, "the registry is gone", path)
    store.refresh_registry()


def _is_a_file(registry: RegistryConfig) -> bool:
    return registry.registry_type == "file" and "://" not in registry.path
