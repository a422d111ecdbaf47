"""What an approval (§12) approves, how it is written, and where signatures are kept."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from pathlib import Path

from contract_checks.digest import digest_of
from contract_checks.language.contract import Contract
from contract_checks.language.terms import Approval


class Role(StrEnum):
    """Who approves a contract, in the words of the command line."""

    data_owner = "data-owner"
    ml_owner = "ml-owner"
    platform = "platform"

    @property
    def clause(self) -> str:
        """The clause of the approval, such as `§12 platform approval`."""
        return f"§12 {self.value.replace('-', ' ')} approval"

    def approval(self, contract: Contract) -> Approval:
        """The role's approval as the document has it."""
        approval: Approval = getattr(contract.sign_off, self.name)
        return approval


@dataclass(frozen=True)
class Signature:
    """Who signed which content, and when."""

    name: str
    date: date
    content: str
    """Digest of the signed content."""


def signed_content(contract: Contract) -> str:
    """Digest of every term and every clause in words, but for the approvals themselves.

    Spelling a value otherwise (`>= 98 %`) leaves it as it is; another value, or other words in a
    clause that people read, do not.
    """
    terms = contract.terms()
    terms.pop("sign_off")
    return digest_of({"terms": terms, "prose": contract.prose})


def with_approval(document: str, contract: Contract, role: Role, words: str) -> str:
    """A contract's document with other words for one approval; every other byte as it was."""
    ends = [0, *(end.end() for end in re.finditer(r"\r\n|\r|\n", document))]
    written = r"\s+".join(map(re.escape, contract.texts[role.clause].split()))
    place = re.compile(written).search(document, ends[contract.lines[role.clause] - 1])
    if place is None:  # not the text the contract was read from
        return document
    return document[: place.start()] + words + document[place.end() :]


def signatures_of(contract: Contract) -> Path:
    """Where a contract's signatures lie: beside the document."""
    return contract.path.with_suffix(".signatures.json")


def read_signatures(path: Path) -> dict[str, Signature]:
    """The signatures in a file, by clause.

    Raises:
        ValueError: it is not a file of signatures.
    """
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return {
            clause: Signature(s["name"], date.fromisoformat(s["date"]), s["content"])
            for clause, s in written.items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        message = f"{path} is not a file of signatures ({error}): remove it and sign anew"
        raise ValueError(message) from error


def as_text(signatures: dict[str, Signature]) -> str:
    """The file's text."""
    written = {
        clause: asdict(s) | {"date": s.date.isoformat()} for clause, s in sorted(signatures.items())
    }
    return json.dumps(written, indent=2, ensure_ascii=False) + "\n"
