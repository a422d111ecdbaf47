"""Which profile is chosen, and what it may not say."""

from importlib import import_module
from pathlib import Path

import pytest
import yaml

from storage.errors import RefusedError
from storage.profile import _MOVED, VARIABLE, chosen_profile

ROOT = Path(__file__).parents[2]
PROFILES = (ROOT / "feature_store.yaml", *sorted((ROOT / "profiles").glob("*.yaml")))


def stores(profile: Path) -> set[str]:
    """The types of its stores that are ours."""
    told = yaml.safe_load(profile.read_text(encoding="utf-8"))
    types = {told[kind]["type"] for kind in ("offline_store", "online_store")}
    return {kind for kind in types if kind.startswith("feature_access.")}


@pytest.mark.parametrize("old", _MOVED)
def test_a_profile_that_names_a_store_where_it_was_is_told_where_it_is(
    old: str, tmp_path: Path
) -> None:
    new = _MOVED[old]
    (kind,) = {k for profile in PROFILES for k in stores(profile) if k.startswith(new)}
    assert hasattr(import_module(new.rstrip(".")), kind.removeprefix(new))
    for there, refused in ((old, True), (new, False)):
        text = f"project: p\nonline_store:\n  type: {kind.replace(new, there)}\n"
        (tmp_path / "staging.yaml").write_text(text, encoding="utf-8")
        if refused:
            with pytest.raises(RefusedError, match=f"staging.yaml names {old}.*write {new}"):
                chosen_profile(tmp_path, {VARIABLE: "staging.yaml"})
        else:
            assert chosen_profile(tmp_path, {VARIABLE: "staging.yaml"}).name == "staging.yaml"


def test_every_shipped_profile_names_stores_where_they_are() -> None:
    for profile in PROFILES:
        assert stores(profile)
        assert not any(old in profile.read_text(encoding="utf-8") for old in _MOVED)
