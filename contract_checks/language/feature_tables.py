"""A table of §5.2 with a row for each feature, as items of its clause of ranges."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from contract_checks.language.feature_columns import (
    RANGES,
    column_of,
    has_columns,
    is_left_to_features,
)
from contract_checks.language.form import CLAUSES
from contract_checks.language.marks import Row, plain
from contract_checks.language.outline import Bullet, Fault
from contract_checks.language.sentence import quote

_TABLE = "a table of features"
_LABEL = next(clause.label for clause in CLAUSES if clause.id == RANGES)
_COLUMNS = "type, unit, default, nullable, range, min, max, null rate, window, PSI warn, PSI fail"


def is_of_features(section: str, header: Row) -> bool:
    """Whether a table has a feature in each row and columns of it, not a label and its value."""
    first, *others = (column_of(plain(cell)) for cell in header.cells)
    return section in ("5", "5.2") and first == "feature" and any(others)


def features(section: str, header: Row, body: Sequence[Row]) -> tuple[list[Bullet], list[Fault]]:
    """The rows as items of one clause, and the columns and cells that have no place."""
    titles = [plain(cell) for cell in header.cells]
    faults = [Fault(header.line, section, message) for message in _misnamed(titles[1:])]
    items = []
    for cells, line in body:
        name, *told = (*map(plain, cells[:1]), *cells[1:])
        if not name or len(cells) > len(titles):
            what = "has more cells than columns" if name else "names no feature"
            faults.append(Fault(line, section, f"{quote(' | '.join(cells))} {what}"))
            continue
        columns = tuple(
            Bullet(title, cell.replace("`", "").strip(), line)
            for title, cell in zip(titles[1:], told, strict=False)
            if cell.strip() and column_of(title)
        )
        items.append(Bullet(name, "", line, columns, " | ".join(cells)))
    return [Bullet(_LABEL, "", header.line, tuple(items), _TABLE)], faults


def _misnamed(titles: Sequence[str]) -> Iterator[str]:
    columns = [column_of(title) for title in titles]
    for title, column in zip(titles, columns, strict=True):
        if column in (None, "feature"):
            yield f"{quote(title)} is no column of a table of features: they are {_COLUMNS}"
        elif columns.count(column) > 1:
            yield f"{quote(title)} is told in several columns of a table of features: keep one"


def joined(bullets: Sequence[Bullet]) -> Iterator[Bullet]:
    """A section's clauses, with the rows of its tables of features below their one clause."""
    tables = [b for b in (*bullets, *_below(bullets)) if b.written == _TABLE]
    rows = [row for table in tables for row in table.items]
    others = [_without_tables(bullet) for bullet in bullets if bullet.written != _TABLE]
    if not rows:
        yield from others
        return
    home = next((b for b in others if _is_of_ranges(b)), None)
    if home is None:
        yield from (*others, replace(tables[0], items=tuple(rows)))
        return
    value = "" if is_left_to_features(home.value) else home.value
    merged = replace(home, value=value, items=tuple(_merged(home.items, rows)))
    yield from (merged if bullet is home else bullet for bullet in others)


def _below(bullets: Sequence[Bullet]) -> Iterator[Bullet]:
    return (item for bullet in bullets for item in bullet.items)


def _without_tables(bullet: Bullet) -> Bullet:
    return replace(bullet, items=tuple(i for i in bullet.items if i.written != _TABLE))


def _is_of_ranges(bullet: Bullet) -> bool:
    return any(clause.id == RANGES and clause.accepts(bullet.label) for clause in CLAUSES)


def _merged(listed: Sequence[Bullet], rows: Sequence[Bullet]) -> Iterator[Bullet]:
    """The items of the list, each with the columns of its row, and the rows of the others."""
    of_rows = {row.label: row for row in rows}
    taken = set()
    for item in listed:
        row = of_rows.get(item.label)
        if row and (not item.items or has_columns(item)) and row.label not in taken:
            taken.add(row.label)
            yield replace(item, items=(*item.items, *row.items))
        else:
            yield item
    seen: set[str] = set()
    for row in rows:
        if row.label not in taken or row.label in seen:
            yield row
        seen.add(row.label)
