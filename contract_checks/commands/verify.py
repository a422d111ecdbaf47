"""`contract-checks verify`: is everything a receipt names still what it was?"""

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated

import typer

from contract_checks.commands.documents import refusal


def verify_receipt(
    receipt: Annotated[Path, typer.Argument(help="A receipt of the gate.", metavar="RECEIPT")],
    repository: Annotated[
        Path, typer.Option(help="Folder of feature_store.yaml.", metavar="FOLDER")
    ] = Path(),
) -> None:
    """Hold a receipt against what there is now: files, declarations, records and versions.

    Exit code 0: all as it was; 1: something differs, or is gone; 2: there is no receipt.
    """
    # Imported late: they bring the engines, which take seconds.
    from contract_checks.receipts.receipt import NoReceipt
    from contract_checks.receipts.verification import verify

    try:
        # Standard output is the table of items alone, whatever the engines have to say.
        with redirect_stdout(sys.stderr):
            items = verify(receipt, repository)
    except NoReceipt as reason:
        raise refusal(str(reason)) from None
    for item in items:
        word, colour = ("same", "green") if item.is_same else ("differs", "red")
        found = "the same" if item.is_same else item.found
        typer.echo(
            f"{typer.style(f'{word:<8}', fg=colour)} {typer.style(item.what, bold=True)}: "
            f"expected {item.expected}; found {found}"
        )
    differing = sum(not item.is_same for item in items)
    told = f"{len(items) - differing} of {len(items)} items as they were"
    typer.echo(f"{receipt}: {told}")
    raise typer.Exit(1 if differing else 0)
