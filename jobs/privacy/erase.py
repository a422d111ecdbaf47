"""Erasure: one customer leaves every store, and a search of everything proves it."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from contract_checks.failure import one_line
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record
from contract_checks.server_faults import server_fault
from feature_pipeline.change_log.reset_watermark import reset_watermark
from feature_pipeline.erasure.identity import Identity, without
from feature_pipeline.erasure.residual_search import Searched, search
from feature_pipeline.refreshed import Tables
from jobs.privacy.customer import online_keys
from jobs.privacy.erased import keep, listed_with, terms_of
from jobs.privacy.erased_rows import Step, stored
from jobs.privacy.old_records import everything_on_record
from jobs.privacy.row_deleting import row_deleting
from jobs.privacy.sets_on_record import refuse_another_key, sets_on_record
from jobs.reporting.recording import operations_log, recorded
from jobs.repository import EVENTS, HISTORY, QUARANTINE, ROOT, writing_alone
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureStore


class ErasureFailedError(Exception):
    """Something nobody foresaw; what it said, without the customer."""


def erase(
    store: "FeatureStore", contract: Contract, identity: Identity, hash_key: bytes, as_of: datetime
) -> tuple[tuple[Step, ...], tuple[Searched, ...]]:
    """Erase the customer, search everything, and leave a record of both that names nobody.

    Raises:
        RefusedError: another job is writing; see `planned`.
    """
    with writing_alone():
        steps = planned(store, identity, hash_key, as_of)
        with recorded("erasure", contract.view_name, as_of) as figures, redacting_errors(identity):
            for step in steps:
                step.erase()
            terms = terms_of(contract, listed_with(hash_key))
            reset_watermark(Tables(EVENTS, HISTORY, QUARANTINE), terms)
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
    online, keys = row_deleting(store), online_keys(identity.column, identity.text)
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
    yield Searched(
        "online store", f"{len(keys)} keys", row_deleting(store).held(store.config, keys)
    )


@contextmanager
def redacting_errors(identity: Identity) -> Iterator[None]:
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
