"""§7, §10: does what is served stay what it was, and do versions come and go as agreed?"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from contract_checks.changes.diff import changed_promises
from contract_checks.changes.grades import Grade
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.fingerprint import promises, promoted, schema, semantics
from contract_checks.evidence.versions import moves_of_the_pointer, superseded, version_before
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record

_NOT_YET = "no version was promoted yet"


def _promotions(contract: Contract, evidence: Evidence) -> list[Record]:
    """Promotions of every version of the feature, oldest first."""
    moves = moves_of_the_pointer(contract, evidence.operations)
    return [move for move in moves if move.job == "promotion"]


def _promotions_of_this(contract: Contract, evidence: Evidence) -> list[Record]:
    return [r for r in _promotions(contract, evidence) if r.subject == contract.view_name]


def _end_of_support(contract: Contract, evidence: Evidence) -> datetime | None:
    """When the time of the document's deprecation plan is over; None while it does not run."""
    plan = contract.versioning.deprecation
    moves = moves_of_the_pointer(contract, evidence.operations)
    feature = contract.overview.feature_name
    since = superseded(moves, f"{feature}_{plan.version}", f"{feature}_{plan.successor}")
    return since and since + plan.support


@check("§7 semantic drift checks", held_in="events, offline, operations")
def probes_are_answered_as_when_promoted(
    contract: Contract, evidence: Evidence
) -> Iterator[Verdict]:
    """The code answers the probes as when its version was promoted; a new one may differ."""
    mine = _promotions_of_this(contract, evidence)
    promotions = mine or _promotions(contract, evidence)
    if not promotions:
        yield Verdict(True, "the answers of the last promoted version", _NOT_YET)
        return
    last, another = promotions[-1], not mine
    then, now = last.figures["semantics"], semantics(evidence.probes)
    asked_again = sorted(set(then) & set(now))
    if not asked_again:
        raise MissingEvidence(f"no probe that {last.subject} was promoted with is asked any more")
    changed = [str(now[i]["probe"]) for i in asked_again if then[i]["got"] != now[i]["got"]]
    yield Verdict(
        another or not changed,
        f"{len(asked_again)} probes answered as when {last.subject} was promoted"
        + (", or a new version" if another else ""),
        f"{len(changed)} answered otherwise",
        len(changed),
        tuple(changed[:3]),
    )


@check("§10 served versions immutable", held_in="document, registry, operations")
def what_was_promoted_stays(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Document, schema and semantics of a served version are those it was promoted with."""
    if not contract.versioning.served_immutable:
        yield Verdict(True, "served versions may change", "not asked for")
        return
    mine = _promotions_of_this(contract, evidence)
    if not mine:
        yield Verdict(True, "as when it was promoted", _NOT_YET)
        return
    then = mine[0].figures  # which fixed it: promoting anew does not make a version another one
    # Each when its turn comes: what cannot be told of one part hides nothing of those before.
    parts: dict[str, Callable[[], list[str]]] = {
        "document": lambda: _changed(promises(then["terms"]), promises(contract.terms())),
        "schema": lambda: _changed(
            then["schema"], schema(evidence.view(contract.view_name)), may_grow=False
        ),
        "semantics": lambda: _otherwise(then["semantics"], semantics(evidence.probes)),
    }
    for part, changes in parts.items():
        changed = changes()
        yield Verdict(
            not changed,
            f"{part} as promoted at {mine[0].at.isoformat()}",
            f"{', '.join(changed[:3])} changed: make it a new version" if changed else "the same",
            len(changed),
            tuple(changed[:3]),
        )


def _changed(
    then: Mapping[str, object], now: Mapping[str, object], *, may_grow: bool = True
) -> list[str]:
    """Names whose value is another or gone; new ones too, unless they say nothing of the old."""
    names = dict.fromkeys([*then] if may_grow else [*then, *now])
    return [name for name in names if then.get(name) != now.get(name)]


def _otherwise(then: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """Probes that are answered otherwise, or asked no more; those asked since say nothing."""
    return [
        str(answer["probe"])
        for probe, answer in then.items()
        if probe not in now or now[probe]["got"] != answer["got"]
    ]


@check("§10 breaking changes require new version", held_in="document, operations")
def breaking_changes_have_a_new_version(
    contract: Contract, evidence: Evidence
) -> Iterator[Verdict]:
    """No breaking change was made to the document of a version since it was promoted."""
    if not contract.versioning.breaking_versioned:
        yield Verdict(True, "breaking changes need no version", "not asked for")
        return
    mine = _promotions_of_this(contract, evidence)
    if not mine:
        yield Verdict(True, "a new version for a breaking change", _NOT_YET)
        return
    before = promoted(mine[0].figures["terms"], contract)
    breaking = [c for c in changed_promises(before, contract) if c.grade is Grade.BREAKING]
    yield Verdict(
        not breaking,
        f"no breaking change within {contract.overview.version}",
        f"{len(breaking)} breaking changes",
        len(breaking),
        tuple(f"{change.clause}: {change.why}" for change in breaking[:3]),
    )


@check("§10 deprecation plan", held_in="registry, online, operations")
def deprecated_versions_are_supported(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """After its successor's release a version is served for the promised time.

    That time does not run while the pointer serves the version again, after a rollback; from the
    promotion that supersedes it again, the whole of it counts.
    """
    plan, feature = contract.versioning.deprecation, contract.overview.feature_name
    old, new = f"{feature}_{plan.version}", f"{feature}_{plan.successor}"
    if all(promotion.subject != new for promotion in _promotions(contract, evidence)):
        yield Verdict(True, f"{old} supported", f"{new} is not released yet")
        return
    until = _end_of_support(contract, evidence)
    if until is not None and evidence.as_of >= until:
        yield Verdict(True, f"{old} supported until {until.date()}", "that time is over")
        return
    how_long = f"until {until.date()}" if until else f"while it is served again in {new}'s place"
    view = evidence.registry.views.get(old)
    service = evidence.registry.services.get(old)
    pinned = service is not None and old in service.views
    fresh = (
        view is not None
        and view.materialized_to is not None
        and evidence.as_of - view.materialized_to <= contract.quality.freshness
    )
    for kept, what in (
        (view is not None, "registered"),
        (pinned, "served by its pinned service"),
        (fresh, "materialized freshly"),
    ):
        yield Verdict(kept, f"{old} {what} {how_long}", "yes" if kept else "no", int(not kept))


@check("§10 rollback plan", held_in="registry, operations")
def the_version_before_can_be_served(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The pointer serves what the log says, and the version before is ready to take over."""
    moves = moves_of_the_pointer(contract, evidence.operations)
    if not moves:
        yield Verdict(True, "a version to go back to", _NOT_YET)
        return
    pointer, served = contract.overview.feature_name, moves[-1].subject
    service = evidence.registry.services.get(pointer)
    pointed = tuple(sorted(service.views)) if service else ()
    yield Verdict(
        pointed == (served,),
        f"service {pointer} points at {served}, as {moves[-1].job} left it",
        ", ".join(pointed) or "nothing",
        int(pointed != (served,)),
    )
    before = version_before(moves, served)
    if before is None:
        yield Verdict(True, "the version before is ready", f"none before {served}")
        return
    view = evidence.registry.views.get(before)
    if view is None and _is_out_of_support(before, contract, evidence):
        yield Verdict(True, "the version before is ready", f"{before} had its time, and is gone")
        return
    ready = view is not None and view.materialized_to is not None
    yield Verdict(
        ready, f"{before} registered and materialized", "yes" if ready else "no", int(not ready)
    )


def _is_out_of_support(version: str, contract: Contract, evidence: Evidence) -> bool:
    """Whether the time is over that a version's own document promised when it was promoted."""
    for promotion in _promotions(contract, evidence):
        if promotion.subject == version:
            its_own = promoted(promotion.figures["terms"], contract)
            until = _end_of_support(its_own, evidence)
            about_it = its_own.versioning.deprecation.version == its_own.overview.version
            return about_it and until is not None and evidence.as_of >= until
    return False
