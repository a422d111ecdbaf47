"""A declaration read from its TOML file: everything that is wrong in it is told at once."""

import tomllib
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from feature_pipeline.aggregation.conditions import conditions_of
from feature_pipeline.aggregation.declaration import (
    KEY_KINDS,
    KINDS,
    TIMES,
    Column,
    Declaration,
    Dedup,
)
from feature_pipeline.aggregation.faults import (
    Faults,
    InvalidDeclarationError,
    Place,
    meant,
    one_of,
)
from feature_pipeline.aggregation.features import FeatureReader
from feature_pipeline.aggregation.literals import shown

_PARTS = ("view", "keys", "columns", "dedup", "where", "features")
_ALSO_CALLED = {
    **dict.fromkeys(("text", "str", "varchar", "utf8"), "string"),
    **dict.fromkeys(("int", "int32", "integer", "long", "bigint", "uint64"), "int64"),
    **dict.fromkeys(("float", "float32", "float64"), "double"),
    **dict.fromkeys(("numeric", "money"), "decimal"),
    **dict.fromkeys(("boolean",), "bool"),
    **dict.fromkeys(("datetime", "timestamptz"), "timestamp"),
}


def load(file: Path, lookback: timedelta | None = None) -> Declaration:
    """The declaration in the file; no window may be longer than the look-back, where one is named.

    Raises:
        InvalidDeclarationError: it cannot be read, or holds what cannot be meant.
    """
    try:
        text = file.read_text(encoding="utf-8")
        told = tomllib.loads(text, parse_float=Decimal)
    except OSError as error:
        raise InvalidDeclarationError(
            f"{file} cannot be read ({error.strerror}): name the declaration's file"
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidDeclarationError(f"{file} is no text in UTF-8: write it anew") from error
    except (ValueError, RecursionError) as error:
        raise InvalidDeclarationError(f"{file} is no TOML ({error}): mend it there") from error
    reader = _Reader(Faults(file, text))
    declaration = reader.declaration(told, lookback)
    reader.faults.refuse_any()
    return declaration


@dataclass(frozen=True)
class _Reader:
    faults: Faults

    def declaration(self, told: dict[str, Any], lookback: timedelta | None) -> Declaration:
        self.faults.unknown((), told, _PARTS)
        view = told.get("view")
        if not isinstance(view, str) or not view.strip():
            self.faults.at(("view",), 'is missing; a view is named view = "customer_profile_v1"')
        keys = self._columns("keys", told.get("keys", {}), KEY_KINDS)
        columns = self._columns("columns", told.get("columns", {}), KINDS)
        if not told.get("keys"):
            self.faults.at(("keys",), 'names no key, such as keys = { customer_id = "int64" }')
        self._refuse_two_of_a_name(keys, columns)
        named = {column.name: column for column in (*keys, *columns)}
        taken = (*TIMES, *(key.name for key in keys))
        features = FeatureReader(self.faults, named, taken, lookback)
        return Declaration(
            view=str(view),
            keys=keys,
            columns=columns,
            dedup=self._dedup(told.get("dedup", {"kind": "none"}), columns),
            where=conditions_of(told.get("where", []), ("where",), named, self.faults),
            features=features.all_of(told.get("features")),
        )

    def _columns(self, part: str, written: Any, kinds: tuple[str, ...]) -> tuple[Column, ...]:
        if not isinstance(written, dict):
            self.faults.at((part,), f'is no table, such as {part} = {{ customer_id = "int64" }}')
            return ()
        told = [self._column(name, body, (part, name), kinds) for name, body in written.items()]
        return tuple(column for column in told if column)

    def _column(
        self, name: str, written: Any, place: Place, kinds: tuple[str, ...]
    ) -> Column | None:
        kind, required = written, True
        if isinstance(written, dict) and place[0] == "columns":
            self.faults.unknown(place, written, ("type", "required"))
            kind, required = written.get("type"), written.get("required", True)
        if not isinstance(required, bool):
            self.faults.at(place, f"required = {shown(required)}: it is true or false")
        if name.lower() in TIMES:
            self.faults.at(place, "is a time that every event has, and is not declared")
        if not name.strip():
            self.faults.at(place, "has no name")
        if kind not in kinds:
            better = _ALSO_CALLED.get(str(kind).lower())
            hint = f"; did you mean {better}?" if better in kinds else meant(kind, kinds)
            self.faults.at(place, f"type {shown(kind)} is none of {', '.join(kinds)}{hint}")
            return None
        return Column(name, kind, required is True)

    def _refuse_two_of_a_name(self, keys: tuple[Column, ...], columns: tuple[Column, ...]) -> None:
        met: set[str] = set()
        for part, some in (("keys", keys), ("columns", columns)):
            for column in some:
                if column.name.lower() in met:
                    words = "is there twice; upper and lower case are one name"
                    self.faults.at((part, column.name), words)
                met.add(column.name.lower())

    def _dedup(self, written: Any, columns: tuple[Column, ...]) -> Dedup:
        place, kind = ("dedup",), written.get("kind") if isinstance(written, dict) else None
        if kind not in list(_DEDUP_KEYS):
            self.faults.at(place, _DEDUP_FORMS)
            return Dedup()
        self.faults.unknown(place, written, _DEDUP_KEYS[kind])
        by, order = written.get("by", ""), written.get("order", "happening")
        if kind == "period" and by not in _PERIODS:
            self.faults.at(place, f"by = {shown(by)}: a period is by {one_of(_PERIODS)}")
        if order not in _ORDERS:
            self.faults.at(place, f"order = {shown(order)}: states are by {one_of(_ORDERS)}")
        if kind == "id":
            self._refuse_no_id(by, {column.name: column for column in columns})
        return Dedup(kind, str(by), str(order))

    def _refuse_no_id(self, by: Any, named: dict[str, Column]) -> None:
        if not isinstance(by, str) or by not in named:
            hint = meant(by, named)
            self.faults.at(("dedup",), f"by = {shown(by)} is no column that is declared{hint}")
        elif named[by].kind not in KEY_KINDS or not named[by].required:
            kinds = one_of(KEY_KINDS)
            self.faults.at(("dedup",), f"by = {shown(by)}: an id is a required column of {kinds}")


_DEDUP_KEYS = {"none": ("kind",), "period": ("kind", "by"), "id": ("kind", "by", "order")}
_PERIODS, _ORDERS = ("day", "hour"), ("happening", "arrival")
_DEDUP_FORMS = (
    'is { kind = "none" }, { kind = "period", by = "day" } or '
    '{ kind = "id", by = "order_id", order = "happening" }'
)
