"""Canary materialization: a few customers, materialized apart from what is served, read back."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from contract_checks.clock import instant
from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.measures.comparison import Comparison, compare
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.own_tables import contract_of_own_tables
from scripts.recording import digests_of, recorded
from scripts.sampling import features_of, known_by, offline_answers, pinned_service, sampled
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Materialize up to this; default now."),
    ] = None,
    customers: Annotated[
        int, typer.Option(help="Customers of the slice.", min=1, max=10_000)
    ] = 200,
    document: DocumentOption = CONTRACT,
) -> None:
    """Materialize a slice of customers into a namespace of its own, read it back and remove it.

    Exit code 0: every customer has the offline values; 1: some have not; 2: refused.
    """
    with refusals_exit(RefusedError, InvalidContract):
        contract, moment = contract_of_own_tables(document), present(as_of)
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        compared = canary(open_store(ROOT), contract, moment, customers)
    typer.echo(f"{compared.rows:,} customers materialized, {compared.differing:,} differ")
    raise typer.Exit(outcome(compared).value)


def canary(
    store: "FeatureStore", contract: Contract, as_of: datetime, customers: int = 200
) -> Comparison:
    """Compare the slice with the last offline values known by `as_of`, and leave a record.

    Raises:
        RefusedError: nothing is registered, or there is no entity to materialize.
    """
    from feature_pipeline.online.canary import read_back

    service, at = pinned_service(store, contract), known_by(store, contract, as_of)
    ttl = store.get_feature_view(contract.view_name).ttl  # older rows are not materialized
    keys = sampled(store, contract, at, customers, *([at - ttl] if ttl else []))
    with recorded("canary", contract.view_name, as_of) as figures:
        figures["files"] = digests_of("feature_access", "feature_pipeline", "storage")
        compared = compare(
            offline_answers(store, service, keys, at),
            read_back(store, contract.view_name, keys, at),
            contract.entity.join_keys,
            features_of(service),
        )
        figures |= {"customers": compared.rows, "differing": compared.differing}
        figures["passed"] = outcome(compared) is Outcome.KEPT
    return compared


def outcome(compared: Comparison) -> Outcome:
    """What is copied is copied exactly: a single difference breaks it."""
    return Outcome.BROKEN if compared.differing else Outcome.KEPT


if __name__ == "__main__":
    run_job(main)
