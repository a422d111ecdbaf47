"""What a refresh says, tells the alert channel and leaves for Prometheus, hour by hour."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple

import pytest
import slack_channel
from feast_copy import HISTORY, apply, copy_of_the_whole_project
from jobs_run import DAY, HOUR, PRESENT, job, shopping
from oracle import Event, write_events
from prometheus_client.parser import text_string_to_metric_families
from prometheus_lint import problems
from slack_channel import Channel

from contract_checks.language.loader import load
from feature_pipeline.change_log.intake import IntakeCounts
from feature_pipeline.refreshed import RefreshResult
from jobs.reporting.refresh_verdict import Verdict, too_many_set_aside
from jobs.repository import CONTRACT

EVENTS = HISTORY.with_name("customer_events.parquet")
METRICS = Path("data", "metrics", "refresh.prom")


class Hour(NamedTuple):
    """What one run said, told and left."""

    code: int
    said: str
    complained: str
    told: list[str]
    metrics: dict[str, float]


class Life:
    """A repository whose events go on, and which is refreshed now and then."""

    def __init__(self, repository: Path, channel: Channel) -> None:
        self.repository, self.channel = repository, channel
        self.events = shopping()
        self.deliver()

    def deliver(self, *more: Event) -> None:
        self.events += more
        write_events(self.events, self.repository / EVENTS)

    def refresh(self, at: datetime) -> Hour:
        before = len(self.channel.told)
        address = {"FEATURE_STORE_ALERT_WEBHOOK": self.channel.address}
        done = job(self.repository, "refresh", "--as-of", at.isoformat(), **address)
        text = (self.repository / METRICS).read_text()
        assert problems(text) == []
        metrics = {
            family.name.removeprefix("feature_store_refresh_"): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }
        told = [text.splitlines()[0] for text in self.channel.told[before:]]
        return Hour(done.returncode, done.stdout, done.stderr, told, metrics)


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    repository = copy_of_the_whole_project(tmp_path_factory.mktemp("life") / "repository")
    apply(repository)
    with slack_channel.channel() as channel:
        yield Life(repository, channel)


def bought(at: datetime, value: str) -> Event:
    return Event(1, at - HOUR / 2, at - HOUR / 4, 1, Decimal(value), 1)


def test_each_hour_is_judged_and_what_broke_is_told_once_and_its_end_once(life: Life) -> None:
    first = life.refresh(PRESENT)
    assert (first.code, first.told) == (0, []), first.said + first.complained
    assert "everything was computed anew: no refresh has left a log" in first.said
    assert (first.metrics["success"], first.metrics["made_anew"]) == (1, 1)

    life.deliver(bought(PRESENT + HOUR, "90000.00")._replace(customer_id=9))
    broken = life.refresh(PRESENT + HOUR)
    assert broken.code == 1, broken.said + broken.complained
    assert re.search(r"^broken §5\.2 allowed range: expected .*got 1 of 3 rows", broken.said, re.M)
    (begun,) = broken.told
    assert begun.startswith("customer_profile_v1 §5.2 allowed range refresh begun: rows just added")
    assert (broken.metrics["broken_clauses"], broken.metrics["new_rows"]) == (1, 3)
    assert (broken.metrics["success"], broken.metrics["made_anew"]) == (1, 0)

    life.deliver(bought(PRESENT + 2 * HOUR, "1.00")._replace(customer_id=2))
    kept = life.refresh(PRESENT + 2 * HOUR)
    assert kept.code == 0, kept.said
    (ended,) = kept.told
    assert ended.startswith("customer_profile_v1 §5.2 allowed range refresh ended")
    assert kept.metrics["broken_clauses"] == 0

    last = PRESENT + 2 * HOUR - HOUR / 4
    on_the_edge = life.refresh(last + DAY)
    assert (on_the_edge.code, on_the_edge.told) == (0, []), on_the_edge.said
    silent = life.refresh(last + DAY + HOUR)
    assert silent.code == 1
    assert f"source silent: no event has arrived since {last.isoformat()}" in silent.said
    (begun,) = silent.told
    assert begun.startswith("customer_profile_v1 §3 allowed lateness refresh begun: source silent")
    assert silent.metrics["source_silent"] == 1

    later = last + DAY + 2 * HOUR
    (life.repository / EVENTS).write_bytes(b"no parquet")
    failed = life.refresh(later)
    assert failed.code == 2 and "not a readable parquet file" in failed.complained
    (begun,) = failed.told
    assert begun.startswith("customer_profile_v1 §4 refresh cadence refresh begun: the refresh")
    assert "not a readable parquet file" in begun
    assert failed.metrics == {"as_of_seconds": later.timestamp(), "success": 0}
    assert life.refresh(later + timedelta(minutes=1)).told == [], "it lasts"

    life.deliver(bought(later, "2.00")._replace(customer_id=3))
    again = life.refresh(later + HOUR)
    assert again.code == 0, again.said
    assert [told.split(":")[0] for told in again.told] == [
        "customer_profile_v1 §4 refresh cadence refresh ended",
        "customer_profile_v1 §3 allowed lateness refresh ended",
    ]
    assert (again.metrics["success"], again.metrics["source_silent"]) == (1, 0)
    assert again.metrics["newest_arrival_seconds"] == (later - HOUR / 4).timestamp()


@pytest.mark.parametrize(
    ("known_before", "now", "quarantined", "said"),
    [
        (None, 0, 0, None),
        (None, 10_000, 100, None),
        (None, 10_000, 200, "200 of the 10,000 events that arrived were quarantined, more than 1%"),
        ((10_000, 5_000), 40, 0, None),
        ((10_000, 0), 1, 1, None),
        ((10_000, 0), 3, 1, None),
        ((10_000, 0), 40, 6, "6 of the 40 events"),
        ((10_000, 0), 2, 2, "2 of the 2 events"),
    ],
)
def test_a_share_of_quarantined_events_that_is_surely_too_large_is_told(
    known_before: tuple[int, int] | None, now: int, quarantined: int, said: str | None
) -> None:
    ingested, aside = known_before or (0, 0)
    before = known_before and IntakeCounts(ingested, ingested - aside, 0, aside, 0)
    ingested, aside = ingested + now, aside + quarantined
    counts = IntakeCounts(ingested, ingested - aside, 0, aside, 0)
    done = RefreshResult(counts, 0, 0, None, None, PRESENT, 0, None, before)
    verdict = Verdict(done, (), None, too_many_set_aside(load(CONTRACT), done))
    assert (verdict.exit_code, len(verdict.lines)) == ((1, 1) if said else (0, 0))
    assert said is None or said in verdict.lines[0]
    news = [one for one in verdict.news if one.clause == "§4 upstream dependencies"]
    assert [one.broken for one in news] == ([bool(said)] if now else [])
