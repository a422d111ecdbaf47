"""Probes: made-up events whose answer the contract dictates, to measure what the code really does.

A probe set lies beside its contract (`<contract>.probes.toml`). It names the job that aggregates
and, per probe, events around a prediction time T and the features a model must be given at T.
Times are written in the contract's own terms (`T - lookback + 1us`), so the set holds for any
window; each probe is an entity of its own. One that speaks of `midnight` is asked of several
midnights where the contract's zone changes its clocks: one probe written, several asked.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contract_checks.language.contract import Contract

_DAY = date(2024, 3, 8)  # shortly after a leap day; no zone changed its clocks in it
_SINCE_MIDNIGHT = timedelta(hours=60)
_ONE = timedelta(days=1)

_UNITS = {"us": 1, "s": 10**6, "min": 60 * 10**6, "h": 3600 * 10**6, "d": 86400 * 10**6}
_TERM = re.compile(r"\s*([+-])\s*(?:(lookback|lateness)|(\d+)(us|s|min|h|d))\s*")


class InvalidProbes(ValueError):  # noqa: N818  (a word of the field, as with contracts)
    """A probe set that cannot be read; the message says where and what to do."""


@dataclass(frozen=True)
class ProbeEvent:
    """One made-up event; `values` are the columns it carries besides key and times."""

    happened: datetime
    arrived: datetime
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Probe:
    """Events of one entity, and what must be read for it at the prediction time."""

    clause: str
    name: str
    events: tuple[ProbeEvent, ...]
    expected: Mapping[str, float]
    asked_at: datetime
    """The prediction time T."""


@dataclass(frozen=True)
class ProbeSet:
    """Every probe of a contract, and the job (a script of the repository) they probe."""

    job: str
    probes: tuple[Probe, ...]


_Moments = Mapping[str, datetime]
"""What `T` and `midnight` mean in one asking of a probe, in UTC."""


def probes_of(contract: Contract) -> Path:
    """Where a contract's probe set lies."""
    return contract.path.with_suffix(".probes.toml")


def load_probes(contract: Contract, path: Path) -> ProbeSet:
    """Read a probe set in the terms of a contract.

    Raises:
        InvalidProbes: not TOML, a key is missing or unknown, or a time cannot be read.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
        probes = (probe for one in written["probe"] for probe in _asked(contract, one))
        return ProbeSet(written["job"], tuple(probes))
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidProbes(f"{path}: {error}; see docs/contract.md for the form") from error


def _asked(contract: Contract, written: dict[str, Any]) -> Iterator[Probe]:
    """One probe as it is asked: once, or of each midnight that tells the zone's clocks."""
    clause = written["clause"]
    if clause not in contract.lines:
        raise ValueError(f"probe {written['name']!r} is of {clause!r}, which is no clause")
    if unknown := sorted(set(written["expect"]) - set(contract.features)):
        raise ValueError(f"probe {written['name']!r} expects {unknown}, which are no features")
    if not written["expect"]:
        raise ValueError(f"probe {written['name']!r} expects nothing: name features and values")
    for day, moments in _moments(contract, written["events"]):
        yield Probe(
            clause,
            written["name"] if day == _DAY else f"{written['name']} ({day})",
            tuple(_event(contract, moments, event) for event in written["events"]),
            written["expect"],
            moments["T"],
        )


def _moments(contract: Contract, events: list[dict[str, Any]]) -> Iterator[tuple[date, _Moments]]:
    """The days whose midnights these events are about, and when to ask."""
    times = [str(event.get(at)) for event in events for at in ("at", "arrives")]
    zone, days, since = ZoneInfo(contract.time.timezone), [_DAY], _SINCE_MIDNIGHT
    if any(text.startswith("midnight") for text in times):
        days += _around_clock_changes(zone)
        since = min(since, contract.time.lookback / 2)
    for day in days:
        midnight = _midnight(day, zone)
        yield day, {"T": midnight + since, "midnight": midnight}


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    """When a day of the zone begins; where its clocks skip that midnight, when they do."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _around_clock_changes(zone: ZoneInfo) -> list[date]:
    """The days of a year that begin or end with a day whose length is not 24 hours.

    Both ends of it: clocks that are fixed at either offset are wrong at one of the two.
    """
    days = [date(_DAY.year, 1, 1) + timedelta(days=n) for n in range(366)]
    changed = [d for d in days if _midnight(d + _ONE, zone) - _midnight(d, zone) != _ONE]
    return sorted({d + n * _ONE for d in changed for n in (0, 1)})


def _event(contract: Contract, moments: _Moments, written: dict[str, Any]) -> ProbeEvent:
    values = {k: v for k, v in written.items() if k not in ("at", "arrives")}
    happened = _instant(contract, moments, written["at"])
    arrived = _instant(contract, moments, written.get("arrives", written["at"]))
    return ProbeEvent(happened, arrived, values)


def _instant(contract: Contract, moments: _Moments, written: object) -> datetime:
    """`T` or `midnight`, and terms such as `- lookback + 1us`, or `- lateness - 2h`."""
    text = str(written)
    start = next((name for name in moments if text.startswith(name)), None)
    if start is None:
        raise ValueError(f"time {text!r} does not start at T or midnight")
    instant, place = moments[start], len(start)
    known = {"lookback": contract.time.lookback, "lateness": contract.time.allowed_lateness}
    while place < len(text):
        term = _TERM.match(text, place)
        if term is None:
            raise ValueError(
                f"time {text!r} is not {start} followed by terms such as - lookback + 1us"
            )
        sign, name, count, unit = term.groups()
        length = known[name] if name else timedelta(microseconds=int(count) * _UNITS[unit])
        instant += length if sign == "+" else -length
        place = term.end()
    return instant
