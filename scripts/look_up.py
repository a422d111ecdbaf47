"""Look customers up online, as a model does."""

from typing import Annotated

import typer
from rich.console import Console

from scripts.answers import answers_table
from scripts.command_line import ROOT, refusals_exit


def main(
    customer_ids: Annotated[list[int], typer.Argument(help="Customers.", metavar="CUSTOMER_ID...")],
    service: Annotated[str, typer.Option(help="Feature service to read.")] = "customer_profile",
) -> None:
    """Print the online features of customers; an unknown one has the contract's defaults.

    Exit code 0: answered; 2: the store is empty or the service unknown.
    """
    from feast.errors import FeatureServiceNotFoundException

    from feature_access.online_store import OnlineStoreEmptyError
    from feature_access.registry import open_store

    with refusals_exit(OnlineStoreEmptyError, FeatureServiceNotFoundException):
        store = open_store(ROOT)
        answer = store.get_online_features(
            features=store.get_feature_service(service),
            entity_rows=[{"customer_id": customer_id} for customer_id in customer_ids],
        ).to_dict()
    Console().print(answers_table(answer))


if __name__ == "__main__":
    typer.run(main)
