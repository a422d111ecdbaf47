"""Which profile of the repository is judged, and whether the environment holds what it asks for.

As Feast has it: `FEAST_FS_YAML_FILE_PATH` names the file, and `${NAME}` in it is a variable.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from contract_checks.evidence.facts import MissingEvidence

VARIABLE = "FEAST_FS_YAML_FILE_PATH"
_EMBEDDED = "feature_store.yaml"
_ASKED_FOR = re.compile(r"\$\{(\w+)\}")


def chosen_profile(repository: Path, environment: Mapping[str, str]) -> Path:
    """The profile's file, named from the repository; the embedded one where none is chosen.

    Raises:
        MissingEvidence: there is no such file, or variables that it asks for are not set.
    """
    profile = repository / (environment.get(VARIABLE) or _EMBEDDED)
    if not profile.is_file():
        named = f", or set {VARIABLE} to a profile in it" if environment.get(VARIABLE) else ""
        raise MissingEvidence(f"no {profile}: name the feature repository with --repository{named}")
    asked = _ASKED_FOR.findall(profile.read_text(encoding="utf-8"))
    if unset := sorted({name for name in asked if not environment.get(name)}):
        raise MissingEvidence(f"{profile} asks for {', '.join(unset)}, not set in the environment")
    return profile
