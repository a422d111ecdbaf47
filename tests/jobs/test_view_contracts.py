"""A service of several views is read under the contract of every one of them, and on record so."""

import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from feast_copy import ROOT
from next_version import NEXT_DOCUMENT, V1, V2, edit, write_document

from contract_checks.language.loader import load
from contract_checks.operations.log import ADDRESS_VARIABLE, OperationsLog, Record
from jobs import view_contracts
from jobs.training import build_training_set
from storage.errors import RefusedError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
V3 = "customer_profile_v3"


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """v1 for two consumers, and v2 for one of them alone."""
    shutil.copytree(ROOT / "contracts", tmp_path / "contracts")
    write_document(tmp_path)
    edit(tmp_path / NEXT_DOCUMENT, {"ML Platform, Marketing Analytics": "ML Platform"})
    monkeypatch.setattr(view_contracts, "ROOT", tmp_path)
    monkeypatch.setenv(ADDRESS_VARIABLE, f"sqlite:///{tmp_path / 'operations.db'}")
    return tmp_path


def records(repository: Path) -> list[Record]:
    log = OperationsLog(f"sqlite:///{repository / 'operations.db'}")
    return sorted(log.records(NOON), key=lambda record: record.subject)


def read(repository: Path, consumer: str, *views: str, under: str = V1) -> list[str]:
    """The views beside the named one, as a service of those views is read."""
    projections = [SimpleNamespace(name=view) for view in views]
    service = SimpleNamespace(feature_view_projections=projections)
    store: Any = SimpleNamespace(get_feature_service=lambda *_, **__: service)
    contract = load(repository / "contracts" / f"{under}.md")
    with build_training_set._others(store, "both", contract, consumer, NOON) as told:
        for each in told:
            each["rows"] = 7
    return [record.subject for record in records(repository)]


@pytest.mark.parametrize(
    ("views", "under", "others"),
    [
        ([V1], V1, []),
        ([V1, V2], V1, [V2]),
        ([V2, V1], V1, [V2]),
        ([V1, V2], V2, [V1]),
        ([V1, V2, V2, V1], V1, [V2]),  # a service may show one view twice
    ],
)
def test_whom_every_contract_approves_reads_and_is_on_record_for_each(
    views: list[str], under: str, others: list[str], repository: Path
) -> None:
    assert read(repository, "ml platform", *views, under=under) == others
    for record in records(repository):
        assert record.passed
        assert record.figures == {"consumer": "ml platform", "service": "both", "rows": 7}


@pytest.mark.parametrize("views", [[V1, V2], [V2, V1]])
def test_whom_one_contract_does_not_approve_is_refused_and_on_record(
    views: list[str], repository: Path
) -> None:
    with pytest.raises(RefusedError, match=f"Marketing Analytics may not read {V2}: its approved"):
        read(repository, "Marketing Analytics", *views)
    (record,) = records(repository)
    assert (record.subject, record.passed) == (V2, False)
    assert record.figures["reason"] == "not an approved consumer"
    assert record.figures["consumer"] == "Marketing Analytics"
    assert "rows" not in record.figures


def test_a_view_without_a_contract_is_read_by_nobody(repository: Path) -> None:
    with pytest.raises(RefusedError, match=f"no valid contract in contracts/ of {V3}, which"):
        read(repository, "ML Platform", V1, V3)
    assert records(repository) == []


def test_a_document_that_is_not_valid_approves_nobody(repository: Path) -> None:
    edit(repository / NEXT_DOCUMENT, {"**Version:** v2": "**Version:** two"})
    with pytest.raises(RefusedError, match=f"no valid contract in contracts/ of {V2}"):
        read(repository, "ML Platform", V1, V2)


def test_two_documents_of_one_view_approve_nobody(repository: Path) -> None:
    document = repository / NEXT_DOCUMENT
    shutil.copy(document, document.with_name("another.md"))
    shutil.copy(document.with_suffix(".probes.toml"), document.with_name("another.probes.toml"))
    with pytest.raises(RefusedError, match=f"2 valid contracts in contracts/ of {V2}"):
        read(repository, "ML Platform", V1, V2)


def test_a_service_of_other_views_is_read_under_their_own(repository: Path) -> None:
    with pytest.raises(RefusedError, match=f"service both serves {V2}, and .* is of {V1}: name"):
        read(repository, "ML Platform", V2)
