"""The version after v1, for tests alone: its document, probe set, feature view and services.

Everything is v1's text with exact replacements, so that v2 differs in what is told here and in
nothing else: it no longer has the feature `sessions_30d`.
"""

import re
from pathlib import Path

DROPPED = "sessions_30d"
V1, V2 = "customer_profile_v1", "customer_profile_v2"
DOCUMENT, NEXT_DOCUMENT = Path("contracts", f"{V1}.md"), Path("contracts", f"{V2}.md")
VIEWS = Path("feature_repo", "customer_profile.py")
SERVICES = Path("feature_repo", "services.py")

BREAKING = {f"  - {DROPPED}: 0–10,000\n": ""}
NEW_VERSION = {
    "customer_profile (v1)": "customer_profile (v2)",
    "**Version:** v1": "**Version:** v2",
    f"feature_store.{V1}": f"feature_store.{V2}",
    "v1 stays supported for 90 days after v2": "v2 stays supported for 90 days after v3",
    "2026-01-01: First release\n": "2026-01-01: First release\n  - v2 — 2026-02-01: No sessions\n",
}
POINTER = 'name="customer_profile",\n    features=[{}],'
SERVES = '"serves": "{}"'
STATUS = '"version": "{}",\n        "status": "{}"'


def edit(file: Path, replacements: dict[str, str]) -> None:
    """Replace passages of a file, each of which stands in it exactly once."""
    text = file.read_text(encoding="utf-8")
    for says, instead in replacements.items():
        assert text.count(says) == 1, f"{file}: {says!r} stands there {text.count(says)} times"
        text = text.replace(says, instead)
    file.write_text(text, encoding="utf-8")


def write_document(repository: Path) -> None:
    """The document of v2 and its probe set, beside v1's."""
    document = repository / NEXT_DOCUMENT
    document.write_bytes((repository / DOCUMENT).read_bytes())
    edit(document, BREAKING | NEW_VERSION)
    probes = (repository / DOCUMENT).with_suffix(".probes.toml").read_text(encoding="utf-8")
    without, expectations = re.subn(rf"{DROPPED} = \d+, ", "", probes)
    assert expectations == probes.count(DROPPED) > 10
    document.with_suffix(".probes.toml").write_text(without, encoding="utf-8")


def declare(repository: Path) -> None:
    """The feature view and the pinned service of v2, below v1's; the pointer is left as it is."""
    views, services = repository / VIEWS, repository / SERVICES
    head, mark, view = views.read_text(encoding="utf-8").partition(f"{V1} = FeatureView(")
    field = re.search(rf' +Field\(\n +name="{DROPPED}".*?\n        \),\n', view, re.DOTALL)
    assert field
    v2 = _renamed(mark + view.replace(field[0], ""))
    views.write_text(f"{head}{mark}{view}\n{v2}", encoding="utf-8")

    pinned = _pinned(services)
    edit(
        services,
        {
            f"import {V1}\n": f"import {V1}, {V2}\n",
            pinned: f"{pinned}\n{_renamed(pinned)}",
        },
    )


def withdraw_pinned(repository: Path) -> None:
    """Take v1's pinned service away."""
    services = repository / SERVICES
    edit(services, {_pinned(services): ""})


def declare_pointer(repository: Path, was: str, now: str) -> None:
    """Write the version that is served into the declarations."""
    passages = (POINTER, SERVES)
    edit(repository / SERVICES, {p.format(was): p.format(now) for p in passages})


def declare_status(repository: Path, was: str, now: str) -> None:
    """Give v1 another status, in its document and in its view's tag."""
    edit(repository / DOCUMENT, {f"**Status:** {was}": f"**Status:** {now}"})
    edit(repository / VIEWS, {STATUS.format("v1", was): STATUS.format("v1", now)})


def _pinned(services: Path) -> str:
    """The declaration of v1's pinned service."""
    declared = services.read_text(encoding="utf-8")
    found = re.search(rf"pinned_{V1} = .*?\n\)\n", declared, re.DOTALL)
    assert found
    return found[0]


def _renamed(declaration: str) -> str:
    return declaration.replace(V1, V2).replace('"v1"', '"v2"').replace("version v1", "version v2")
