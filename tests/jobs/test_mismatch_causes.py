"""Every mismatch gets a cause: of hundreds that were made on purpose, the named one is the one."""

import math
import re
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from injected_mismatches import DAY, World
from oracle import MICROSECOND

from contract_checks.measures.differing_read import Declared, LogRow, Read, Values
from contract_checks.measures.likeness import cast_between
from contract_checks.measures.mismatch_causes import Cause, causes_of
from jobs.rehearsal.mismatch_evidence import Sources, reads_of

OF_EACH = 25
NEED_NO_EVENTS = {Cause.DUPLICATED, Cause.TTL, Cause.TYPE, Cause.DEFAULT, Cause.STALE}


def injected(seed: int, folder: Path) -> World:
    """A world with as many mismatches of each cause, in turn."""
    world = World.of(Random(seed), OF_EACH * len(Cause), folder)
    for nth in range(OF_EACH * len(Cause)):
        world.inject(list(Cause)[nth % len(Cause)], customer=nth + 1)
    return world


def right_ones(world: World, sources: Sources) -> tuple[Counter[Cause], list[str]]:
    """How many of each cause were named so in every feature, and what was said of the others."""
    named = causes_of(reads_of([mismatch for _, mismatch in world.injected], sources, {}))
    right: Counter[Cause] = Counter()
    wrong = []
    for (cause, mismatch), judged in zip(world.injected, named, strict=True):
        assert list(judged) == list(mismatch.differing)
        assert all(j.reason for j in judged.values())
        if {j.cause for j in judged.values()} == {cause}:
            right[cause] += 1
        else:
            wrong.append(f"{cause.value}: {mismatch} was named {judged}")
    return right, wrong


@pytest.mark.parametrize("seed", [1, *(pytest.param(n, marks=pytest.mark.slow) for n in (2, 3))])
def test_the_named_cause_is_right_for_nine_of_ten_of_200_injections(seed, tmp_path):
    world = injected(seed, tmp_path)
    assert len(world.injected) == 200
    right, wrong = right_ones(world, world.sources(tmp_path))
    told = {cause.value: f"{right[cause]} of {OF_EACH}" for cause in Cause}
    assert sum(right.values()) >= 0.9 * len(world.injected), (told, wrong)
    assert all(right[cause] >= 0.8 * OF_EACH for cause in Cause), (told, wrong)


def test_without_events_what_the_log_alone_tells_is_told_as_well(tmp_path):
    world = injected(4, tmp_path)
    sources = world.sources(tmp_path)
    sources.events.unlink()
    right, wrong = right_ones(world, sources)
    assert all(right[cause] >= 0.9 * OF_EACH for cause in NEED_NO_EVENTS), (right, wrong)


def test_every_cause_is_documented_in_the_order_of_the_rules():
    parity = (Path(__file__).parents[2] / "docs" / "parity.md").read_text(encoding="utf-8")
    table = parity.split("## Why they differ")[1].split("\n## ")[0]
    documented = re.findall(r"^\| ([a-z ]+) \|", table, re.MULTILINE)
    assert documented == ["cause", *(cause.value for cause in Cause)]


# one read at a time

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DECLARED = Declared({"orders": 0, "spent": 0.0}, {"orders": "Int64", "spent": "Float64"}, 30 * DAY)
LOG = [
    LogRow(NOON - 50 * DAY, {"orders": 0, "spent": 0.0}),
    LogRow(NOON - 3 * DAY, {"orders": 1, "spent": 5.0}),
    LogRow(NOON - HOUR, {"orders": 2, "spent": 9.0}),
]


def named(online: Values | None, offline: Values | None = LOG[-1].values, **known: Any) -> str:
    """The one cause of a read at noon, which the last row of the log is the answer to."""
    read = Read(
        NOON, online, offline, ("orders", "spent"), known.pop("log", LOG), DECLARED, **known
    )
    (judged,) = causes_of([read])
    (cause,) = {j.cause for j in judged.values()}
    return str(cause)


EARLIER = LOG[1].values


def test_a_row_that_one_side_lacks_is_a_default_and_one_it_has_again_a_duplicate():
    assert named(None) == "default"
    assert named(LOG[-1].values, None) == "default"
    assert named(None, repeated=True) == "duplicated key"


def test_an_earlier_row_is_stale_unless_it_is_stamped_as_the_newest():
    assert named(EARLIER) == "stale materialization"
    assert named(EARLIER, materialized_to=NOON - DAY) == "stale materialization"
    assert named(EARLIER, online_stamp=LOG[1].stamp) == "stale materialization"
    assert named(EARLIER, online_stamp=LOG[-1].stamp) == "tampered value"


def test_defaults_are_stale_only_where_there_was_nothing_yet():
    defaults = DECLARED.defaults
    assert named(defaults) == "default"
    assert named(defaults, materialized_to=NOON) == "default"
    assert named(defaults, materialized_to=NOON - DAY) == "default"
    assert named(defaults, materialized_to=NOON - 10 * DAY) == "stale materialization"
    first = LOG[-1:]
    assert named(defaults, log=first, materialized_to=NOON - DAY) == "stale materialization"


def test_a_value_for_an_entity_that_no_event_knows_is_no_default():
    served = {"orders": 7, "spent": 7.0}
    assert named(served, DECLARED.defaults, log=[]) == "default"
    assert named(served, DECLARED.defaults, log=[], recomputed=[]) == "tampered value"


def test_a_ttl_is_to_blame_only_beyond_it():
    old = [LogRow(NOON - 30 * DAY, {"orders": 1, "spent": 5.0})]
    older = [LogRow(NOON - 30 * DAY - MICROSECOND, {"orders": 1, "spent": 5.0})]
    assert named(EARLIER, DECLARED.defaults, log=older) == "ttl"
    assert named(DECLARED.defaults, EARLIER, log=older) == "ttl"
    assert named(DECLARED.defaults, EARLIER, log=old) == "default"


def test_a_factor_needs_five_reads_of_three_values():
    def judged(offline: list[float]) -> list[str]:
        reads = [
            Read(NOON, {"spent": 1.19 * x}, {"spent": x}, ("spent",), [], DECLARED) for x in offline
        ]
        return [str(j["spent"].cause) for j in causes_of(reads)]

    assert judged([10.0, 20.0, 30.0, 40.0]) == ["tampered value"] * 4
    assert judged([10.0, 10.0, 10.0, 10.0, 20.0]) == ["tampered value"] * 5
    assert judged([10.0, 20.0, 30.0, 40.0, 50.0]) == ["changed logic"] * 5


@pytest.mark.parametrize(
    ("offline", "online", "declared", "cast"),
    [
        (0.1, float(np.float32(0.1)), "Float64", "32-bit float"),
        (3, "3", "Int64", "text"),
        ("3.0", 3, "Int64", "text"),
        (3, "three", "Int64", None),
        (1.5, 1, "Int64", "integer"),
        (1.5, 1, "Float64", "integer"),
        (1.5, 1.0, "Float64", None),
        (28.333333, 28.33, "Float64", "decimal of fewer digits"),
        (True, 1, "Bool", "boolean"),
        (3, 3.0, "Int64", None),
        (3, 4, "Int64", None),
        (None, 4, "Int64", None),
        (math.inf, 4.0, "Float64", None),
    ],
)
def test_a_cast_is_told_by_its_name(offline, online, declared, cast):
    assert cast_between(offline, online, declared) == cast
    assert cast_between(online, offline, declared) == cast
