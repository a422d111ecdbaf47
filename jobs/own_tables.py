"""Whose tables the jobs work on: those of one feature, whatever contract a job is given."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.language.sentence import spell
from feature_pipeline.change_log.event_columns import FEATURES, KEYS
from jobs.repository import CONTRACT, EVENTS, HISTORY, WAREHOUSE, NotBegunError

KEY, EVENT_TIMESTAMP = KEYS[:2]
FEATURE = re.sub(r"_v[0-9]+$", "", CONTRACT.stem)
SOURCE, OFFLINE = (f"{WAREHOUSE.name}.{table.stem}" for table in (EVENTS, HISTORY))
# The names of the columns say it, and models read them by these names.
(LOOKBACK,) = {timedelta(days=int(name.rpartition("_")[2].rstrip("d"))) for name in FEATURES}


def contract_of_own_tables(document: Path) -> Contract:
    """The contract in `document`, which is of the tables that the jobs work on.

    Raises:
        InvalidContract: the document cannot be read.
        NotBegunError: it promises something of other tables, or other things of these.
    """
    contract = load(document)
    refuse_other_tables(contract)
    return contract


def contract_of_own_columns(document: Path) -> Contract:
    """The contract in `document`, whose features are what the computation writes, to any place.

    Raises:
        InvalidContract: the document cannot be read.
        NotBegunError: its features are others, or of another look-back or feature.
    """
    contract = load(document)
    _refuse(contract, _other_tables(contract))
    return contract


def contract_to_read_under(document: Path) -> Contract:
    """The contract in `document`: of any feature, for each is read by the view of its own.

    Raises:
        InvalidContract: the document cannot be read.
        NotBegunError: it is of these tables' feature, and promises other things than they hold.
    """
    contract = load(document)
    if contract.overview.feature_name == FEATURE:
        refuse_other_tables(contract)
    return contract


def refuse_other_tables(contract: Contract) -> None:
    """Make sure that the contract is of the tables that the jobs work on.

    Raises:
        NotBegunError: it is not.
    """
    _refuse(contract, differences(contract))


def _refuse(contract: Contract, differing: Iterator[str]) -> None:
    if told := "; ".join(differing):
        raise NotBegunError(
            f"{contract.path} is no contract of the tables that this job works on, {SOURCE} and "
            f"{OFFLINE} of {FEATURE}: {told}. Nothing was done. Name a document of {FEATURE} with "
            "--contract, or run the jobs of that feature's own"
        )


def differences(contract: Contract) -> Iterator[str]:
    """What the contract says of its tables that is not so of these, clause by clause."""
    others = list(_other_tables(contract))
    yield from others
    if not others and contract.path.resolve() != CONTRACT and CONTRACT.is_file():
        yield from _other_rows(contract, load(CONTRACT))


def _other_tables(contract: Contract) -> Iterator[str]:
    promised: dict[str, tuple[str, str]] = {
        "§1 feature name": (contract.overview.feature_name, FEATURE),
        "§2 primary entity": (contract.entity.primary_entity, KEY),
        "§2 join keys": (", ".join(contract.entity.join_keys), KEY),
        "§3 event timestamp field": (contract.time.event_timestamp, EVENT_TIMESTAMP),
        "§3 lookback window": (spell(contract.time.lookback), spell(LOOKBACK)),
        "§4 source system(s)": (", ".join(contract.source.systems), SOURCE),
        "§8 offline computation path": (contract.parity.offline_path, OFFLINE),
    }
    for clause, (says, holds) in promised.items():
        if says != holds:
            yield f"{clause} is {says}, theirs is {holds}"
    if others := sorted(set(contract.features) - set(FEATURES)):
        yield f"§5.2 has {', '.join(others)}, which they do not hold"


def _other_rows(contract: Contract, first: Contract) -> Iterator[str]:
    """What would make other rows of the same events than the version that made the log."""
    lateness, zone = contract.time.allowed_lateness, contract.time.timezone
    if lateness != first.time.allowed_lateness:
        yield (
            f"§3 allowed lateness is {spell(lateness)}, in {first.path.name} "
            f"{spell(first.time.allowed_lateness)}"
        )
    if zone != first.time.timezone:
        yield f"§3 timestamp timezone is {zone}, in {first.path.name} {first.time.timezone}"
