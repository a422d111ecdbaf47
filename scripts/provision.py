"""Set production up: its schemas, roles, logins and rights, each of them checked at the end."""

import os
from typing import Annotated

import typer
from rich.table import Table

from contract_checks.console import console
from jobs.provisioning.logins import LOGINS_VARIABLE
from jobs.provisioning.provision import Verdict, provision_from
from scripts.command_line import refusals_exit, run_job

BROKEN = 1


def main(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; nothing is left of it.")
    ] = False,
) -> None:
    """Set the production profile's warehouse, registry, log and logins up. Run it again at will.

    What is there stays as it is. At the end every login is held against its roles: it must be able
    to do their work, and nothing else.

    Exit code 0: every login may do its work and no more, and Redis keeps what it is given; 1: not
    so; 2: refused, nothing was changed.
    """
    with refusals_exit():
        done, verdicts = provision_from(os.environ, keep=not dry_run)
    _show(done, verdicts, dry_run)
    if any(verdict.lacks or verdict.beyond for verdict in verdicts):
        raise typer.Exit(BROKEN)


def _show(done: list[str], verdicts: list[Verdict], dry_run: bool) -> None:
    would = "would have " if dry_run else ""
    for line in done or ["nothing to do"]:
        typer.echo(f"{would}{line}" if done else line)
    table = Table("login", "roles", "can do its work", "and no more")
    for verdict in verdicts:
        table.add_row(
            verdict.name,
            ", ".join(verdict.roles),
            "\n".join(("no, for want of:", *verdict.lacks)) if verdict.lacks else "yes",
            "\n".join(("no, it has:", *verdict.beyond)) if verdict.beyond else "yes",
        )
    console().print(table)
    if len(verdicts) == 1:
        typer.echo(f"no login has a role yet: name some in {LOGINS_VARIABLE}")


if __name__ == "__main__":
    run_job(main)
