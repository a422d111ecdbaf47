"""§1–§4, §8, §9: does the registry declare what the document promises?"""

from collections.abc import Callable, Iterator
from datetime import timedelta

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.declared import RegisteredService
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.judge import Verdict, check
from contract_checks.language import values
from contract_checks.language.absence import is_none
from contract_checks.language.contract import Contract
from contract_checks.language.form import CLAUSES
from contract_checks.language.sentence import Unreadable, spell


def _same(expected: object, got: object, what: str) -> Verdict:
    return Verdict(
        expected == got, f"{what} = {_shown(expected)}", _shown(got), int(expected != got)
    )


def _shown(value: object) -> str:
    if isinstance(value, timedelta):
        return spell(value)
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return str(value)


# The services that a contract of each status must be served by.
_SERVED_BY: dict[str, Callable[[str, str], tuple[str, ...]]] = {
    "draft": lambda pinned, pointer: (),
    "active": lambda pinned, pointer: (pinned, pointer),
    "deprecated": lambda pinned, pointer: (pinned,),
    "retired": lambda pinned, pointer: (),
}


def _is_served(contract: Contract) -> bool:
    return contract.overview.status in ("active", "deprecated")


@check("§1 feature name", held_in="registry")
def feature_is_registered(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """A feature view carries the feature's name and version; services serve all its features."""
    pinned, pointer = contract.view_name, contract.overview.feature_name
    views, services = evidence.registry.views, evidence.registry.services
    yield Verdict(pinned in views, f"feature view {pinned}", _shown(tuple(sorted(views))))
    for service in _SERVED_BY[contract.overview.status](pinned, pointer):
        yield Verdict(
            service in services, f"feature service {service}", _shown(tuple(sorted(services)))
        )
    for service in (pinned, pointer):
        if service in services and pinned in services[service].views:
            features = services[service].views[pinned]
            yield _same(contract.features, features, f"features of {pinned} in service {service}")
    if pinned in services:
        yield _same((pinned,), tuple(services[pinned].views), f"views of service {pinned}")


@check("§1 status", held_in="registry")
def only_active_contracts_are_served(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The services hold the view as its status allows: a draft in none, a deprecated one pinned."""
    pinned, pointer = contract.view_name, contract.overview.feature_name
    allowed = _SERVED_BY[contract.overview.status](pinned, pointer)
    serving = tuple(
        sorted(name for name, s in evidence.registry.services.items() if pinned in s.views)
    )
    outside = tuple(
        name for name in serving if contract.overview.status != "active" and name not in allowed
    )
    if not _is_served(contract) and pinned in evidence.registry.views:
        yield _same(False, evidence.view(pinned).online, f"{pinned} online")
    yield Verdict(
        not outside,
        f"a contract that is {contract.overview.status} is served by "
        + ("any service" if contract.overview.status == "active" else _shown(allowed)),
        _shown(serving),
        len(outside),
        outside,
    )


@check("§1 owner", held_in="registry")
def owner_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The owner of the feature view and its own services is the contract's; entities have one."""
    view, owner = served_view(contract, evidence), contract.overview.owner
    yield _same(owner, view.owner, "owner")
    for entity in view.entities:  # which features of several owners may share
        told = entity.owner or "none"
        yield Verdict(bool(entity.owner), f"entity {entity.name} has an owner", told)
    for name, service in _own_services(contract, evidence):
        yield _same(owner, service.owner, f"owner of service {name}")


@check("§1 business purpose", held_in="registry")
def purpose_is_described(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """View, entities and services tell whoever finds them in the registry what they are for."""
    view = served_view(contract, evidence)
    described = {f"feature view {view.name}": view.description}
    described |= {f"entity {entity.name}": entity.description for entity in view.entities}
    described |= {
        f"service {name}": service.description
        for name, service in _own_services(contract, evidence)
    }
    without = tuple(what for what, text in described.items() if not text.strip())
    yield Verdict(
        not without,
        "a description of every object",
        f"{len(described) - len(without)} of {len(described)} have one",
        len(without),
        without,
    )


def _own_services(
    contract: Contract, evidence: Evidence
) -> Iterator[tuple[str, RegisteredService]]:
    """The version's own service and the pointer, as far as they are registered."""
    for name in (contract.view_name, contract.overview.feature_name):
        if name in evidence.registry.services:
            yield name, evidence.registry.services[name]


@check("§2 primary entity", held_in="registry")
def entity_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The feature view is about the contract's entity and no other."""
    names = tuple(entity.name for entity in served_view(contract, evidence).entities)
    yield _same((contract.entity.primary_entity,), names[:1], "first entity")
    yield _same(len(contract.entity.join_keys), len(names), "entities, one per join key")


@check("§2 join keys", held_in="registry")
def join_keys_are_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The entities' join keys are the contract's, also where a service serves the view."""
    entities = served_view(contract, evidence).entities
    keys = tuple(key for entity in entities for key in entity.join_keys)
    yield _same(tuple(sorted(contract.entity.join_keys)), tuple(sorted(keys)), "join keys")
    for name, service in _own_services(contract, evidence):
        if service.renamed:
            yield Verdict(
                False,
                f"service {name} serves views by their own names and join keys",
                f"others for {_shown(service.renamed)}",
                len(service.renamed),
            )


@check("§2 join failure policy", held_in="registry")
def join_failure_has_defaults(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """Where the policy is "default", every feature declares one."""
    fields = served_view(contract, evidence).fields
    without = tuple(field.name for field in fields if field.default is None)
    wanted = contract.entity.join_failure_policy == "default"
    yield Verdict(
        not (wanted and without),
        "a default for every feature" if wanted else "no defaults needed",
        f"{len(fields) - len(without)} of {len(fields)} features declare one",
        len(without) if wanted else 0,
        without if wanted else (),
    )


@check("§3 event timestamp field", held_in="registry")
def event_timestamp_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The source is read by the contract's event timestamp."""
    view = served_view(contract, evidence)
    yield _same(contract.time.event_timestamp, view.timestamp_field, "timestamp field")


@check("§3 lookback window", held_in="registry")
def ttl_is_the_lookback(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The view's ttl is the look-back window: a value is never served beyond it."""
    lookback = contract.time.lookback
    yield _same(lookback, served_view(contract, evidence).ttl, "ttl")
    windows = [(f, contract.own(f).window) for f in contract.features]
    if apart := [f"{f} ({spell(own)})" for f, own in windows if own and own != lookback]:
        raise MissingEvidence(
            f"windows of single features are not measured yet: {', '.join(apart)}"
        )


@check("§4 source owner", held_in="registry")
def source_owner_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The owner of the table that the view reads is the source's."""
    yield _same(contract.source.owner, served_view(contract, evidence).source_owner, "owner")


@check("§8 offline computation path", held_in="registry")
def offline_path_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The view reads the contract's offline table."""
    yield _same(contract.parity.offline_path, served_view(contract, evidence).source, "source")


@check("§8 online computation path", held_in="registry")
def online_path_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """`<Feast project>.<feature view>` is the online path; online, if the status has it served."""
    view = served_view(contract, evidence)
    yield _same(contract.parity.online_path, f"{evidence.registry.project}.{view.name}", "path")
    if _is_served(contract):
        yield _same(True, view.online, "online")


def _columns(text: str) -> tuple[str, ...]:
    return () if is_none(text) else values.identifiers(text)


_READERS = {clause.id: clause.reader for clause in CLAUSES} | {"§9 pii": _columns}

# The rest of what the registry declares stands in the view's tags, read as the document is read.
_Tag = tuple[str, str, Callable[[Contract], object]]
_TAGS: tuple[_Tag, ...] = (
    ("§1 version", "version", lambda c: c.overview.version),
    ("§1 status", "status", lambda c: c.overview.status),
    ("§1 steward", "steward", lambda c: c.overview.steward),
    ("§1 model", "use_cases", lambda c: c.overview.use_cases),
    ("§4 source system", "source", lambda c: c.source.systems),
    ("§4 source owner", "source_owner", lambda c: c.source.owner),
    ("§4 refresh cadence", "refresh_cadence", lambda c: c.source.refresh_cadence),
    ("§4 upstream dependencies", "upstream", lambda c: c.source.upstream),
    ("§4 lineage link", "lineage", lambda c: c.source.lineage_link),
    ("§9 data classification", "classification", lambda c: c.privacy.classification),
    ("§9 pii", "pii", lambda c: c.privacy.personal_data.columns),
    ("§9 masking", "masking", lambda c: c.privacy.masking),
    ("§9 retention policy", "retention", lambda c: c.privacy.retention),
    ("§9 approved consumers", "approved_consumers", lambda c: c.privacy.consumers),
)


def _bind_tag(clause: str, tag: str, promised: Callable[[Contract], object]) -> None:
    def judge(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
        expected = promised(contract)
        text = served_view(contract, evidence).tags.get(tag, "")
        try:
            same = _READERS[clause](text) == expected
        except Unreadable:
            same = False
        wanted = f"tag {tag} = {contract.texts[clause]}"
        yield Verdict(same, wanted, text or "no such tag", int(not same))

    judge.__name__ = f"{tag}_is_tagged"
    judge.__doc__ = f"The feature view's tag `{tag}` says what the clause says."
    check(clause, held_in="registry")(judge)


for _tag in _TAGS:
    _bind_tag(*_tag)
