"""Probes: made-up events whose answer the contract dictates, to measure what the code really does.

A probe set lies beside its contract (`<contract>.probes.toml`). It names the job that aggregates
and, per probe, events around a prediction time T and the features a model must be given at T.
Times are written in the contract's own terms (`T - lookback + 1us`), so the set holds for any
window; each probe is an entity of its own.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contract_checks.language.contract import Contract

_NOON = datetime(2024, 3, 8, 12)  # noqa: DTZ001  (a wall clock's, of the contract's zone)

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


@dataclass(frozen=True)
class ProbeSet:
    """Every probe of a contract, and the job (a script of the repository) they probe."""

    job: str
    probes: tuple[Probe, ...]


def prediction_time(contract: Contract) -> datetime:
    """T: a noon in the contract's zone (§3), shortly after a leap day, in UTC.

    No zone changed its clocks in the week before, so `T - 3d + 12h` is a midnight there.
    """
    return _NOON.replace(tzinfo=ZoneInfo(contract.time.timezone)).astimezone(UTC)


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
        probes = tuple(_probe(contract, probe) for probe in written["probe"])
        return ProbeSet(written["job"], probes)
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise InvalidProbes(f"{path}: {error}; see docs/contract.md for the form") from error


def _probe(contract: Contract, written: dict[str, Any]) -> Probe:
    clause = written["clause"]
    if clause not in contract.lines:
        raise ValueError(f"probe {written['name']!r} is of {clause!r}, which is no clause")
    if unknown := sorted(set(written["expect"]) - set(contract.features)):
        raise ValueError(f"probe {written['name']!r} expects {unknown}, which are no features")
    if not written["expect"]:
        raise ValueError(f"probe {written['name']!r} expects nothing: name features and values")
    return Probe(
        clause,
        written["name"],
        tuple(_event(contract, event) for event in written["events"]),
        written["expect"],
    )


def _event(contract: Contract, written: dict[str, Any]) -> ProbeEvent:
    values = {k: v for k, v in written.items() if k not in ("at", "arrives")}
    happened = _instant(contract, written["at"])
    return ProbeEvent(happened, _instant(contract, written.get("arrives", written["at"])), values)


def _instant(contract: Contract, text: str) -> datetime:
    """`T`, or T and terms such as `- lookback + 1us`, or `- lateness - 2h`."""
    if not text.startswith("T"):
        raise ValueError(f"time {text!r} does not start at T")
    instant, place = prediction_time(contract), 1
    known = {"lookback": contract.time.lookback, "lateness": contract.time.allowed_lateness}
    while place < len(text):
        term = _TERM.match(text, place)
        if term is None:
            raise ValueError(f"time {text!r} is not T followed by terms such as - lookback + 1us")
        sign, name, count, unit = term.groups()
        length = known[name] if name else timedelta(microseconds=int(count) * _UNITS[unit])
        instant += length if sign == "+" else -length
        place = term.end()
    return instant
