"""A clause's value where it stands as a list of items below the label."""

from contract_checks.language import people
from contract_checks.language.form import Clause
from contract_checks.language.outline import Bullet


def value_of(clause: Clause, bullet: Bullet) -> str:
    """What stands after the label, in one line: items below it as if separated by commas.

    An item is one name, the commas in it included.
    """
    if clause.group or clause.entry or not bullet.items:
        return bullet.text
    if clause.is_prose:
        return " ".join(filter(None, (bullet.value, "; ".join(map(_whole, bullet.items)))))
    if bullet.value:
        return bullet.value
    items = [_whole(item).rstrip(",;") for item in bullet.items]
    one_name = people.one_name if clause.reader is people.names else str
    return ", ".join(map(one_name, items))


def _whole(item: Bullet) -> str:
    below = "; ".join(map(_whole, item.items))
    return ": ".join(filter(None, (item.written, below)))
