"""Shadow compare: the same reads, online and offline, value by value."""

import os
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from contract_checks.clock import instant, now
from contract_checks.findings import Outcome, worst_of
from contract_checks.language.contract import Contract
from contract_checks.language.loader import InvalidContract, load
from contract_checks.measures.comparison import Comparison, compare
from contract_checks.measures.proportions import at_most, upper_bound
from feature_access.hashing import HASH_KEY_VARIABLE, hash_key_from, hashed
from feature_access.refusal import RefusedError
from scripts.command_line import CONTRACT, ROOT, DocumentOption, refusals_exit
from scripts.recording import digests_of, recorded
from scripts.sampling import features_of, offline_answers, pinned_service, sampled, unknown

if TYPE_CHECKING:
    from feast import FeatureService, FeatureStore

_READS_PER_STRANGER = 100
_READS_AT_ONCE = 1_000
_SHOWN_DIGITS = 12


def main(
    as_of: Annotated[
        datetime | None,
        typer.Option(parser=instant, metavar="TIME", help="Offline as of this; default now."),
    ] = None,
    reads: Annotated[int, typer.Option(help="Customers to read in both stores.", min=1)] = 1_000,
    document: DocumentOption = CONTRACT,
) -> None:
    """Read customers online and offline, a few unknown ones among them, and compare every feature.

    Exit code 0: within the contract's acceptable delta; 1: beyond it; 2: refused, or too few reads.
    """
    from feature_access.online_store import OnlineStoreEmptyError
    from feature_access.registry import open_store

    with refusals_exit(RefusedError, InvalidContract, OnlineStoreEmptyError):
        hash_key = hash_key_from(os.environ) if os.environ.get(HASH_KEY_VARIABLE) else None
        contract = load(document)
        compared = shadow_compare(open_store(ROOT), contract, as_of or now(), reads)
    Console().print(_table(compared))
    for line in _worst(compared, hash_key) if hash_key else ():
        typer.echo(line)
    judged = outcome(compared, contract)
    typer.echo(
        f"{judged.name.lower()}: {compared.differing:,} of {compared.rows:,} reads differ; "
        f"promised is ≤ {contract.parity.maximum_delta:.2%} a feature, shown with 95% confidence"
    )
    raise typer.Exit(judged.value)


def shadow_compare(
    store: "FeatureStore", contract: Contract, as_of: datetime, reads: int = 1_000
) -> Comparison:
    """Compare what is served with the offline values at `as_of`, and leave a record.

    Raises:
        RefusedError: nothing is registered or materialized, or the online store is past `as_of`.
        OnlineStoreEmptyError: the online store holds nothing.
    """
    service = pinned_service(store, contract)
    _refuse_unless_materialized(store, contract, as_of)
    strangers = reads // _READS_PER_STRANGER
    known = sampled(store, contract, as_of, reads - strangers)
    keys = pa.concat_tables([known, unknown(store, contract, known.slice(0, strangers))])
    with recorded("shadow_compare", contract.view_name, as_of) as figures:
        figures["files"] = digests_of("feature_access")
        compared = compare(
            offline_answers(store, service, keys, as_of),
            _online_answers(store, service, keys),
            contract.entity.join_keys,
            features_of(service),
        )
        judged = outcome(compared, contract)
        figures["reads"] = compared.rows
        figures["features"] = {
            name: {
                "compared": feature.compared,
                "mismatched": feature.mismatched,
                "upper_bound": upper_bound(feature.mismatched, feature.compared),
            }
            for name, feature in compared.features.items()
        }
        figures |= {"outcome": judged.name.lower(), "passed": judged is Outcome.KEPT}
    return compared


def _online_answers(store: "FeatureStore", service: "FeatureService", keys: pa.Table) -> pa.Table:
    answers = [
        pa.table(store.get_online_features(service, batch.to_pylist()).to_dict())
        for batch in keys.to_batches(max_chunksize=_READS_AT_ONCE)
    ]
    return pa.concat_tables(answers, promote_options="permissive")


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


def _table(compared: Comparison) -> Table:
    table = Table("feature", title="Online against offline", title_justify="left")
    for column in ("reads", "differ", "at most", "largest", "SMAPE", "bias"):
        table.add_column(column, justify="right")
    for name, feature in sorted(compared.features.items()):
        table.add_row(
            name,
            f"{feature.compared:,}",
            f"{feature.mismatched:,}",
            f"{upper_bound(feature.mismatched, feature.compared):.2%}",
            *map(_number, (feature.largest_difference, feature.smape, feature.bias)),
        )
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _worst(compared: Comparison, key: bytes) -> Iterator[str]:
    """Whose values differ most, by the beginnings of the hashes that training sets hold (§9)."""
    for name, feature in sorted(compared.features.items()):
        if feature.worst:
            identifiers = pa.chunked_array([pa.array([pair.keys[0] for pair in feature.worst])])
            digests = hashed(identifiers, key).to_pylist()
            yield f"{name} differs most for {', '.join(d[:_SHOWN_DIGITS] for d in digests)}"


if __name__ == "__main__":
    typer.run(main)
