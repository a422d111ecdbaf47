"""What a shadow compare found: what differs, and why."""

from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.language.contract import Contract
from contract_checks.measures.comparison import Comparison
from contract_checks.measures.differing_read import Declared
from contract_checks.measures.mismatch_causes import Cause, Judged, causes_of
from feature_pipeline.compute_engines.postgres.keys import lend_keys
from feature_pipeline.compute_engines.postgres.warehouse import session
from jobs.rehearsal.mismatch_evidence import Sources, Stamps, reads_of
from jobs.repository import ROOT
from storage.atomic import scratch_folder

if TYPE_CHECKING:
    from feast import FeatureView


@dataclass(frozen=True)
class Shadow:
    """What was compared, and why what differs does."""

    compared: Comparison
    causes: tuple[Mapping[str, Judged], ...]
    """The cause of each mismatch of the comparison, by feature."""

    def counted(self, feature: str) -> dict[Cause, int]:
        """How often each cause is the feature's."""
        return dict(Counter(causes[feature].cause for causes in self.causes if feature in causes))

    def cause_of(self, feature: str, keys: tuple[object, ...]) -> Cause:
        """Why the feature differs in the first row of these keys in which it does."""
        return self._by_keys[feature, keys]

    @cached_property
    def _by_keys(self) -> dict[tuple[str, tuple[object, ...]], Cause]:
        both = zip(self.compared.mismatches, self.causes, strict=True)
        told = [(m.keys, name, judged) for m, causes in both for name, judged in causes.items()]
        return {(name, keys): judged.cause for keys, name, judged in reversed(told)}


def explained(
    compared: Comparison,
    view: "FeatureView",
    contract: Contract,
    stamps: Stamps,
    address: str | None = None,
) -> Shadow:
    """The comparison, with a cause for every mismatch; `address` is of the warehouse, if any.

    Raises:
        RefusedError: the events are there, and cannot be read.
    """
    with ExitStack() as copies:
        if address is None:
            log = Path(view.batch_source.path)
        else:
            folder = copies.enter_context(scratch_folder(ROOT / "data", "shadow"))
            log = folder / "customer_features_offline.parquet"
        # Beside the offline table, under the source table's own name (§4).
        events = log.with_name(f"{contract.source.systems[0].rsplit('.', 1)[-1]}.parquet")
        if address is not None and compared.mismatches:
            theirs = _keys_of(compared, contract)
            _copied(address, view.batch_source.get_table_query_string(), theirs, log)
            _copied(address, contract.source.systems[0], theirs, events)
        reads = reads_of(compared.mismatches, _sources(view, contract, log, events), stamps)
    return Shadow(compared, tuple(causes_of(reads)))


def _keys_of(compared: Comparison, contract: Contract) -> pa.Table:
    keys = {mismatch.keys[:-1] for mismatch in compared.mismatches}  # the last is the time
    rows = [dict(zip(contract.entity.join_keys, key, strict=True)) for key in sorted(keys, key=str)]
    return pa.Table.from_pylist(rows)


def _copied(address: str, table: str, theirs: pa.Table, target: Path) -> None:
    """The warehouse table's rows of these entities, as a file."""
    from storage.postgres_arrow import copied_out

    with session(address) as warehouse:
        lend_keys(warehouse, "theirs", theirs, table)
        named = ", ".join(f'"{name}"' for name in theirs.column_names)
        query = f"SELECT * FROM {table} WHERE ({named}) IN (SELECT {named} FROM theirs)"
        pq.write_table(copied_out(warehouse, query), target)


def _sources(view: "FeatureView", contract: Contract, log: Path, events: Path) -> Sources:
    # Imported late: it takes Feast's seconds, which --help should not.
    from feature_access.defaults import default_of

    return Sources(
        log=log,
        events=events,
        keys=contract.entity.join_keys,
        time=view.batch_source.timestamp_field,
        lookback=contract.time.lookback,
        lateness=contract.time.allowed_lateness,
        zone=contract.time.timezone,
        declared=Declared(
            defaults={field.name: default_of(field) for field in view.features},
            types={field.name: str(field.dtype) for field in view.features},
            ttl=view.ttl or None,
        ),
        materialized=sorted({end for _, end in view.materialization_intervals}),
    )
