"""§7, §10: does what is served stay what it was, and do versions come and go as agreed?"""

from collections.abc import Iterator

from contract_checks.changes.diff import changed_promises
from contract_checks.changes.grades import Grade
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.fingerprint import fingerprint, promoted
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.operations.log import Record

_NOT_YET = "no version was promoted yet"


def _moves(contract: Contract, evidence: Evidence) -> list[Record]:
    """Promotions and rollbacks of the feature's versions, oldest first."""
    version_of = f"{contract.overview.feature_name}_v"
    moves = (r for r in evidence.operations.records if r.job in ("promotion", "rollback"))
    return [r for r in moves if r.passed and r.subject.startswith(version_of)]


def _promotions(contract: Contract, evidence: Evidence) -> list[Record]:
    return [r for r in _moves(contract, evidence) if r.job == "promotion"]


@check("§7 semantic drift checks", held_in="events, offline, operations")
def probes_are_answered_as_when_promoted(
    contract: Contract, evidence: Evidence
) -> Iterator[Verdict]:
    """The code answers the probes as it did when the last version was promoted."""
    promotions = _promotions(contract, evidence)
    if not promotions:
        yield Verdict(True, "the answers of the last promoted version", _NOT_YET)
        return
    then = promotions[-1].figures["semantics"]
    now = fingerprint(contract, evidence.view(contract.view_name), evidence.probes)["semantics"]
    asked_again = sorted(set(then) & set(now))
    if not asked_again:
        raise MissingEvidence(
            f"no probe that {promotions[-1].subject} was promoted with is asked any more"
        )
    changed = [now[i]["probe"] for i in asked_again if then[i]["got"] != now[i]["got"]]
    another = promotions[-1].subject != contract.view_name
    yield Verdict(
        another or not changed,
        f"{len(asked_again)} probes answered as when {promotions[-1].subject} was promoted"
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
    mine = [r for r in _promotions(contract, evidence) if r.subject == contract.view_name]
    if not mine:
        yield Verdict(True, "as when it was promoted", _NOT_YET)
        return
    now = fingerprint(contract, evidence.view(contract.view_name), evidence.probes)
    # The first promotion fixed it: promoting anew does not make a version another one.
    for part in ("document", "schema", "semantics"):
        same = mine[0].figures[part] == now[part]
        yield Verdict(
            same,
            f"{part} as promoted at {mine[0].at.isoformat()}",
            "the same" if same else "changed: make it a new version",
            int(not same),
        )


@check("§10 breaking changes require new version", held_in="document, operations")
def breaking_changes_have_a_new_version(
    contract: Contract, evidence: Evidence
) -> Iterator[Verdict]:
    """No breaking change was made to the document of a version since it was promoted."""
    if not contract.versioning.breaking_versioned:
        yield Verdict(True, "breaking changes need no version", "not asked for")
        return
    mine = [r for r in _promotions(contract, evidence) if r.subject == contract.view_name]
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
    """After its successor's release a version is served for the promised time."""
    plan, feature = contract.versioning.deprecation, contract.overview.feature_name
    old, new = f"{feature}_{plan.version}", f"{feature}_{plan.successor}"
    releases = [r for r in _promotions(contract, evidence) if r.subject == new]
    if not releases:
        yield Verdict(True, f"{old} supported", f"{new} is not released yet")
        return
    until = releases[0].at + plan.support
    if evidence.as_of >= until:
        yield Verdict(True, f"{old} supported until {until.date()}", "that time is over")
        return
    view = evidence.registry.views.get(old)
    pinned = old in evidence.registry.services.get(old, {})
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
        yield Verdict(
            kept, f"{old} {what} until {until.date()}", "yes" if kept else "no", int(not kept)
        )


@check("§10 rollback plan", held_in="registry, operations")
def the_version_before_can_be_served(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The pointer serves what the log says, and the version before is ready to take over."""
    moves = _moves(contract, evidence)
    if not moves:
        yield Verdict(True, "a version to go back to", _NOT_YET)
        return
    pointer, served = contract.overview.feature_name, moves[-1].subject
    pointed = tuple(sorted(evidence.registry.services.get(pointer, {})))
    yield Verdict(
        pointed == (served,),
        f"service {pointer} points at {served}, as {moves[-1].job} left it",
        ", ".join(pointed) or "nothing",
        int(pointed != (served,)),
    )
    earlier = [r.subject for r in _promotions(contract, evidence) if r.subject != served]
    if not earlier:
        yield Verdict(True, "the version before is ready", f"none before {served}")
        return
    view = evidence.registry.views.get(earlier[-1])
    ready = view is not None and view.materialized_to is not None
    yield Verdict(
        ready,
        f"{earlier[-1]} registered and materialized",
        "yes" if ready else "no",
        int(not ready),
    )
