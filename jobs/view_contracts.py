"""Whose terms a reader is held to: each view of a service is read under its own contract."""

from collections.abc import Iterable

from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from jobs.repository import ROOT
from storage.errors import RefusedError


def contracts_of(views: Iterable[str], named: Contract) -> list[Contract]:
    """The contract of each view: the one that was named, or the one in contracts/.

    Raises:
        RefusedError: a view has none there, or two.
    """
    others = contracts_beside(named)
    return [named if view == named.view_name else _only(view, others) for view in views]


def contracts_beside(named: Contract) -> list[Contract]:
    """The valid documents of contracts/, but for the one that was named."""
    found = []
    for document in sorted((ROOT / "contracts").glob("*.md")):
        try:
            contract = load(document)
        except InvalidContract:
            continue  # it approves nobody
        if contract.view_name != named.view_name:
            found.append(contract)
    return found


def _only(view: str, contracts: Iterable[Contract]) -> Contract:
    match [contract for contract in contracts if contract.view_name == view]:
        case [contract]:
            return contract
        case found:
            many = f"{len(found)} valid contracts" if found else "no valid contract"
            raise RefusedError(
                f"{many} in contracts/ of {view}, which the service serves as well, so nothing "
                "says who may read it: keep its own one there"
            )
