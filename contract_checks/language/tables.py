"""A table of two columns, a label and a value, as clauses; whatever else it holds is a fault."""

from collections.abc import Iterator, Sequence

from contract_checks.language.feature_tables import features, is_of_features
from contract_checks.language.marks import Row, labelled, parts, plain, row
from contract_checks.language.naming import clause_of
from contract_checks.language.outline import Bullet, Fault
from contract_checks.language.sentence import quote


def _usual(words: str) -> frozenset[str]:
    return frozenset(words.split())


_OF_LABELS = _usual(
    "field term clause property item attribute parameter setting label key name what element"
    " aspect topic promise question check requirement metric rule"
)
_OF_VALUES = _usual(
    "value agreed agreement answer content definition detail description text commitment setting"
    " says entry specification spec promise requirement rule"
)
_ARTICLES = _usual("the a our what it we is you contract")
_SHAPE = "write '| Field | Value |' above its rows, each a label and its value"


def read(
    lines: Sequence[str], extent: Sequence[int], section: str, *, is_item: bool
) -> tuple[list[Bullet], list[Fault]]:
    """The clauses of a table, and its faults; of a list's items where a label stands above it.

    `extent` is the index of its first line and of the one after its last. A table has a header in
    Markdown, so a table without one has its first clause there.
    """
    header, _, *body = (row(lines[index], index + 1) for index in range(*extent))
    if is_of_features(section, header):
        return features(section, header, body)
    is_clause = bool(clause_of(section, plain(header.cells[0]))) and not _is_header(header)
    rows = [header, *body] if is_clause else body
    bullets = [_bullet(each) for each in rows]
    if not (is_clause or _is_header(header)):
        titles = quote(" | ".join(header.cells[:2]))
        fault = Fault(header.line, section, f"a table of {titles} is none of clauses: {_SHAPE}")
        if not is_item and not any(clause_of(section, plain(r.cells[0])) for r in body):
            return [], [fault]
        return bullets, [fault, *_misshapen(section, [header, *body])]
    return bullets, list(_misshapen(section, [header, *body]))


def _is_header(header: Row) -> bool:
    columns = zip(header.cells, (_OF_LABELS, _OF_VALUES), strict=False)
    return all(_words(cell) <= usual for cell, usual in columns)


def _words(cell: str) -> set[str]:
    words = plain(cell).lower().replace("/", " ").split()
    return {word if word.endswith("ss") else word.removesuffix("s") for word in words} - _ARTICLES


def _misshapen(section: str, rows: list[Row]) -> Iterator[Fault]:
    """The cells beyond label and value, a column's said once at its header, and rows too short."""
    columns = max(2, len(rows[0].cells))
    for place, (cells, line) in enumerate(rows):
        beyond = cells[columns if place else 2 :]
        if len(cells) < 2:
            message = f"{quote(cells[0])} is a row of one cell: a clause has a label and a value"
            yield Fault(line, section, message)
        elif beyond:
            where = "stands beyond the label and the value, where nobody reads it"
            yield Fault(line, section, f"{quote(' | '.join(beyond))} {where}: move it to a clause")


def _bullet(read: Row) -> Bullet:
    label, value = plain(read.cells[0]), " ".join(read.cells[1:2])
    items = tuple(Bullet(*labelled(part), read.line, (), part) for part in parts(value))
    if len(items) > 1:
        return Bullet(label, "", read.line, items)
    return Bullet(label, value, read.line)
