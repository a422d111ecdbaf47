"""A training set's receipt: what it holds, and what it was made of, each by its digest."""

import hmac
import json
from datetime import datetime
from hashlib import sha256
from io import RawIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from contract_checks.digest import digest_of, digest_of_file
from contract_checks.language.contract import Contract
from jobs.repository import ROOT

if TYPE_CHECKING:
    from feature_access.training.training_set import TrainingSet


def receipt_beside(training_set: Path) -> Path:
    """Where the receipt of a training set lies."""
    return training_set.with_name(f"{training_set.stem}.receipt.json")


def receipt_text(
    contract: Contract,
    as_of: datetime,
    asked: dict[str, str | bool],
    entities_digest: str,
    built: "TrainingSet",
    content_digest: str,
) -> str:
    """The one text of this receipt; `asked` is who asked for what, in the job's own words.

    Raises:
        MissingEvidence: the registry cannot be read.
    """
    # Imported late: it looks into every corner that a gate's receipt is of.
    from contract_checks.evidence.facts import there
    from contract_checks.evidence.registry import read_registry
    from contract_checks.receipts.inputs import declarations, versions

    rows = built.encoded.num_rows
    declared = declarations(there(read_registry(ROOT)), ROOT, contract.view_name)
    content = {
        "as_of": as_of.isoformat(),
        "asked": asked,
        "content": content_digest,
        "contract": digest_of_file(contract.path),
        "entities": entities_digest,
        "match_rate": {view: n / rows if rows else None for view, n in built.matched.items()},
        "known_up_to": built.known_up_to.isoformat() if built.known_up_to else None,
        "left_out": built.left_out,
        "matched": built.matched,
        "registry": digest_of(declared),
        "rows": rows,
        "versions": versions(),
        "view": contract.view_name,
    }
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def keyed_digest(rows: pa.Table, hash_key: bytes) -> str:
    """The digest of a table's rows, from whatever file: HMAC-SHA-256, 64 hexadecimal digits.

    Keyed as identifiers are (§9): from a plain digest of a few rows anyone could tell, by trying,
    whose they are.
    """
    digest = hmac.new(hash_key, digestmod=sha256)
    pq.write_table(rows.combine_chunks().replace_schema_metadata(None), _Into(digest))
    return digest.hexdigest()


class _Into(RawIOBase):
    """A file of which only the digest is kept."""

    def __init__(self, digest: hmac.HMAC) -> None:
        self._digest = digest

    def writable(self) -> bool:
        return True

    def write(self, written: Any) -> int:
        self._digest.update(written)
        return len(written)
