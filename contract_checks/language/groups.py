"""Clauses that stand below a heading of their own within a section's list, and lists left open.

A label without a value whose items are all clauses of the section, `Keys` above `Primary entity`
and `Join keys`, is a heading that people made for themselves. A list's clause whose items stand on
the lines after it, no further in than it is, holds them up to the next clause of the section.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from contract_checks.language.naming import clause_of
from contract_checks.language.outline import Bullet


def ungrouped(section: str, bullets: Sequence[Bullet]) -> Iterator[Bullet]:
    """The clauses of a section's list, whatever headings stand among them."""
    for bullet in bullets:
        if _is_a_heading(section, bullet):
            yield from ungrouped(section, bullet.items)
        else:
            yield bullet


def _is_a_heading(section: str, bullet: Bullet) -> bool:
    clause = clause_of(section, bullet.label)
    if bullet.value or not bullet.items or (clause and (clause.entry or clause.group)):
        return False
    meant = [clause_of(section, item.label) for item in bullet.items]
    has_own = clause is None or clause in meant  # else they are its value: alerts of each grade
    each_says_something = all(item.value or item.items for item in bullet.items)
    return has_own and all(meant) and len({*meant}) == len(meant) and each_says_something


def with_items_after(section: str, bullets: Sequence[Bullet]) -> Iterator[Bullet]:
    """The clauses, each list's with the items that follow it."""
    rest = list(bullets)
    while rest:
        bullet = rest.pop(0)
        clause = clause_of(section, bullet.label)
        if clause and clause.entry and not (bullet.value or bullet.items):
            items = []
            while rest and not clause_of(section, rest[0].label):
                items.append(rest.pop(0))
            bullet = replace(bullet, items=tuple(items))
        yield bullet
