"""Tell a lineage collector what a job reads and writes, in events of OpenLineage.

Where they go stands in the openlineage client's own variables, `OPENLINEAGE_URL` or
`OPENLINEAGE__TRANSPORT__...` of the environment; without any nothing is sent. An event holds the
contract's names of datasets, numbers of rows, times, and the kind of an error; never its text or a
path, for they may hold what no collector is to know. It is carried beside the job, which waits for
it at its end for two seconds at most; a collector that failed once is not waited for again.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from queue import SimpleQueue
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from contract_checks.clock import now
from contract_checks.language.contract import Contract

if TYPE_CHECKING:
    from openlineage.client.event_v2 import OutputDataset, RunEvent

_NAMESPACE = "feature_store"
_PRODUCER = "urn:contract-feature-store:jobs"  # a URI, as the specification wants it
_PATIENCE_SECONDS = 2.0
_DESTINATIONS = ("OPENLINEAGE_URL", "OPENLINEAGE_CONFIG", "OPENLINEAGE__TRANSPORT")


@dataclass(frozen=True)
class Flow:
    """What a job reads and writes, by the names of the contract."""

    reads: tuple[str, ...]
    writes: tuple[str, ...]
    """May name figures of the job's record, such as `training_set/{digest}`."""
    counted: str
    """The figure that tells how many rows the first of `writes` was given, where it has one."""


class Lineage:
    """The run of one job, told from its start to its end."""

    def __init__(self, job: str, subject: str, at: datetime, flow: Flow) -> None:
        self._told = _Told(
            str(uuid4()), subject if job == "upstream" else f"{job}.{subject}", at, flow
        )
        _carrier().send(self._told, "START", {})

    def ended(self, passed: bool, figures: Mapping[str, Any]) -> None:
        """Tell the end, and wait a little for what was told to arrive."""
        _carrier().send(self._told, "COMPLETE" if passed else "FAIL", figures)
        _carrier().wait()


def configured() -> bool:
    """Whether the environment names a collector or a file."""
    return any(name.startswith(_DESTINATIONS) and os.environ[name] for name in os.environ)


def refresh_flow(contract: Contract, view: str) -> Flow:
    """The flow of a refresh of one version: events to the offline table to the online store."""
    offline, online = contract.parity.offline_path, _online(contract, view)
    return Flow(contract.source.systems, (offline, online), "new_rows")


def training_flow(contract: Contract) -> Flow:
    """The flow of a training set, which is named by the digest of its file, as in its receipt."""
    return Flow((contract.parity.offline_path,), ("training_set/{digest}",), "rows")


def pointer_flow(contract: Contract, view: str) -> Flow:
    """The flow of a promotion or a rollback: the feature's bare name is of this version."""
    pointer = _online(contract, contract.overview.feature_name)
    return Flow((_online(contract, view),), (pointer,), "")


def upstream_flow(contract: Contract) -> Flow:
    """The flow of an upstream job, of whose sources the contract says nothing."""
    return Flow((), contract.source.systems, "rows")


def _online(contract: Contract, name: str) -> str:
    store, _, _ = contract.parity.online_path.rpartition(".")
    return f"{store}.{name}"


@dataclass(frozen=True)
class _Told:
    """What the events of one run have in common."""

    run: str
    job: str
    at: datetime
    flow: Flow


class _Carrier:
    """Takes events to their destination, one after the other, in a thread of its own."""

    def __init__(self) -> None:
        self._events: SimpleQueue[tuple[_Told, str, datetime, Mapping[str, Any]]] = SimpleQueue()
        self._changed = Condition()
        self._under_way = 0
        self._failed = False
        Thread(target=self._carry, daemon=True, name="lineage").start()

    def send(self, told: _Told, state: str, figures: Mapping[str, Any]) -> None:
        with self._changed:
            self._under_way += 1
        self._events.put((told, state, now(), dict(figures)))

    def wait(self) -> None:
        with self._changed:
            if not self._changed.wait_for(self._settled, _PATIENCE_SECONDS):
                self._give_up(f"no answer within {_PATIENCE_SECONDS:g} s")

    def _settled(self) -> bool:
        return self._failed or not self._under_way

    def _carry(self) -> None:
        client = None
        while True:
            event = self._events.get()
            why = None
            try:
                client = client or _client()
                client.emit(_event(*event))
            except Exception as error:  # a job's work counts, whatever becomes of its lineage
                why = type(error).__name__
            with self._changed:
                self._under_way -= 1
                if why:
                    self._give_up(why)
                self._changed.notify_all()

    def _give_up(self, why: str) -> None:
        """Say it once, and nothing that stands in an address or an answer."""
        if not self._failed:
            print(
                f"lineage did not arrive ({why}): see that what OPENLINEAGE_URL or "
                "OPENLINEAGE__TRANSPORT__... names can be reached and written to",
                file=sys.stderr,
            )
        self._failed = True


@cache
def _carrier() -> _Carrier:
    return _Carrier()


def _client() -> Any:
    import logging

    from openlineage.client import OpenLineageClient

    # They quote addresses, and both say again what `_give_up` says once.
    for name in ("openlineage", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    return OpenLineageClient()


def _event(told: _Told, state: str, when: datetime, figures: Mapping[str, Any]) -> "RunEvent":
    from openlineage.client.event_v2 import InputDataset, Job, Run, RunEvent, RunState
    from openlineage.client.facet_v2 import error_message_run, nominal_time_run

    namespace = os.environ.get("OPENLINEAGE_NAMESPACE") or _NAMESPACE
    facets: dict[str, Any] = {
        "nominalTime": nominal_time_run.NominalTimeRunFacet(told.at.isoformat())
    }
    if state == "FAIL":
        kind = str(figures.get("error", "did not pass")).partition(":")[0]
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(kind, "Python")
    return RunEvent(
        eventType=RunState[state],
        eventTime=when.isoformat(),
        run=Run(told.run, facets),
        job=Job(namespace, told.job),
        producer=_PRODUCER,
        inputs=[InputDataset(namespace, name) for name in told.flow.reads],
        outputs=_outputs(namespace, told.flow, figures) if state == "COMPLETE" else [],
    )


def _outputs(namespace: str, flow: Flow, figures: Mapping[str, Any]) -> "list[OutputDataset]":
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics

    outputs = [OutputDataset(namespace, name.format_map(figures)) for name in flow.writes]
    if flow.counted in figures:
        rows = statistics.OutputStatisticsOutputDatasetFacet(rowCount=figures[flow.counted])
        outputs[0].outputFacets = {"outputStatistics": rows}
    return outputs
