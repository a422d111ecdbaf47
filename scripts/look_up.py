"""Look customers up online, as a model does."""

from typing import Annotated

import typer

from contract_checks.clock import now
from contract_checks.console import console
from jobs.repository import feature_store
from scripts.command_line import answers_table, refusals_exit, run_job


def main(
    customer_ids: Annotated[list[str], typer.Argument(help="Customers.", metavar="CUSTOMER_ID...")],
    service: Annotated[str, typer.Option(help="Feature service to read.")] = "customer_profile",
) -> None:
    """Print the online features of customers; an unknown one has the contract's defaults.

    Below them stands how far the store is materialized, whatever its age.

    Exit code 0: answered; 2: the store is down, hung or empty, the service unknown, or what is
    named no customer.
    """
    import feast_start  # noqa: F401  (before Feast)
    from feast.errors import FeatureServiceNotFoundException

    from feature_access.entities.value import UnusableKeysError
    from feature_access.errors import OnlineStoreUnavailableError
    from feature_access.online_stores.freshness import fresh_within

    with (
        refusals_exit(
            OnlineStoreUnavailableError, FeatureServiceNotFoundException, UnusableKeysError
        ),
        fresh_within(None, at=now()) as reading,
    ):
        store = feature_store()
        answer = store.get_online_features(
            features=store.get_feature_service(service),
            entity_rows=[{"customer_id": customer_id} for customer_id in customer_ids],
        ).to_dict()
    console().print(answers_table(answer))
    until = reading.materialized_to
    typer.echo(f"online up to {until:%Y-%m-%d %H:%M:%S} UTC" if until else "pushed, up to no time")


if __name__ == "__main__":
    run_job(main)
