"""Canary materialization: a few customers, materialized apart from what is served, read back."""

from datetime import datetime
from typing import TYPE_CHECKING

from contract_checks.findings import Outcome
from contract_checks.language.contract import Contract
from contract_checks.measures.comparison import Comparison, compare
from jobs.rehearsal.sampling import features_of, known_by, offline_answers, pinned_service, sampled
from jobs.reporting.recording import digests_of, recorded

if TYPE_CHECKING:
    from feast import FeatureStore


def canary(
    store: "FeatureStore", contract: Contract, as_of: datetime, customers: int = 200
) -> Comparison:
    """Compare the slice with the last offline values known by `as_of`, and leave a record.

    Raises:
        RefusedError: nothing is registered, or there is no entity to materialize.
    """
    from feature_pipeline.online.canary import read_back

    service, at = pinned_service(store, contract), known_by(store, contract, as_of)
    ttl = store.get_feature_view(contract.view_name).ttl  # older rows are not materialized
    keys = sampled(store, contract, at, customers, *([at - ttl] if ttl else []))
    with recorded("canary", contract.view_name, as_of) as figures:
        figures["files"] = digests_of("feature_access", "feature_pipeline", "storage")
        compared = compare(
            offline_answers(store, service, keys, at),
            read_back(store, contract.view_name, keys, at),
            contract.entity.join_keys,
            features_of(service),
        )
        figures |= {"customers": compared.rows, "differing": compared.differing}
        figures["passed"] = outcome(compared) is Outcome.KEPT
    return compared


def outcome(compared: Comparison) -> Outcome:
    """What is copied is copied exactly: a single difference breaks it."""
    return Outcome.BROKEN if compared.differing else Outcome.KEPT
