"""Choose among the checks: by clause (`§6 freshness`), section (`§6` or `6`) or check name."""

from collections.abc import Sequence
from difflib import get_close_matches

from contract_checks.judge import Check


class NothingSelectedError(ValueError):
    """A selector that no check answers to; the message names the nearest that one does."""


def select(selectors: Sequence[str], checks: Sequence[Check]) -> list[Check]:
    """The checks that a selector chooses, in their own order.

    Raises:
        NothingSelectedError: a selector chooses none.
    """
    for selector in selectors:
        if not any(_chooses(selector, check) for check in checks):
            raise NothingSelectedError(_advice(selector, checks))
    return [check for check in checks if any(_chooses(s, check) for s in selectors)]


def _chooses(selector: str, check: Check) -> bool:
    """Section 5 holds 5.1 and 5.2; section 1 does not hold 10."""
    wanted, clause = key(selector), key(check.clause)
    section = clause.split()[0]
    return wanted in (clause, section, check.name) or section.startswith(f"{wanted}.")


def key(text: str) -> str:
    """A clause as it may be typed: `§6 freshness`, `6 Freshness`."""
    return " ".join(text.replace("§", " ").lower().split())


def _advice(selector: str, checks: Sequence[Check]) -> str:
    known = {name for check in checks for name in (check.clause, check.name)}
    by_key = {key(name): name for name in sorted(known)}
    labels = {key.partition(" ")[2]: name for key, name in by_key.items() if " " in key}
    keys = get_close_matches(key(selector), [*by_key, *labels])
    near = dict.fromkeys((by_key | labels)[key] for key in keys)
    hint = (
        f"did you mean {' or '.join(near)}?"
        if near
        else "name a clause such as '§6 freshness', a section such as §6, or a check"
    )
    return f"no check is bound to {selector!r}: {hint}"
