"""Erasure: one customer leaves every store, and a search of everything proves it."""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from contract_checks.clock import instant
from contract_checks.console import console
from contract_checks.failure import one_line
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.operations.log import Record
from contract_checks.server_faults import server_fault
from feature_access.training.hashing import hash_key_from
from feature_pipeline.change_log.reset_watermark import recount
from feature_pipeline.erasure.identity import Identity, without
from feature_pipeline.erasure.residual_search import Searched, search
from feature_pipeline.refreshed import Tables
from scripts.command_line import (
    CONTRACT,
    EVENTS,
    HISTORY,
    QUARANTINE,
    ROOT,
    DocumentOption,
    present,
    refusals_exit,
    run_job,
    writing_alone,
)
from scripts.customer import identity_of, online_keys
from scripts.erased import keep, listed_with
from scripts.erased_rows import Step, stored
from scripts.forgetful import forgetful
from scripts.old_records import everything_on_record
from scripts.own_tables import contract_of_own_tables
from scripts.recording import operations_log, recorded
from scripts.sets_on_record import refuse_another_key, sets_on_record
from scripts.terms import terms_of
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore

AFTERWARDS = (
    "run scripts/refresh.py, then scripts/backfill.py: §6 and §11 are judged on what is left"
)


class ErasureFailedError(Exception):
    """Something nobody foresaw; what it said, without the customer."""


def main(
    customer_id: Annotated[
        str, typer.Argument(metavar="CUSTOMER_ID", help="Whom; - reads it from standard input.")
    ],
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="When it is done; default now."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many rows would go, and change nothing.")
    ] = False,
    document: DocumentOption = CONTRACT,
) -> None:
    """Erase one customer everywhere, and search every file and online key for what is left.

    The key that training sets are hashed with comes from FEATURE_STORE_HASH_KEY. Safe to run again.
    Exit code 0: nothing is left; 1: something is, and is named; 2: refused, nothing erased.
    """
    with refusals_exit(RefusedError, InvalidContract):
        contract, key = contract_of_own_tables(document), hash_key_from(os.environ)
        # Imported late: Feast takes seconds, which --help should not.
        from feature_access.registry import open_store

        moment, store = present(as_of), open_store(ROOT)
        named = sys.stdin.readline().rstrip("\r\n") if customer_id == "-" else customer_id
        identity = identity_of(contract, named, key, store)
        with naming_nobody(identity):
            if dry_run:
                console().print(_steps_table(planned(store, identity, key, moment), "would go"))
                return
            steps, searched = erase(store, contract, identity, key, moment)
    console().print(_steps_table(steps, "rows gone"))
    console().print(_search_table(searched))
    left = [place for place in searched if not place.is_clean]
    for place in left:
        typer.echo(f"left: {place.place}: {place.unread or f'{place.found:,} found'}")
    typer.echo(f"{len(searched)} places searched, something left in {len(left)}")
    typer.echo(AFTERWARDS)
    raise typer.Exit(1 if left else 0)


def erase(
    store: "FeatureStore", contract: Contract, identity: Identity, hash_key: bytes, as_of: datetime
) -> tuple[tuple[Step, ...], tuple[Searched, ...]]:
    """Erase the customer, search everything, and leave a record of both that names nobody.

    Raises:
        RefusedError: another job is writing; see `planned`.
    """
    with writing_alone():
        steps = planned(store, identity, hash_key, as_of)
        with recorded("erasure", contract.view_name, as_of) as figures, naming_nobody(identity):
            for step in steps:
                step.erase()
            terms = terms_of(contract, listed_with(hash_key))
            recount(Tables(EVENTS, HISTORY, QUARANTINE), terms)
            searched = (
                *_search_online(store, identity),
                *stored(identity).searched(),
                *_search_files(identity),
            )
            left = [place for place in searched if not place.is_clean]
            figures["removed"] = {step.store: step.rows for step in steps}
            figures["searched"], figures["left"] = len(searched), len(left)
            figures["passed"] = not left
    return steps, searched


def planned(
    store: "FeatureStore", identity: Identity, hash_key: bytes, as_of: datetime
) -> tuple[Step, ...]:
    """The customer's rows in each store; nothing is erased.

    Raises:
        RefusedError: the key is another one than was used before, or a store cannot be read.
    """
    sets = sets_on_record(identity.column)
    refuse_another_key(sets, identity, hash_key)
    erased = listed_with(hash_key)
    online, keys = forgetful(store), online_keys(identity.column, identity.text)
    offline, *others = stored(identity).steps()

    def list_them() -> None:
        keep(erased.with_one_more(identity.text))

    return (
        # The change log before the list: a refresh in between would miss rows that were served.
        offline,
        Step("list of the erased", 0, list_them),
        *others,
        Step(
            "online",
            online.held(store.config, keys),
            lambda: online.forget(store.config, keys),
        ),
        *(
            Step(one.path, one.rows_of(identity), lambda one=one: one.erase(identity, as_of))  # type: ignore[misc]
            for one in sets
        ),
        Step(
            "operations log",
            sum(_blotted(r, identity) != r for r in everything_on_record().records),
            lambda: operations_log().revise(lambda record: _blotted(record, identity)),
        ),
    )


def _blotted(record: Record, identity: Identity) -> Record:
    """The record without the customer, whom only the message of an error can have named."""
    figures = dict(record.figures)
    return Record(
        record.job,
        record.subject,
        record.at,
        record.passed,
        record.seconds,
        identity.redacted(figures),
    )


def _search_files(identity: Identity) -> Iterator[Searched]:
    elsewhere = [one.file for one in sets_on_record(identity.column)]
    yield from search(ROOT / "data", elsewhere, identity)
    records = everything_on_record().records
    telling = sum(identity.is_in(json.dumps(r.figures, ensure_ascii=False)) for r in records)
    yield Searched("operations log", f"{len(records):,} records", telling)


def _search_online(store: "FeatureStore", identity: Identity) -> Iterator[Searched]:
    keys = online_keys(identity.column, identity.text)
    yield Searched("online store", f"{len(keys)} keys", forgetful(store).held(store.config, keys))


@contextmanager
def naming_nobody(identity: Identity) -> Iterator[None]:
    """Let no error tell whom the erasure is of, neither on the screen nor on record.

    Raises:
        RefusedError: what was refused.
        Exception: what a server failed of.
        ErasureFailedError: whatever else went wrong.
    """
    try:
        yield
    except RefusedError as refusal:
        raise RefusedError(without(str(refusal), identity)) from None
    except Exception as error:
        if server_fault(error):
            raise  # what is told of a server names nobody
        said = without(one_line(error), identity)  # the rest may quote other customers
        raise ErasureFailedError(f"{said}; run it again once that is mended") from None


def _steps_table(steps: Sequence[Step], heading: str) -> Table:
    table = Table("store", title="Erasure", title_justify="left")
    table.add_column(heading, justify="right")
    for step in steps:
        table.add_row(step.store, f"{step.rows:,}")
    return table


def _search_table(searched: Sequence[Searched]) -> Table:
    table = Table("place", "looked at", title="Searched", title_justify="left")
    table.add_column("found", justify="right")
    for place in searched:
        table.add_row(place.place, place.looked_at, place.unread or f"{place.found:,}")
    return table


if __name__ == "__main__":
    run_job(main)
