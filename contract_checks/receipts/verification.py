"""Hold a receipt against what there is now, item by item."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from contract_checks.digest import digest_of, digest_of_file
from contract_checks.evidence import operations, registry
from contract_checks.evidence.facts import MissingEvidence, there
from contract_checks.receipts.inputs import (
    data_now,
    declarations,
    file_at,
    is_in_warehouse,
    records_of,
    versions,
)
from contract_checks.receipts.receipt import File, Receipt, Records, read_receipt

_Found = TypeVar("_Found")


@dataclass(frozen=True)
class Item:
    """One thing a receipt names: what it was, and what it is."""

    what: str
    expected: str
    found: str

    @property
    def is_same(self) -> bool:
        """Whether it is as it was."""
        return self.expected == self.found


def verify(path: Path, repository: Path) -> tuple[Item, ...]:
    """Every item of the receipt at a path, what could not be read among them.

    Raises:
        NoReceipt: there is no file, or it is no receipt at all.
    """
    receipt = read_receipt(path)
    return tuple(_items(path, receipt, repository))


def _items(path: Path, receipt: Receipt, repository: Path) -> Iterator[Item]:
    sealed = Receipt.sealed(**{name: value for name, value in receipt if name != "digest"})
    text = hashlib.sha256(sealed.text.encode()).hexdigest()
    yield Item("receipt", f"sha256 {text}", f"sha256 {digest_of_file(path)}")
    for role, file in _files(receipt):
        found = _now(partial(file_at, repository / file.path, repository), _content)
        yield Item(f"{role} {file.path}", _content(file), found)
    for file in receipt.data:
        found = _now(partial(_data, file, receipt, repository), _content)
        yield Item(f"data {file.path}", _content(file), found)
    found = _now(partial(_registry, receipt, repository), _digest)
    yield Item("registry", _digest(receipt.registry), found)
    found = _now(partial(_records, receipt, repository), _counted)
    yield Item("records of operations", _counted(receipt.records), found)
    now = versions()
    for name in sorted(receipt.versions | now):
        was, is_now = (known.get(name, "none") for known in (receipt.versions, now))
        yield Item(f"version of {name}", was, is_now)


def _files(receipt: Receipt) -> Iterator[tuple[str, File]]:
    yield "report", receipt.report
    yield "contract", receipt.contract
    yield "signatures", receipt.signatures
    yield "probes", receipt.probes


def _now(read: Callable[[], _Found], told: Callable[[_Found], str]) -> str:
    """What is there now, or why that cannot be said; either way the receipt says something else."""
    try:
        return told(read())
    except FileNotFoundError:
        return "no such file"
    except MissingEvidence as missing:
        return str(missing)
    except Exception as error:  # what a damaged database raises is its reader's affair
        reason = (str(error) or "no reason given").splitlines()[0]
        return f"unreadable: {type(error).__name__}: {reason}"


def _data(file: File, receipt: Receipt, repository: Path) -> File:
    view = None
    if is_in_warehouse(file):
        view = there(registry.read_registry(repository)).views.get(receipt.view)
    return data_now(file, view, repository)


def _registry(receipt: Receipt, repository: Path) -> str:
    declared = there(registry.read_registry(repository))
    return digest_of(declarations(declared, repository, receipt.view))


def _records(receipt: Receipt, repository: Path) -> Records:
    """As many as there were, oldest first: what was added later, as of no earlier time, follows."""
    log = operations.read_operations(repository, receipt.as_of)
    if isinstance(log, MissingEvidence):
        raise log
    return records_of(log.records[: receipt.records.count])


def _content(file: File) -> str:
    return f"sha256 {file.sha256}, {file.size:,} bytes"


def _digest(digest: str) -> str:
    return f"sha256 {digest}"


def _counted(records: Records) -> str:
    return f"{records.count:,} records, sha256 {records.digest}"
