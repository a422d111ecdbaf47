"""Roll back: let the feature's service serve the version before (contract §10)."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant
from contract_checks.evidence.facts import MissingEvidence, Operations
from contract_checks.evidence.operations import read_operations
from contract_checks.evidence.versions import moves_of_the_pointer, version_before
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from scripts.command_line import CONTRACT, ROOT, present, refusals_exit, run_job, to_declare
from scripts.moving import finish, move, unfinished
from scripts.own_tables import contract_of_own_tables
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore


def main(
    contract: Annotated[
        Path, typer.Option(help="Any document of the feature.", metavar="FILE")
    ] = CONTRACT,
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="As of this time; default now."),
    ] = None,
    dry_run: Annotated[bool, typer.Option(help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Point the feature's service back at what it served before its version was promoted.

    Readers see it with the next refresh of their registry; nothing is deployed.

    Exit code 0: rolled back; 2: refused: no version before, or it cannot be served.
    """
    with refusals_exit(RefusedError, InvalidContract, MissingEvidence):
        moment = present(as_of)
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        terms = contract_of_own_tables(contract)
        store = open_store(ROOT)
        served, before = _served_and_before(store, terms, moment)
        if not dry_run:
            roll_back(store, terms, moment)
    done = "would serve" if dry_run else "serves"
    typer.echo(f"service {terms.overview.feature_name} {done} {before} in place of {served}")
    if not dry_run:
        typer.echo(to_declare(terms.overview.feature_name, before))


def roll_back(store: "FeatureStore", contract: Contract, as_of: datetime) -> str:
    """Move the pointer back, on record, and return the view it serves now.

    A rollback that was killed once readers saw it is not done again, but put on record.

    Raises:
        RefusedError: there is no version before, or it is not registered and materialized.
        MissingEvidence: no promotion is on record.
    """
    served, before = _served_and_before(store, contract, as_of)
    killed = finish(store, contract, as_of)
    if killed is None or killed.job != "rollback":
        move(store, contract, "rollback", before, as_of, {"from": served})
    return before


def _served_and_before(
    store: "FeatureStore", contract: Contract, as_of: datetime
) -> tuple[str, str]:
    from feature_pipeline.online.pointer import pointed_at

    feature = contract.overview.feature_name
    operations = read_operations(ROOT, as_of)
    if not isinstance(operations, Operations):
        raise operations
    killed = unfinished(store, contract, as_of)
    if killed is not None and killed.job == "rollback":
        return str(killed.figures["from"]), killed.subject
    served = pointed_at(store, feature)
    moves = moves_of_the_pointer(contract, operations) + ((killed,) if killed else ())
    if served not in {r.subject for r in moves if r.job == "promotion"}:
        raise RefusedError(f"service {feature} serves {served}, whose promotion is not on record")
    before = version_before(moves, served)
    if before is None:
        raise RefusedError(f"no version of {feature} was promoted before {served}")
    return served, before


if __name__ == "__main__":
    run_job(main)
