"""Shadow compare: the same reads, online and offline, value by value."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.measures.comparison import Comparison, compare
from contract_checks.measures.proportions import at_most, upper_bound
from jobs.rehearsal.logged_requests import read_requests
from jobs.rehearsal.mismatch_evidence import Stamps
from jobs.rehearsal.sampling import (
    AGE,
    READ_AT,
    answers_at_each,
    features_of,
    known_by,
    pinned_service,
    sampled,
    unknown,
)
from jobs.rehearsal.shadow import Shadow, explained
from jobs.reporting.recording import digests_of, recorded
from jobs.repository import warehouse_of
from storage.errors import RefusedError

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

_READS_PER_STRANGER = 100
_READS_AT_ONCE = 1_000


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
        shadow = explained(compared, view, contract, stamps, warehouse_of(store))
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
