"""Take in the events of any declaration: judge each row, and keep those that cannot count aside.

A row is *quarantined* when it is inadmissible by itself (a key, a time or a required column is
null, a value is none of its kind, it came too late or before it happened), or when it stands there
more than once and the declaration tells its states apart by their times. Its reason stands beside
it. What can mean nothing as a whole is refused: an id that belongs to two keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from feature_pipeline.aggregation.declaration import TIMES, Column, Declaration
from feature_pipeline.aggregation.kernel import Kernel
from feature_pipeline.aggregation.values import EPOCH, MICROSECOND
from feature_pipeline.change_log.doubled_events import set_doubles_aside
from feature_pipeline.change_log.intake import NOT_YET, nothing_arrived
from feature_pipeline.declared.event_file import PLACE, EventFile, columns_of
from feature_pipeline.declared.event_types import EVENT_TYPES, microseconds, quoted
from storage.duckdb_session import copy_to, parquet_at
from storage.errors import RefusedError
from storage.one_row import one_row

OTHER_VALUES = "doubled: stands there more than once, with other values"


@dataclass(frozen=True)
class Admission:
    """Which events may come in: those that arrived by then, and not too late."""

    as_of: datetime
    lateness: timedelta
    """An event may arrive exactly that long after it happened, and no microsecond later."""


@dataclass(frozen=True)
class Intake:
    """The judged events of a file, in the table `judged` of a session."""

    connection: duckdb.DuckDBPyConnection
    file: EventFile
    kernel: Kernel

    @property
    def declaration(self) -> Declaration:
        return self.kernel.declaration

    def judge(self, admission: Admission) -> None:
        """Create `judged`: where each row lies, its values, its times, why it is not admitted.

        Values and times are as the kernel has them; what is none of its kind is null.
        """
        rows = " UNION ALL ".join(self._values(number) for number in range(len(self.file.groups)))
        bounds = {
            "as_of": (admission.as_of - EPOCH) // MICROSECOND,
            "lateness": admission.lateness // MICROSECOND,
        }
        kept = [*PLACE, *self.kernel.columns, "happened", "arrived"]
        self.connection.execute(
            f"""CREATE TEMP TABLE judged AS
            SELECT {", ".join(kept)}, {self._reason()} AS reason FROM ({rows})""",
            bounds,
        )
        self._set_doubles_aside()

    def _values(self, number: int) -> str:
        values = [
            f"{EVENT_TYPES[column.kind].value(quoted(column.name))} AS {name}, "
            f"{quoted(column.name)} IS NULL AS no_{name}"
            for name, column in self.kernel.columns.items()
        ]
        times = [
            f"{microseconds(time)} AS {name}, {time} IS NULL AS no_{name}"
            for time, name in zip(TIMES, ("happened", "arrived"), strict=True)
        ]
        return f"SELECT {', '.join([*PLACE, *values, *times])} FROM {self._reading(number)}"

    def _reason(self) -> str:
        """SQL for it; null for an admissible event. The first that holds is told.

        A malformed row is not judged for its times, and one that has not arrived for nothing.
        """
        keys = {name: self.kernel.columns[name] for name in self.kernel.keys}
        others = {name: one for name, one in self.kernel.columns.items() if name not in keys}
        cases = [
            ("arrived > $as_of", NOT_YET),
            *((f"no_{name}", f"malformed: {key.name} is null") for name, key in keys.items()),
            ("no_happened", "malformed: event_timestamp is null"),
            ("no_arrived", "malformed: created_timestamp is null"),
            ("arrived IS NULL", "malformed: created_timestamp is no instant"),
            *_malformed(keys),
            *((f"no_{n}", f"malformed: {c.name} is null") for n, c in others.items() if c.required),
            *_malformed(others),
            ("happened IS NULL", "malformed: event_timestamp is no instant"),
            ("happened > arrived", "future-dated: happened after it arrived"),
            ("arrived - happened > $lateness", "late: arrived after the allowed lateness"),
        ]
        whens = " ".join(f"WHEN {condition} THEN {_text(why)}" for condition, why in cases)
        return f"CASE {whens} END"

    def _set_doubles_aside(self) -> None:
        """Where states are told apart by their times, one event twice is one, or nobody knows."""
        dedup = self.declaration.dedup
        if dedup.kind == "none":
            return
        columns = self.kernel.columns
        of_id = [
            name for name, one in columns.items() if dedup.kind == "id" and one.name == dedup.by
        ]
        event = [*self.kernel.keys, *of_id, "happened", "arrived"]
        said = ", ".join(name for name in columns if name not in event) or "0"
        set_doubles_aside(
            self.connection, "judged", event, f"row({said})", conflicting=OTHER_VALUES
        )

    def refuse_moved_ids(self) -> None:
        """Make sure that each id of the events that are looked at belongs to one key.

        Raises:
            RefusedError: one does not; an event would leave a key where another one arrives.
        """
        dedup = self.declaration.dedup
        if dedup.kind != "id":
            return
        by_name = {column.name: name for name, column in self.kernel.columns.items()}
        moved = self._moved(by_name[dedup.by])
        columns = ", ".join([*self.kernel.columns, "happened", "arrived"])
        theirs = self.connection.execute(
            f"SELECT {columns} FROM judged WHERE reason IS NULL AND "
            f"{by_name[dedup.by]} IN ({moved.format(rows='judged WHERE reason IS NULL')})"
        ).fetch_arrow_table()
        for batch in theirs.combine_chunks().to_batches():
            self.connection.register("looked_at", self.kernel.looked_at(batch))
            (ids,) = one_row(
                self.connection, f"SELECT count(*) FROM ({moved.format(rows='looked_at')})"
            )
            if ids:
                keys = ", ".join(key.name for key in self.declaration.keys)
                raise RefusedError(
                    f"{ids:,} of the values of {dedup.by} in {self.file.events} stand with more "
                    f"than one {keys}: an id is of one thing, whose states are one key's. Mend the "
                    "events, or declare another dedup; nothing was written"
                )

    def _moved(self, of_id: str) -> str:
        differ = " OR ".join(f"min({key}) <> max({key})" for key in self.kernel.keys)
        return f"SELECT {of_id} FROM {{rows}} GROUP BY {of_id} HAVING {differ}"

    def counts(self, as_of: datetime) -> tuple[int, int, int]:
        """Rows ingested, of them accepted, and rows that had not arrived.

        Raises:
            RefusedError: none had arrived, or some could not be read.
        """
        ingested, accepted, later, first = one_row(
            self.connection,
            f"""SELECT count(*) FILTER (reason IS NULL OR reason <> '{NOT_YET}'),
                count(*) FILTER (reason IS NULL), count(*) FILTER (reason = '{NOT_YET}'),
                CAST(make_timestamp(min(arrived)) AS VARCHAR)
            FROM judged""",
        )
        if self.file.rows != ingested + later:
            raise RefusedError(
                f"the footers of {self.file.events} tell of {self.file.rows:,} rows, but "
                f"{ingested + later:,} can be read: write it anew from where its events came; "
                "nothing was written"
            )
        if ingested == 0:
            instant = first and f"{first.replace(' ', 'T')}+00:00"
            raise nothing_arrived(self.file.events, as_of, instant)
        return ingested, accepted, later

    def write_quarantine(self, target: Path) -> None:
        """Write the quarantined rows with all that they hold, the reason last."""
        hidden = f"NOT IN ({', '.join(map(_text, [*PLACE, 'reason']))})"
        try:
            copy_to(self.connection, self._quarantined(hidden), target, {})
        except duckdb.Error:  # columns that nobody declared must not keep events from coming in
            names = {name.lower() for name in columns_of(self.declaration)} - {"reason"}
            declared = f"IN ({', '.join(map(_text, sorted(names)))})"
            copy_to(self.connection, self._quarantined(declared), target, {})

    def _quarantined(self, chosen: str) -> str:
        place = ", ".join(PLACE)
        of_groups = " UNION ALL BY NAME ".join(
            f"""FROM (SELECT {place}, COLUMNS(c -> lower(c) {chosen}) FROM {self._reading(number)})
            JOIN (SELECT {place}, reason FROM judged WHERE reason <> '{NOT_YET}') USING ({place})"""
            for number in range(len(self.file.groups))
        )
        return f"""SELECT * EXCLUDE ({place}, reason), reason FROM ({of_groups})
            ORDER BY {place}"""

    def _reading(self, group: int) -> str:
        """SQL that reads the parts; of a Hive folder the value is no column of an event."""
        paths = ", ".join(_text(parquet_at(part)) for part in self.file.groups[group])
        place = f"{group} AS {PLACE[0]}, {', '.join(PLACE[1:])}"
        return f"(SELECT {place}, * FROM read_parquet([{paths}], hive_partitioning = false))"


def _malformed(columns: dict[str, Column]) -> Iterator[tuple[str, str]]:
    for name, column in columns.items():
        why = EVENT_TYPES[column.kind].malformed
        yield f"{name} IS NULL AND NOT no_{name}", f"malformed: {column.name} {why}"


def _text(words: str) -> str:
    escaped = words.replace("'", "''")
    return f"'{escaped}'"
