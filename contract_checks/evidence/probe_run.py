"""Run a contract's probes through the real aggregation job and the real point-in-time join."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import MissingEvidence, ProbeAnswer, ProbeRun
from contract_checks.evidence.probes import (
    InvalidProbes,
    Probe,
    load_probes,
    probes_of,
)
from contract_checks.evidence.registry import read_point_in_time
from contract_checks.evidence.tables import ARRIVAL
from contract_checks.language.contract import Contract

_ZONED = pa.timestamp("us", tz="UTC")


def run_probes(
    contract: Contract, repository: Path, view: RegisteredView
) -> ProbeRun | MissingEvidence:
    """What the code answers to the contract's probes, or why that could not be measured."""
    written = probes_of(contract)
    if not written.is_file():
        return MissingEvidence(f"no probe set at {written}: write one, as docs/contract.md shows")
    try:
        probes = load_probes(contract, written)
    except InvalidProbes as invalid:
        return MissingEvidence(str(invalid))
    if not probes.probes:
        return MissingEvidence(f"{written} holds no probe yet: write one per clause")
    ids = _identifiers(view, len(probes.probes) + 1)
    with TemporaryDirectory() as made:
        scratch = Path(made)
        events, history = scratch / "events.parquet", scratch / "history.parquet"
        pq.write_table(_events(contract, probes.probes, ids), events)
        # After the last event has left the window, so that anything that could leak is there.
        latest = max(t for p in probes.probes for t in (p.asked_at, *(e.arrived for e in p.events)))
        as_of = (latest + 2 * contract.time.lookback).isoformat()
        job = [sys.executable, str(repository.resolve() / probes.job), str(events), str(history)]
        done = subprocess.run(  # noqa: S603  (the repository's own job)
            [*job, "--as-of", as_of, "--contract", str(contract.path)],
            env=os.environ | {"PYTHONPATH": _first_on_the_path(repository.resolve())},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return MissingEvidence(f"{probes.job} failed on the probes: {_reason(done.stderr)}")
        asked = [*ids, ids[0]]  # the last of ids is of no probe: an unknown entity
        first = probes.probes[0].asked_at
        times = [*(probe.asked_at for probe in probes.probes), first, first]
        frame = pa.table(
            dict.fromkeys(contract.entity.join_keys, asked)
            | {"event_timestamp": pa.array(times, _ZONED)}
        )
        rows = read_point_in_time(repository, view.name, history, frame, scratch).to_pylist()
    key = contract.entity.join_keys[0]
    found: dict[Any, dict[str, Any]] = {row[key]: row for row in rows}
    return ProbeRun(
        answers=tuple(
            ProbeAnswer(probe, {name: found.get(i, {}).get(name) for name in probe.expected})
            for i, probe in zip(ids, probes.probes, strict=False)
        ),
        asked=tuple(map(str, asked)),
        returned=tuple(str(row[key]) for row in rows),
    )


def _first_on_the_path(repository: Path) -> str:
    # The job is to run the repository's own packages, not those of an installed checkout.
    return os.pathsep.join(filter(None, [str(repository), os.environ.get("PYTHONPATH")]))


def _reason(said: str) -> str:
    """A traceback's last block is the error; a refusal is all there is."""
    *_, last = said.strip().rpartition("╯") if said else ("it said nothing",)
    return " ".join(last.split())


def _identifiers(view: RegisteredView, count: int) -> list[int] | list[str]:
    textual = any(entity.dtype == "STRING" for entity in view.entities)
    return [f"probe-{i}" for i in range(count)] if textual else list(range(1, count + 1))


def _events(contract: Contract, probes: tuple[Probe, ...], ids: list[Any]) -> pa.Table:
    rows = [
        {
            **dict.fromkeys(contract.entity.join_keys, i),
            contract.time.event_timestamp: event.happened,
            ARRIVAL: event.arrived,
            **event.values,
        }
        for i, probe in zip(ids, probes, strict=False)
        for event in probe.events
    ]
    columns = {name: [row.get(name) for row in rows] for name in rows[0]}
    return pa.table(
        {
            name: pa.array(values, _ZONED) if isinstance(values[0], datetime) else pa.array(values)
            for name, values in columns.items()
        }
    )
