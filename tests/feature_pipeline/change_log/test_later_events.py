"""Events that arrived after an instant are counted, whatever the footers of their parts tell."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from feature_pipeline.change_log.events_table import rows_if_all_beyond
from feature_pipeline.refreshed import later_than

INSTANT = datetime(2024, 2, 29, 12, tzinfo=UTC)
ARRIVED = "created_timestamp"
moments = st.integers(-2, 2).map(lambda n: INSTANT + timedelta(microseconds=n))
arrivals = st.lists(moments | st.none(), max_size=4)


def write(part: Path, arrived: list[datetime | None], statistics: bool = True) -> Path:
    table = pa.table({ARRIVED: pa.array(arrived, pa.timestamp("us", "UTC"))})
    pq.write_table(table, part, write_statistics=statistics, row_group_size=2)
    return part


@given(st.lists(st.tuples(arrivals, st.booleans()), max_size=4))
def test_every_later_event_is_counted_once(parts: list[tuple[list, bool]]) -> None:
    with TemporaryDirectory() as folder:
        for n, (arrived, statistics) in enumerate(parts):
            write(Path(folder) / f"{n}.parquet", arrived, statistics)
        expected = [one for arrived, _ in parts for one in arrived if one and one > INSTANT]
        assert later_than(INSTANT, Path(folder)) == len(expected)


def test_a_footer_tells_of_all_its_rows_or_of_none(tmp_path: Path) -> None:
    after = INSTANT + timedelta(microseconds=1)
    told = lambda name, *arrived: rows_if_all_beyond(  # noqa: E731
        write(tmp_path / f"{name}.parquet", list(arrived)), ARRIVED, INSTANT
    )
    assert told("all", after, after, after) == 3
    assert told("one at it", after, after, INSTANT) is None
    assert told("one never", after, after, None) is None
    assert told("none") is None
    silent = write(tmp_path / "silent.parquet", [after], statistics=False)
    assert rows_if_all_beyond(silent, ARRIVED, INSTANT) is None
