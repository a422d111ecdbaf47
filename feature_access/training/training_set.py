"""Training sets: the features as they were known at each prediction time, identifiers hashed."""

import base64
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from feast import FeatureService, FeatureStore
from feast.errors import FeatureServiceNotFoundException
from feast.infra.offline_stores.offline_utils import infer_event_timestamp_from_entity_df

from feature_access.entities.instants import instants
from feature_access.training.as_served import materialization_ends, moved_back
from feature_access.training.entity_frame import as_pandas
from feature_access.training.hashing import hashed_once
from feature_access.training.known_times import Known, how_far_known
from storage.errors import RefusedError


@dataclass(frozen=True)
class TrainingSet:
    """A point-in-time table and how much of it the feature store knew."""

    encoded: pa.Table
    """One row per entity row, in the caller's order; its columns, then the features by name.

    Each hash is held once, in the dictionary of its column.
    """
    matched: dict[str, int]
    """Rows that found a feature row before defaults, per feature view."""
    hashed: tuple[str, ...]
    """The columns that hold hashes in place of identifiers."""
    known_up_to: datetime | None = None
    """No row is later, and none of these values will be another; None where nothing says so."""
    left_out: int = 0
    """Rows that were asked for beyond that."""

    @property
    def rows(self) -> pa.Table:
        """The training set with hashes as text."""
        return self.encoded.cast(self._schema())

    def write(self, file: Path) -> None:
        """The rows as parquet, in which hashes are read as text.

        Each is written once a row group, unless most are met once anyway.
        """
        # Left to itself Arrow would leave word in the file that these columns are dictionaries.
        read_as = base64.b64encode(self._schema().serialize())
        names = self.encoded.column_names
        packed = {name: "none" if name in self.hashed else "snappy" for name in names}
        pq.write_table(
            self.encoded.replace_schema_metadata({"ARROW:schema": read_as}),
            file,
            store_schema=False,
            compression=packed,  # a hash is all chance: there is nothing in it to compress
            use_dictionary=[name for name in names if not self._mostly_once(name)],
        )

    def _mostly_once(self, name: str) -> bool:
        """Whether it holds hashes of which a dictionary would save little."""
        column = self.encoded[name]
        if name not in self.hashed or not column.num_chunks:
            return False
        return len(column.chunk(0).dictionary) > len(column) / 2

    def _schema(self) -> pa.Schema:
        schema = self.encoded.schema
        return pa.schema([c.with_type(pa.string()) if c.name in self.hashed else c for c in schema])


def build_training_set(
    store: FeatureStore,
    service: str,
    entities: pd.DataFrame | pa.Table,
    hash_key: bytes,
    *,
    as_of: datetime | None = None,
    as_served: bool = False,
    known_only: bool = False,
) -> TrainingSet:
    """Features of `service` for every row of `entities` (join keys and `event_timestamp`).

    Join keys come back hashed (contract §9, masking). Features are those of the row's time (§3),
    with defaults where there are none (§2, §5.2); `as_served`, those that the online store had been
    brought by then, and defaults before its first materialization. The same store and entities
    give the same table, before and after a refresh: what lies beyond what is known, or `as_of`, or,
    `as_served`, the last materialization, is refused, or with `known_only` left out and counted.

    Raises:
        RefusedError: there is no such feature service; or, `as_served`, see `materialization_ends`.
        NotYetKnownError: a row's time lies beyond what is known.
        ValueError: the entity frame lacks a join key or a time, or holds what is none.
    """
    declared = _service(store, service)
    views = [store.get_feature_view(p.name) for p in declared.feature_view_projections]
    frame = as_pandas(entities) if isinstance(entities, pa.Table) else entities
    time = infer_event_timestamp_from_entity_df(dict(frame.dtypes))
    frame = frame.assign(**{time: instants(frame[time], time).to_pandas().array})
    ends = materialization_ends(views) if as_served else []
    known = how_far_known(store, views, as_of, max(ends, default=None))
    given = len(frame)
    frame = _known_rows(frame, time, known, known_only)
    asked = frame.assign(**{time: moved_back(frame[time], ends)}) if as_served else frame
    job = store.get_historical_features(entity_df=asked, features=declared)
    join_keys = tuple(sorted(job.entity_rows.keys))
    with ThreadPoolExecutor(1) as beside:  # two cores: hashing waits for no read, nor it for that
        hashing = beside.submit(_hashed, job.entity_rows.rows.select(join_keys), hash_key)
        rows = job.to_arrow()
        if as_served:
            rows = rows.set_column(
                rows.schema.get_field_index(time), time, instants(frame[time], time)
            )
        for join_key, ids in hashing.result().items():
            rows = rows.set_column(rows.schema.get_field_index(join_key), join_key, ids)
    return TrainingSet(
        _one_form(rows, list(frame.columns)),
        dict(job.matched),
        join_keys,
        known.until if known else None,
        left_out=given - len(frame),
    )


def _known_rows(
    frame: pd.DataFrame, time: str, known: Known | None, known_only: bool
) -> pd.DataFrame:
    if known is None or (answered := known.knows(frame[time])).all():
        return frame
    if not known_only:
        raise known.refusal(int((~answered).sum()))
    return frame[answered]


def _hashed(keys: pa.Table, hash_key: bytes) -> dict[str, pa.DictionaryArray]:
    """Each column's; of as many rows, in the order that the read keeps."""
    return {name: hashed_once(keys[name], hash_key) for name in keys.column_names}


def views_of(store: FeatureStore, service: str) -> list[str]:
    """The names of the feature views that a service reads, each once.

    Raises:
        RefusedError: there is no such service.
    """
    projections = _service(store, service).feature_view_projections
    return list(dict.fromkeys(projection.name for projection in projections))


def _service(store: FeatureStore, name: str) -> FeatureService:
    try:
        # From the copy in which Feast looks its features up: the pointer may move meanwhile.
        return store.get_feature_service(name, allow_cache=True)
    except FeatureServiceNotFoundException as error:
        known = ", ".join(sorted(s.name for s in store.list_feature_services()))
        raise RefusedError(f"no feature service {name}: name one of {known}") from error


def _one_form(rows: pa.Table, given: list[str]) -> pa.Table:
    """The one table of these rows, so that it has one file: whatever the engine's threads made.

    A registry lists the features as it likes, and chunks end where a thread was done.
    """
    features = sorted(set(rows.column_names) - set(given))
    return rows.select([*given, *features]).combine_chunks().replace_schema_metadata(None)
