"""CSV as it is written: text stays text, and an empty field alone is null.

`NA`, `null`, `None` and `nan` are words, as anybody's name may be. A column is of numbers or truth
values only where every value is plainly one: 007 and 1,000 are text, and so is a whole number of
more than 64 bits. A quoted empty field (`""`) is an empty text, as PostgreSQL's COPY has it; among
numbers and truth values, which know no such text, it is null.
"""

import csv
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv

from storage.errors import RefusedError

_INTEGER = r"^(0|-?[1-9][0-9]*)$"
# Of whole numbers among floats no more digits than a float keeps.
_NUMBER = r"^-?(0|[1-9][0-9]{0,14})?(\.[0-9]*)?([eE][+-]?[0-9]+)?$"
_TRUTH = "^([Tt]rue|TRUE|[Ff]alse|FALSE)$"


def read_csv(file: Path, text: Collection[str]) -> pa.Table:
    """The rows of a CSV file in UTF-8; the columns in `text` are text whatever they look like.

    Raises:
        RefusedError: it has no header or two columns of one name, a line has more or fewer fields
            than the header, or a quote is not closed. The message quotes no field.
        pyarrow.ArrowException, UnicodeDecodeError: it is no CSV in UTF-8.
    """
    content, names = file.read_bytes(), _header(file)
    if content.count(b'"') % 2:
        raise RefusedError(f"{file} has a quote that is not closed: close it, or double it")
    try:
        rows = arrow_csv.read_csv(
            pa.BufferReader(content),
            parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid as error:
        if uneven := _uneven_line(file, len(names)):
            raise RefusedError(f"{file}, {uneven}: mend it, or quote what holds a comma") from None
        raise RefusedError(f"{file} is no CSV in UTF-8: save it as one") from error
    typed = {name: rows[name] if name in text else _typed(rows[name]) for name in names}
    return pa.table(typed)


def _header(file: Path) -> list[str]:
    with file.open(encoding="utf-8-sig", newline="") as opened:
        names = next(csv.reader(opened), [])
    if not names:
        raise RefusedError(f"{file} is empty: its first line is to name the columns")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RefusedError(f"{file} has two columns of one name: {', '.join(twice)}")
    return names


def _uneven_line(file: Path, width: int) -> str | None:
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as opened:
        reader = csv.reader(opened)
        for fields in reader:
            if fields and len(fields) != width:
                return f"line {reader.line_num} has {len(fields)} fields and the header {width}"
    return None


def _typed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole numbers, numbers or truth values where every value is one; else as it is."""
    values = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
    if values.null_count == len(values):
        return column
    for spelled, kind in ((_INTEGER, pa.int64()), (_NUMBER, pa.float64()), (_TRUTH, pa.bool_())):
        if pc.all(pc.match_substring_regex(values, spelled)).as_py():
            try:
                made = values.cast(kind)
            except pa.ArrowInvalid:  # it has more than 64 bits, or is a point alone
                continue
            if kind != pa.float64() or pc.all(pc.is_finite(made)).as_py():
                return made
    return column
