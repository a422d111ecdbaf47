"""Readers of clauses that name teams and people: consumers, use cases, signatures."""

import re

from contract_checks.language.dates import DATED, calendar_date
from contract_checks.language.sentence import FLAGS, Unreadable, quote
from contract_checks.language.terms import Approval
from contract_checks.language.values import distinct, name, whole

_UNSIGNED = (
    r"\b(?:pending|not|no|none|tbd|tba|todo|rejected|declined|awaiting|unsigned|withheld|objections?"
    r"|objected|requested|refused|denied|withdrawn|revoked|expected|due|by|to|from|for|until|subject"
    r"|conditional(?:ly)?|draft|delegated|on behalf|provisional(?:ly)?|verbal(?:ly)?|waiver"
    r"|conditions?|review|expires|valid|renewal|only|and|[12][0-9]{3})\b|\bn/a\b|\bp\.\s?p\b"
)
_BETWEEN = r"\s*[,;]\s*(?=(?:[^\"]*\"[^\"]*\")*[^\"]*$)"  # and not within quotes
_QUALIFIED = (
    r"[()\[\]{}<>\"]|(?:^|\s)(?:only|all|any|every|everyone|everybody|nobody|no|none|not|never"
    r"|except|excluding|but|without|unless|until|if|when|others?|etc\.?|anyone|whoever|pending|upon"
    r"|after|tbd|decided|forbidden|read-only|company-wide)(?=$|[\s:])|[*]|[0-9]{4}-[0-9]{2}"
)


def names(text: str) -> tuple[str, ...]:
    """Names separated by commas or semicolons, the last perhaps by 'and'.

    A name that itself holds a comma or 'and' stands in quotes.
    """
    line = re.sub("[“”]", '"', text.replace("`", "")).rstrip(".")
    items = re.split(_BETWEEN, line)
    if len(items) > 1:  # "A, B and C" are three, "A and B" may be one
        *first, last = items
        items = [*first, *re.split(r"(?:^|\s+)and\s+", last, maxsplit=1)]
        items = items if items[-2] else [*items[:-2], items[-1]]  # of ", and C"
    return distinct([_listed(item.strip()) for item in items])


MEASURE = (
    r"psi|population stability index|ks|kolmogorov[-–]smirnov(?: statistic| test)?"
    r"|jsd?|jensen[-–]shannon(?: divergence| distance)?|(?:kl|kullback[-–]leibler)(?: divergence)?"
    r"|wasserstein(?: distance)?|hellinger(?: distance)?|chi[- ]squared?(?: test)?"
)


def measures(text: str) -> tuple[str, ...]:
    """Names of measures of drift, separated by commas; a sentence about one is not its name."""
    for measure in (found := names(text)):
        if not re.fullmatch(MEASURE, measure, FLAGS):
            raise Unreadable(
                "expected names of measures of drift such as PSI, KS, Jensen-Shannon"
                f" (cannot place {quote(measure)}); got {quote(text)}"
            )
    return found


def _listed(item: str) -> str:
    if re.fullmatch('"[^"]+"', item):
        return name(item[1:-1])
    if re.search(r"\s(?:and|or|/)\s", item, FLAGS):
        raise Unreadable(f"one name or two? write 'A, B', or one name in quotes; got {quote(item)}")
    if found := re.search(_QUALIFIED, item, FLAGS):
        raise Unreadable(
            f"expected names separated by commas and nothing more "
            f"(cannot place {quote(found[0].strip())}); got {quote(item)}"
        )
    return name(item)


def one_name(item: str) -> str:
    """An item of a list as `names` reads it: in quotes where it holds a comma or 'and'."""
    several = re.search(rf"{_BETWEEN}|\s(?:and|or|/)\s", item, FLAGS)
    unqualified = not re.search(_QUALIFIED, item, FLAGS)
    return f'"{item}"' if several and unqualified else item


def approval(text: str) -> Approval:
    """`Name — 2026-01-31`, `Name, 31 Jan 2026`, `Name (31.01.2026)`, `Name: …, Date: …`."""
    expected = "a signature such as 'A. Lee — 2026-01-31'"
    named = r"(?:name: ?)?(.+?)"
    dated = rf"(?:–|—|--?|,)\s*(?:date: ?)?({DATED})|\(({DATED})\)"
    found = whole(rf"{named}\s*(?:{dated})", text, expected)
    if re.search(_UNSIGNED, found[1], FLAGS):
        raise Unreadable(f"expected {expected}; got {quote(text)}")
    return Approval(name=name(found[1]), date=calendar_date(found[2] or found[3]))
