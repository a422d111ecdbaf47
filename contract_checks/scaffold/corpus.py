"""The first cases of a feature's corpus: a change of its definitions, and what must be found."""

from dataclasses import dataclass

from contract_checks.language.contract import Contract
from contract_checks.language.sentence import spell
from contract_checks.scaffold.literals import argument, length_of_time


@dataclass(frozen=True)
class Case:
    """A case's folder, what it changes in the definitions, and the one check that must notice."""

    folder: str
    what: str
    breaks: str
    """Clause and check, as in `§1 owner: owner-is-declared`."""
    got: str
    """What that check then gets."""
    old: str
    """Stands once in the definitions."""
    new: str
    note: str = ""
    """What the team should know of it later."""


def cases(contract: Contract) -> tuple[Case, ...]:
    """A case for the ttl, the owner and the version."""
    lookback, owner = contract.time.lookback, contract.overview.owner
    longer = 2 * lookback
    version = contract.overview.version
    another = f"v{int(version[1:]) + 1}"
    # Owner and version stand in the services too; with the line beside them only in the view.
    online = contract.overview.status in ("active", "deprecated")
    beside_owner, beside_version = f"    online={online},\n", '\n        "status": '
    return (
        Case(
            "03_ttl_longer",
            "the view's ttl is twice the look-back",
            "§3 lookback window: ttl-is-the-lookback",
            spell(longer),
            f"ttl={length_of_time(lookback)}",
            f"ttl={length_of_time(longer)}",
            'A promoted version keeps its schema: from then on "§10 served versions immutable" '
            "breaks, too.",
        ),
        Case(
            "01_owner_changed",
            "the view is owned by another team than the document's",
            "§1 owner: owner-is-declared",
            f"Not {owner}",
            beside_owner + argument("    owner=", owner),
            beside_owner + argument("    owner=", f"Not {owner}"),
        ),
        Case(
            "01_version_tag",
            "the view's tag names another version than the document",
            "§1 version: version-is-tagged",
            another,
            f'"version": "{version}",{beside_version}',
            f'"version": "{another}",{beside_version}',
        ),
    )
