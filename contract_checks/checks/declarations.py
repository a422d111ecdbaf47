"""§1–§4, §8, §9: does the registry declare what the document promises?"""

from collections.abc import Callable, Iterator
from datetime import timedelta

from contract_checks.checks.served_view import served_view
from contract_checks.evidence.evidence import Evidence
from contract_checks.judge import Verdict, check
from contract_checks.language import values
from contract_checks.language.contract import Contract
from contract_checks.language.phrases import masking, refresh
from contract_checks.language.sentence import Unreadable, is_none, spell


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
    for service, features in ((s, services.get(s, {}).get(pinned)) for s in (pinned, pointer)):
        if features is not None:
            yield _same(contract.features, features, f"features of {pinned} in service {service}")
    if pinned in services:
        yield _same((pinned,), tuple(services[pinned]), f"views of service {pinned}")


@check("§1 status", held_in="registry")
def only_active_contracts_are_served(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The services hold the view as its status allows: a draft in none, a deprecated one pinned."""
    pinned, pointer = contract.view_name, contract.overview.feature_name
    allowed = _SERVED_BY[contract.overview.status](pinned, pointer)
    serving = tuple(
        sorted(name for name, views in evidence.registry.services.items() if pinned in views)
    )
    outside = tuple(
        name for name in serving if contract.overview.status != "active" and name not in allowed
    )
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
    """The feature view's owner is the contract's."""
    yield _same(contract.overview.owner, served_view(contract, evidence).owner, "owner")


@check("§2 primary entity", held_in="registry")
def entity_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The feature view is about the contract's entity and no other."""
    names = tuple(entity.name for entity in served_view(contract, evidence).entities)
    yield _same((contract.entity.primary_entity,), names[:1], "first entity")
    yield _same(len(contract.entity.join_keys), len(names), "entities, one per join key")


@check("§2 join keys", held_in="registry")
def join_keys_are_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The entities' join keys are the contract's."""
    entities = served_view(contract, evidence).entities
    keys = tuple(key for entity in entities for key in entity.join_keys)
    yield _same(tuple(sorted(contract.entity.join_keys)), tuple(sorted(keys)), "join keys")


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
    yield _same(contract.time.lookback, served_view(contract, evidence).ttl, "ttl")


@check("§8 offline computation path", held_in="registry")
def offline_path_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The view reads the contract's offline table."""
    yield _same(contract.parity.offline_path, served_view(contract, evidence).source, "source")


@check("§8 online computation path", held_in="registry")
def online_path_is_declared(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """`<Feast project>.<feature view>` is the contract's online path, and it is served online."""
    view = served_view(contract, evidence)
    yield _same(contract.parity.online_path, f"{evidence.registry.project}.{view.name}", "path")
    yield _same(True, view.online, "online")


def _columns(text: str) -> tuple[str, ...]:
    return () if is_none(text) else values.identifiers(text)


# The rest of what the registry declares stands in the view's tags, read as the document is read.
_Tag = tuple[str, str, Callable[[str], object], Callable[[Contract], object]]
_TAGS: tuple[_Tag, ...] = (
    ("§1 version", "version", values.version, lambda c: c.overview.version),
    ("§1 status", "status", str.casefold, lambda c: c.overview.status),
    ("§1 steward", "steward", values.name, lambda c: c.overview.steward),
    ("§1 model", "use_cases", values.names, lambda c: c.overview.use_cases),
    ("§4 source system", "source", values.tables, lambda c: c.source.systems),
    ("§4 source owner", "source_owner", values.name, lambda c: c.source.owner),
    ("§4 refresh cadence", "refresh_cadence", refresh, lambda c: c.source.refresh_cadence),
    ("§4 upstream dependencies", "upstream", values.jobs, lambda c: c.source.upstream),
    ("§4 lineage link", "lineage", values.url, lambda c: c.source.lineage_link),
    (
        "§9 data classification",
        "classification",
        str.casefold,
        lambda c: c.privacy.classification,
    ),
    ("§9 pii", "pii", _columns, lambda c: c.privacy.personal_data.columns),
    ("§9 masking", "masking", masking, lambda c: c.privacy.masking),
    ("§9 retention policy", "retention", values.duration, lambda c: c.privacy.retention),
    ("§9 approved consumers", "approved_consumers", values.names, lambda c: c.privacy.consumers),
)


def _bind_tag(
    clause: str,
    tag: str,
    read: Callable[[str], object],
    promised: Callable[[Contract], object],
) -> None:
    def judge(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
        expected = promised(contract)
        text = served_view(contract, evidence).tags.get(tag, "")
        try:
            same = read(text) == expected
        except Unreadable:
            same = False
        wanted = f"tag {tag} = {contract.texts[clause]}"
        yield Verdict(same, wanted, text or "no such tag", int(not same))

    judge.__name__ = f"{tag}_is_tagged"
    judge.__doc__ = f"The feature view's tag `{tag}` says what the clause says."
    check(clause, held_in="registry")(judge)


for _tag in _TAGS:
    _bind_tag(*_tag)
