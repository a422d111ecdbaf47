"""A receipt: a contract was kept, as of a time, on these files, declarations and records.

Its text is canonical, and it carries the digest of its own content: one receipt has one text.
"""

import json
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from contract_checks.digest import digest_of


class NoReceipt(ValueError):  # noqa: N818  (a file that is none at all, not a receipt that differs)
    """There is no receipt at a path; the message says why."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class File(_Part):
    """A file by its path from the repository, or whole where it lies outside."""

    path: str
    sha256: str
    size: int
    """Bytes."""


class Records(_Part):
    """The first `count` records of the operations log up to the as-of time."""

    count: int
    digest: str


class Inputs(_Part):
    """What a judgement is made on, but for the records of operations."""

    contract: File
    signatures: File
    probes: File
    data: tuple[File, ...]
    """Offline table, events, and their quarantine where there is one."""
    registry: str
    """Digest of everything the registry declares, but for the feature's pointer, and not how far
    it was materialized."""
    versions: dict[str, str]
    """Versions of the software that judged."""


class Receipt(Inputs):
    """The inputs, what was found, and the digest of all that."""

    view: str
    as_of: AwareDatetime
    outcome: Literal["kept"]
    records: Records
    report: File
    digest: str

    @classmethod
    def sealed(cls, **content: Any) -> Self:
        """The receipt of a content, with the digest it has to carry."""
        unsealed = cls(**content, digest="")
        digest = digest_of(unsealed.model_dump(mode="json", exclude={"digest"}))
        return unsealed.model_copy(update={"digest": digest})

    @property
    def text(self) -> str:
        """The one text of this receipt."""
        content = self.model_dump(mode="json")
        return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def read_receipt(path: Path) -> Receipt:
    """The receipt at a path, which may differ from what it was.

    Raises:
        NoReceipt: there is no file, or it is no receipt at all.
    """
    try:
        return Receipt.model_validate_json(path.read_bytes())
    except OSError as error:
        raise NoReceipt(f"{path} cannot be read: {error.strerror or error}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise NoReceipt(f"{path} is no receipt: {where}: {first['msg']}") from None
