"""`contract-checks scaffold`: the first files of a contract's feature."""

from pathlib import Path
from typing import Annotated

import typer

from contract_checks.commands.documents import contract_at, refusal


def scaffold(
    file: Annotated[Path, typer.Argument(help="A contract document.", metavar="FILE")],
    repository: Annotated[
        Path, typer.Option(help="Folder of feature_store.yaml.", metavar="FOLDER")
    ] = Path(),
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the files and their text; write nothing.")
    ] = False,
) -> None:
    """Write the first files of a contract's feature: definitions, probe set and corpus.

    Exit code 0: written, or printed; 2: the document is not valid, the repository is none, or a
    file exists already; nothing was written.
    """
    if not (repository / "feature_store.yaml").is_file():
        raise refusal(
            f"no {repository / 'feature_store.yaml'}: name the feature repository with --repository"
        )
    contract = contract_at(file)

    # Imported late: `lint` needs no templates.
    from contract_checks.scaffold.files import (
        CannotScaffold,
        refuse_existing,
        scaffolded,
        write_new,
    )
    from contract_checks.scaffold.next_steps import next_steps

    planned = scaffolded(contract, repository)
    try:
        if dry_run:
            refuse_existing(repository, planned)
            for new in planned:
                typer.echo(typer.style(f"==> {new.path} <==", bold=True))
                typer.echo(new.text)
            return
        write_new(repository, planned)
    except CannotScaffold as refused:
        raise refusal(str(refused)) from None
    typer.echo(f"written in {repository}:")
    for new in planned:
        typer.echo(f"  {new.path}")
    typer.echo("next:")
    for number, step in enumerate(next_steps(contract), start=1):
        typer.echo(f"  {number}. {step}")
