"""What makes a served version the version it is (§10): document, schema and semantics.

Each part is a mapping of JSON's values, so that what changed can be named.
"""

from collections.abc import Mapping
from typing import Any

from contract_checks.digest import digest_of
from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.facts import ProbeRun
from contract_checks.language.contract import Contract

_LIFE = {
    *("status", "changelog", "sign_off"),
    *("owner", "steward", "use_cases", "consumers", "lineage_link", "alert_channel"),
}
"""Terms that tell of a version's life, who answers for it and who uses it: they may change in it.
Whether a change of them breaks a promise, a reader's approval say, is another clause's to judge."""


def fingerprint(contract: Contract, view: RegisteredView, probes: ProbeRun) -> dict[str, Any]:
    """What a promotion puts on record, and what every later judgement is held against."""
    return {"terms": contract.terms(), "schema": schema(view), "semantics": semantics(probes)}


def promises(terms: Mapping[str, Any]) -> dict[str, object]:
    """What a document promises, by term such as `quality.freshness`: its terms but for its life."""
    return {
        f"{group}.{name}": value
        for group, named in terms.items()
        if group not in _LIFE
        for name, value in named.items()
        if name not in _LIFE
    }


def schema(view: RegisteredView) -> dict[str, object]:
    """What readers see: fields with types and defaults, keys, ttl, timestamp fields."""
    fields = {f"field {field.name}": [field.dtype, field.default] for field in view.fields}
    entities = {f"entity {e.name}": [list(e.join_keys), e.dtype] for e in view.entities}
    return {
        **fields,
        **entities,
        "ttl": view.ttl.total_seconds(),
        "timestamp field": view.timestamp_field,
        "created timestamp field": view.created_timestamp_field,
    }


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
