"""Online answers as a table a person can read: a column per customer, a row per feature."""

from collections.abc import Mapping, Sequence

from rich.table import Table


def answers_table(answers: Mapping[str, Sequence[object]], title: str | None = None) -> Table:
    """The answer of a look-up, a list of values per name; features sorted by name."""
    table = Table(title=title, title_justify="left")
    table.add_column("customer_id", no_wrap=True)
    for customer in answers["customer_id"]:
        table.add_column(str(customer), justify="right")
    for name in sorted(set(answers) - {"customer_id"}):
        table.add_row(name, *(_cell(value) for value in answers[name]))
    return table


def _cell(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
