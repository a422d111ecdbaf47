"""A change log whose averages differ in their last bits."""

import json

import pyarrow.compute as pc
import pyarrow.parquet as pq
from engines import Lake, Place, Warehouse
from warehouse import LOG, REFRESHES

from storage.parquet_table import parts_of


def moved(place: Place, factor: float) -> None:
    """Averages of the first customer times that."""
    if isinstance(place, Warehouse):
        with place.database.connect() as owner:
            owner.execute(
                f"UPDATE {LOG} SET avg_order_value_30d = avg_order_value_30d * %s::float8 "
                "WHERE customer_id = 1",
                [factor],
            )
        return
    assert isinstance(place, Lake)
    for part in parts_of(place.tables.history):
        rows, name = pq.read_table(part), "avg_order_value_30d"
        times = pc.if_else(pc.equal(rows["customer_id"], 1), factor, 1.0)
        column = pc.multiply(rows[name], times)
        part.unlink()  # other versions may hold it, too
        pq.write_table(rows.set_column(rows.column_names.index(name), name, column), part)


def of_another_aggregation(place: Place) -> None:
    if isinstance(place, Warehouse):
        with place.database.connect() as owner:
            owner.execute(f"UPDATE {REFRESHES} SET aggregation = 'another'")
        return
    file = place.tables.history / "_watermark.json"
    told = json.loads(file.read_text())
    file.unlink()
    file.write_text(json.dumps(told | {"terms": "others"}))
