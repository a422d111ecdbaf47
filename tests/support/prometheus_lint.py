"""What `promtool check metrics` finds fault with, in plain Python; no wheel carries that program.

The rules are those that client_golang publishes in its package `testutil/promlint`, and that each
family stands in one piece, once, as the text format has it.
"""

import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

BASE_UNITS = {"amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres"}
BASE_UNITS |= {"seconds", "volts"}
OTHER_UNITS = {"minutes", "hours", "days", "weeks", "kelvins", "fahrenheit", "rankine", "inches"}
OTHER_UNITS |= {"yards", "miles", "bits", "calories", "pounds", "ounces"}
PREFIXES = "pico nano micro milli centi deci deca hecto kilo kibi mega mibi giga gibi tera tebi"
SCALED = {
    p + unit for p in [*PREFIXES.split(), "peta", "pebi"] for unit in BASE_UNITS | OTHER_UNITS
}
ABBREVIATED = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
TYPES = ("counter", "gauge", "summary", "histogram", "gauge_histogram")

SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+( -?\d+)?")
LABEL = re.compile(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)",?')


class Family(NamedTuple):
    """One metric: what its comments say, and its samples' names and labels."""

    name: str
    help: list[str]
    type: list[str]
    samples: list[tuple[str, dict[str, str]]]


def problems(text: str) -> list[str]:
    """Each fault of an exposition in the text format, with the name of its metric."""
    found = list(families(text))
    twice = [n for n, times in Counter(family.name for family in found).items() if times > 1]
    return [f"{name}: it stands in several places" for name in twice] + [
        f"{family.name}: {fault}" for family in found for fault in faults(family)
    ]


def families(text: str) -> Iterator[Family]:
    """The families in their order; a sample goes to the comments before it, if its name fits."""
    family: Family | None = None
    for line in text.splitlines():
        comment = re.fullmatch(r"# (HELP|TYPE) (\S+) ?(.*)", line)
        if comment:
            kind, name, told = comment.groups()
            if family is None or family.name != name:
                if family:
                    yield family
                family = Family(name, [], [], [])
            (family.help if kind == "HELP" else family.type).append(told)
        elif line and not line.startswith("#"):
            sample = SAMPLE.fullmatch(line)
            assert sample, f"no sample: {line}"
            name = sample[1]
            if family is None or name not in sample_names(family):
                if family:
                    yield family
                family = Family(name, [], [], [])
            family.samples.append((name, dict(LABEL.findall(sample[2] or ""))))
    if family:
        yield family


def sample_names(family: Family) -> set[str]:
    endings = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
    kind = family.type[0] if family.type else ""
    return {family.name + ending for ending in endings.get(kind, ("",))}


def faults(family: Family) -> Iterator[str]:
    name, words = family.name, family.name.lower().split("_")
    kind = family.type[0] if family.type else "untyped"
    labels = {label for _, held in family.samples for label in held}
    if len(family.help) != 1 or not family.help[0].strip():
        yield "no help text, or several"
    if len(family.type) != 1:
        yield "no type, or several"
    if (kind == "counter") != name.endswith("_total") and kind != "untyped":
        yield "the suffix _total is a counter's, and every counter's"
    if kind != "histogram" and (name.endswith("_bucket") or "le" in labels):
        yield "_bucket and le are a histogram's"
    if kind not in ("histogram", "summary") and name.endswith(("_count", "_sum")):
        yield "_count and _sum are a histogram's or summary's"
    if kind != "summary" and "quantile" in labels:
        yield "quantile is a summary's label"
    if other := (OTHER_UNITS | SCALED).intersection(words):
        yield f"no base unit: {', '.join(sorted(other))}"
    if ABBREVIATED.intersection(words[1:]):
        yield "an abbreviated unit"
    if any(f"_{each}_" in f"{name.lower()}_" for each in TYPES):
        yield "its type in its name"
    if ":" in name or any(re.search("[a-z][A-Z]", each) for each in (name, *labels)):
        yield "a colon, or camelCase"
    if len({(n, *sorted(held.items())) for n, held in family.samples}) < len(family.samples):
        yield "one sample twice"
