"""Shadow compare: the same reads, online and offline, value by value."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer

from contract_checks.clock import instant
from contract_checks.console import console
from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract
from contract_checks.measures.comparison import Comparison, compare
from contract_checks.measures.proportions import at_most, upper_bound
from feature_access.offline_stores.offline_table import BeforeRetentionError, NotYetKnownError
from feature_access.training.hashing import HASH_KEY_VARIABLE, hash_key_from
from scripts.command_line import CONTRACT, ROOT, DocumentOption, present, refusals_exit, run_job
from scripts.logged_requests import read_requests
from scripts.mismatch_evidence import Stamps
from scripts.own_tables import contract_of_own_tables
from scripts.recording import digests_of, recorded
from scripts.sampling import (
    AGE,
    READ_AT,
    answers_at_each,
    features_of,
    known_by,
    pinned_service,
    sampled,
    unknown,
)
from scripts.shadow import Shadow, explained
from scripts.shadow_report import tables
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

_READS_PER_STRANGER = 100
_READS_AT_ONCE = 1_000


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Offline as of this; default now."),
    ] = None,
    reads: Annotated[int, typer.Option(help="Customers to read in both stores.", min=1)] = 1_000,
    requests: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Logged requests in place of reads: key, read_at and the values served.",
        ),
    ] = None,
    document: DocumentOption = CONTRACT,
) -> None:
    """Read customers online and offline, a few unknown ones among them, and compare every feature.

    With --requests what was served is what the log says, and offline is as of each request. Every
    mismatch gets a cause.

    Exit code 0: within the contract's acceptable delta; 1: beyond it; 2: refused, or too few reads.
    """
    from feature_access.errors import OnlineStoreUnavailableError
    from feature_access.registry import open_store

    refusals = (RefusedError, InvalidContract, OnlineStoreUnavailableError)
    with refusals_exit(*refusals, BeforeRetentionError, NotYetKnownError):
        hash_key = hash_key_from(os.environ) if os.environ.get(HASH_KEY_VARIABLE) else None
        contract, moment = contract_of_own_tables(document), present(as_of)
        shadow = shadow_compare(open_store(ROOT), contract, moment, reads, requests)
    for table in tables(shadow, hash_key):
        console().print(table)
    compared, judged = shadow.compared, outcome(shadow.compared, contract)
    typer.echo(
        f"{judged.name.lower()}: {compared.differing:,} of {compared.rows:,} reads differ, "
        f"{compared.only_offline:,} offline alone, {compared.only_online:,} online alone, "
        f"{compared.duplicates:,} of a key twice; "
        f"promised is ≤ {contract.parity.maximum_delta:.2%} a feature, shown with 95% confidence"
    )
    raise typer.Exit(judged.value)


def shadow_compare(
    store: "FeatureStore",
    contract: Contract,
    as_of: datetime,
    reads: int = 1_000,
    requests: Path | None = None,
) -> Shadow:
    """Compare what is served with the last offline values known by `as_of`, and leave a record.

    With `requests`, a file, compare what was served then with the offline values of then.

    Raises:
        RefusedError: nothing is registered or materialized, the online store is past `as_of`, or
            the requests cannot be read; see `read_requests`.
        OnlineStoreUnavailableError: the online store does not answer, or holds nothing.
    """
    from feature_access.offline_stores.postgres_address import warehouse_address

    service, view = pinned_service(store, contract), store.get_feature_view(contract.view_name)
    keys, features = list(contract.entity.join_keys), features_of(service)
    stamps: Stamps = {}
    if requests is None:
        asked = _sampled_reads(store, contract, as_of, reads)
    else:
        # Imported late, like Feast, whose seconds it takes.
        from feature_access.entities.keys import declared_keys

        asked = read_requests(requests, declared_keys([view]), features, as_of, os.environ)
    with recorded("shadow_compare", contract.view_name, as_of) as figures:
        figures["files"] = digests_of("feature_access", "storage")
        offline = answers_at_each(store, service, contract, asked)
        if requests is None:
            online, stamps = _online_answers(store, service, asked)
        else:
            online = asked
        compared = compare(offline, online, [*keys, READ_AT], features, group=AGE)
        shadow = explained(compared, view, contract, stamps, warehouse_address(store.config))
        judged = outcome(compared, contract)
        figures["reads"] = compared.rows
        figures["logged"] = requests is not None
        figures["features"] = _figures(compared)
        figures["causes"] = {
            name: {cause.value: n for cause, n in sorted(shadow.counted(name).items())}
            for name in features
        }
        figures["ages"] = {name: compared.features[name].groups for name in features}
        figures |= {"outcome": judged.name.lower(), "passed": judged is Outcome.KEPT}
    return shadow


def _figures(compared: Comparison) -> dict[str, dict[str, float]]:
    return {
        name: {
            "compared": feature.compared,
            "mismatched": feature.mismatched,
            "upper_bound": upper_bound(feature.mismatched, feature.compared),
        }
        for name, feature in compared.features.items()
    }


def _sampled_reads(
    store: "FeatureStore", contract: Contract, as_of: datetime, reads: int
) -> pa.Table:
    """Whom to read now, which is `as_of`: customers of the offline table, and a few strangers."""
    _refuse_unless_materialized(store, contract, as_of)
    strangers, at = reads // _READS_PER_STRANGER, known_by(store, contract, as_of)
    known = sampled(store, contract, at, reads - strangers)
    asked = pa.concat_tables([known, unknown(store, contract, known.slice(0, strangers))])
    times = pa.array([at] * asked.num_rows, pa.timestamp("us", tz="UTC"))
    return asked.append_column(READ_AT, times)


def _online_answers(
    store: "FeatureStore", service: "FeatureService", reads: pa.Table
) -> tuple[pa.Table, Stamps]:
    """What is served for each read, and the stamp of the row it is from."""
    keys = [name for name in reads.column_names if name != READ_AT]
    answers = pa.concat_tables(
        [
            pa.table(
                store.get_online_features(service, batch.to_pylist()).to_dict(
                    include_event_timestamps=True
                )
            )
            for batch in reads.select(keys).to_batches(max_chunksize=_READS_AT_ONCE)
        ],
        promote_options="permissive",
    ).append_column(READ_AT, reads[READ_AT])
    return answers, dict(_stamps(answers, keys, features_of(service)))


def _stamps(
    answers: pa.Table, keys: list[str], features: tuple[str, ...]
) -> Iterator[tuple[tuple[object, ...], datetime | None]]:
    columns = [*keys, READ_AT, *(f"{feature}__ts" for feature in features)]
    for row in zip(*(answers[name].to_pylist() for name in columns), strict=True):
        key, seconds = row[: len(keys) + 1], row[len(keys) + 1 :]
        newest = max((s for s in seconds if s), default=None)  # 0 is a default's
        yield key, datetime.fromtimestamp(newest, UTC) if newest else None


def outcome(compared: Comparison, contract: Contract) -> Outcome:
    """The worst feature's, against the acceptable delta (§8)."""
    return worst_of(
        Outcome[at_most(contract.parity.maximum_delta, f.mismatched, f.compared).upper()]
        for f in compared.features.values()
    )


def _refuse_unless_materialized(store: "FeatureStore", contract: Contract, as_of: datetime) -> None:
    """A store that stands at a later time than `as_of` knows more than it could have then."""
    view = store.get_feature_view(contract.view_name)
    ends = [end for _, end in view.materialization_intervals]
    if not ends:
        raise RefusedError(f"{view.name} was never materialized: run scripts/refresh.py")
    if max(ends) > as_of:
        raise RefusedError(
            f"the online store stands at {max(ends).isoformat()}, past {as_of.isoformat()}: name "
            "a time that is not before it"
        )


if __name__ == "__main__":
    run_job(main)
