"""An operations log that is gone while the stores stand: a job would begin another in silence."""

from datetime import datetime

import typer

from contract_checks.language.contract import Contract
from jobs.reporting.alerting import News, alert
from jobs.reporting.freeze_baseline import registered

CLAUSE, SUBJECT = "§9 audit requirements", "operations log"


def tell_of_a_lost_log(contract: Contract, at: datetime) -> None:
    """Where no log is there: say so and begin an incident, if the feature was materialized before.

    The job goes on in a log that begins with that incident. It lasts until a person drops it, or
    has the old log restored in its place.

    Raises:
        MissingEvidence: the view is not registered, so that no job of its can have run.
    """
    known_to = registered(contract.view_name).materialized_to
    if known_to is None:
        return
    figure = (
        f"there is none, though {contract.view_name} was materialized up to "
        f"{known_to.isoformat()}, and a new one begins. What promotions, baselines, reviews and "
        "readers were on record is no more: restore it from a backup"
    )
    typer.echo(f"no operations log: {figure}", err=True)
    alert(contract, at, News(CLAUSE, SUBJECT, True, "no operations log", figure))
