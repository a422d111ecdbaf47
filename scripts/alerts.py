"""The incidents that last and the alerts that wait, and an end to one by a person's word."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from contract_checks.language.loader import load
from contract_checks.operations.incidents import standing
from jobs.reporting.alerting import alerts_on_record
from jobs.reporting.alerts import drop, listed
from jobs.repository import CONTRACT
from scripts.command_line import DocumentOption, present, refusals_exit, run_job, time_option


class Action(StrEnum):
    """What to do with the alerts."""

    list = "list"
    drop = "drop"


def main(
    action: Annotated[Action, typer.Argument(help="Show them, or drop one incident.")],
    clause: Annotated[str, typer.Argument(help='Of the incident, such as "§7 warn".')] = "",
    feature: Annotated[str, typer.Argument(help="Of the incident, or its job.")] = "",
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Why it is dropped; goes on record.")
    ] = "",
    as_of: Annotated[datetime | None, time_option("When it was dropped; default now.")] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """List the incidents that last and the alerts not yet delivered, or drop an incident.

    What is dropped has ended and is sent no more. Should it break again, it begins again.

    Exit code 0: listed, or dropped and on record; 2: refused.
    """
    with refusals_exit():
        contract, moment = load(document), present(as_of)
        if action is Action.list:
            lines = listed(standing(alerts_on_record(contract)))
        else:
            count = drop(contract, (clause, feature), reason, moment)
            lines = [f"dropped {clause} {feature}, of it {count} not delivered: {reason.strip()}"]
    typer.echo("\n".join(lines))


if __name__ == "__main__":
    run_job(main)
