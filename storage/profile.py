"""Which profile is chosen, and whether the environment holds all that it asks for.

Feast expands `${NAME}` in a profile and leaves it as it stands where NAME is not set.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from storage.errors import RefusedError

VARIABLE = "FEAST_FS_YAML_FILE_PATH"
"""Feast's own: the path of the profile, from the repository's root."""

_MOVED = {
    "feature_access.offline_store.": "feature_access.offline_stores.duckdb_store.",
    "feature_access.postgres_offline_store.": "feature_access.offline_stores.postgres_store.",
    "feature_access.spark_offline_store.": "feature_access.offline_stores.spark_store.",
    "feature_access.online_store.": "feature_access.online_stores.sqlite_store.",
    "feature_access.redis_online_store.": "feature_access.online_stores.redis_store.",
}
"""Where the stores were that a profile of before names, and where they are."""
_OFFLINE_STORE = re.compile(r"^offline_store:\s+type: (\S+)", re.MULTILINE)
_ASKED_FOR = re.compile(r"\$\{(\w+)\}")


def chosen_profile(repository: Path, environment: Mapping[str, str]) -> Path:
    """The profile's file; the embedded one where none is chosen.

    Raises:
        RefusedError: there is no such file, it names a store where it was before, or a variable
            that it asks for is not set.
    """
    profile = repository / (environment.get(VARIABLE) or "feature_store.yaml")
    if not profile.is_file():
        raise RefusedError(f"no profile at {profile}: set {VARIABLE} to one, or to nothing")
    text = profile.read_text(encoding="utf-8")
    if old := next((old for old in _MOVED if re.search(rf"type:\s+{re.escape(old)}", text)), None):
        raise RefusedError(f"{profile} names {old}…, which has moved: write {_MOVED[old]}… there")
    asked = _ASKED_FOR.findall(text)
    if unset := sorted({name for name in asked if not environment.get(name)}):
        raise RefusedError(f"{profile} asks for {', '.join(unset)}, not set in the environment")
    return profile


def offline_store_of(profile: Path) -> str | None:
    """The type of its offline store, as Feast is told it; without Feast, whose start takes long."""
    told = _OFFLINE_STORE.search(profile.read_text(encoding="utf-8"))
    return told and told[1]


def refuse_unset(options: Any) -> Any:
    """The options of one store as Feast read them, if none waits for its variable.

    Raises:
        ValueError: some do.
    """
    texts = [text for text in options.values() if isinstance(text, str)]
    if unset := sorted({name for text in texts for name in _ASKED_FOR.findall(text)}):
        raise ValueError(f"not set in the environment: {', '.join(unset)}")
    return options
