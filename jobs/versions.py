"""The versions of a feature that one change log serves: what its jobs bring along, and no other."""

from typing import TYPE_CHECKING

from contract_checks.language.contract import Contract
from jobs.own_tables import differences
from jobs.repository import NotBegunError
from jobs.view_contracts import contracts_beside

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView
    from feast.data_source import DataSource


def versions_of_log(store: "FeatureStore", contract: Contract) -> "list[FeatureView]":
    """The registered versions of the feature that read what the contract's own view reads.

    Other views of the project are other teams', and a version with a log of its own has a refresh
    of its own: to materialize either beside this log would pass over what comes to it later. A
    version whose document names other tables than this log, or another look-back, has no part in
    it either, whatever its view reads: no record may say that its promise was worked for.

    Raises:
        NotBegunError: the contract's view is not registered.
    """
    views = {v.name: v for v in store.list_batch_feature_views() if contract.has_version(v.name)}
    if contract.view_name not in views:
        raise NotBegunError(
            f"no feature view {contract.view_name} is registered: run `feast apply` first"
        )
    log = _place(views[contract.view_name].batch_source)
    of_log = [view for view in views.values() if _place(view.batch_source) == log]
    if len(of_log) == 1:
        return of_log
    others = {beside.view_name for beside in contracts_beside(contract) if any(differences(beside))}
    return [view for view in of_log if view.name not in others]


def _place(source: "DataSource") -> str:
    """A file's path; a table, or the query that stands for one."""
    return str(getattr(source, "path", None) or source.get_table_query_string())
