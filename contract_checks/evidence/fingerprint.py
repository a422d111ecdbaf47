"""What makes a served version the version it is (§10): document, schema and semantics."""

from typing import Any

from contract_checks.digest import digest_of
from contract_checks.evidence.facts import ProbeRun, RegisteredView
from contract_checks.language.contract import Contract

_GOVERNANCE = ("status", "changelog", "sign_off")
"""Terms that tell of a version's life, and so change during it."""


def fingerprint(contract: Contract, view: RegisteredView, probes: ProbeRun) -> dict[str, Any]:
    """What a promotion puts on record, and what every later judgement is held against."""
    return {
        "document": document(contract),
        "schema": schema(view),
        "semantics": semantics(probes),
        "terms": contract.terms(),
    }


def document(contract: Contract) -> str:
    """Digest of what the document promises; its wording, approvals and life are not part of it."""
    return digest_of(promises(contract))


def promises(contract: Contract) -> dict[str, dict[str, object]]:
    """The terms of the document, but for those that tell of its life."""
    return {
        group: {name: value for name, value in terms.items() if name not in _GOVERNANCE}
        for group, terms in contract.terms().items()
        if group not in _GOVERNANCE
    }


def schema(view: RegisteredView) -> str:
    """Digest of what readers see: fields with types and defaults, keys, ttl, timestamp field."""
    return digest_of(
        {
            "fields": [[field.name, field.dtype, field.default] for field in view.fields],
            "entities": [[e.name, list(e.join_keys), e.dtype] for e in view.entities],
            "ttl": view.ttl.total_seconds(),
            "timestamp_field": view.timestamp_field,
        }
    )


def semantics(probes: ProbeRun) -> dict[str, dict[str, object]]:
    """The code's own answers, by probe; a probe whose events change is another one."""
    return {
        digest_of([str(event) for event in answer.probe.events])[:16]: {
            "probe": f"{answer.probe.clause}: {answer.probe.name}",
            "got": dict(answer.got),
        }
        for answer in probes.answers
    }


def promoted(terms: dict[str, Any], contract: Contract) -> Contract:
    """The contract that was promoted, from the terms on record; its words are not kept."""
    words = {"prose": {}, "lines": {}, "texts": {}, "path": contract.path}
    return Contract.model_validate({**terms, **words})
