"""`contract-checks sign`: approve a contract as it stands (§12)."""

from collections.abc import Iterator
from datetime import date
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from contract_checks import atomic
from contract_checks.clock import now
from contract_checks.commands.documents import contract_at, refusal
from contract_checks.language.contract import Contract
from contract_checks.language.dates import calendar_date
from contract_checks.language.loader import InvalidContract, load
from contract_checks.language.people import approval as read_approval
from contract_checks.language.sentence import Unreadable
from contract_checks.language.signing import (
    Role,
    Signature,
    as_text,
    read_signatures,
    signatures_of,
    signed_content,
    with_approval,
)
from contract_checks.language.terms import Approval


def _day(text: str) -> date:
    try:
        return calendar_date(text)
    except Unreadable as reason:
        raise typer.BadParameter(str(reason)) from None


def sign(
    file: Annotated[Path, typer.Argument(help="A contract document.", metavar="FILE")],
    role: Annotated[Role, typer.Option("--as", help="Who approves.")],
    name: Annotated[str, typer.Option(help="Name of the one who approves.", metavar="NAME")],
    on: Annotated[
        date | None,
        typer.Option(
            "--date",
            parser=_day,
            metavar="YYYY-MM-DD",
            help="Day of the approval (UTC); today if left out.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be written, and write nothing.")
    ] = False,
) -> None:
    """Approve a contract as it stands: in its own words, and by the digest of its content.

    Exit code 0: signed, or signed already; 2: the document is not valid, the approval cannot stand
    in it, or a file cannot be written.
    """
    contract = contract_at(file)
    signatures = _signatures(contract)
    content = signed_content(contract)
    before = signatures.get(role.clause)
    stands = before is not None and (before.name, before.content) == (name, content)
    day = on or (before.date if before and stands else now().date())
    text = _document(contract, role, name, day)

    signature = Signature(name, day, content)
    whose = f"{file} as {role}: {name}, {day}"
    if text is None and before == signature:
        typer.echo(f"signed already  {whose}")
    elif dry_run:
        typer.echo(f"would sign      {whose}")
        for line in _written(contract, role, text, signatures | {role.clause: signature}):
            typer.echo(line)
    else:
        try:
            if text is not None:
                atomic.write(file, text)
            atomic.write(signatures_of(contract), as_text(signatures | {role.clause: signature}))
        except OSError as error:
            raise refusal(f"cannot be written: {error}") from None
        typer.echo(f"signed          {whose}")
    typer.echo(f"content         sha256 {content}")
    for other in Role:
        _say_if_void(file, other, signatures.get(other.clause), content, renewed=other is role)


def _signatures(contract: Contract) -> dict[str, Signature]:
    file = signatures_of(contract)
    try:
        return read_signatures(file) if file.exists() else {}
    except (OSError, ValueError) as error:
        raise refusal(str(error)) from None


def _document(contract: Contract, role: Role, name: str, day: date) -> str | None:
    """The document's text with the approval in it; None where it is there already."""
    version = contract.overview.version
    released = contract.versioning.changelog[version]
    if day < released:
        raise refusal(f"{day} is before {released}, the day of {version}: sign on a later one")
    words, wanted = f"{name} — {day}", Approval(name=name, date=day)
    if role.approval(contract) == wanted:
        return None
    try:
        read = read_approval(words)
    except Unreadable as reason:
        raise refusal(f"--name: {reason}") from None
    if read != wanted:
        raise refusal(f"--name: a document would read {name!r} as {read.name!r}: write it so")
    approved = with_approval(contract.path.read_bytes().decode(), contract, role, words)
    if not _says(approved, contract, role, wanted):
        raise refusal(f"write {words!r} into {role.clause} of {contract.path} and sign again")
    return approved


def _says(text: str, contract: Contract, role: Role, wanted: Approval) -> bool:
    """Whether a text is the contract with the wanted approval: it is about to take its place."""
    sign_off = contract.sign_off.model_copy(update={role.name: wanted})
    with TemporaryDirectory() as folder:
        draft = Path(folder) / contract.path.name
        draft.write_bytes(text.encode())
        try:
            read = load(draft)
        except InvalidContract:
            return False
    return (read.sign_off, signed_content(read)) == (sign_off, signed_content(contract))


def _written(
    contract: Contract, role: Role, text: str | None, signatures: dict[str, Signature]
) -> Iterator[str]:
    """What a dry run shows: the document's line, if it changes, and the file of signatures."""
    if text is not None:
        number = contract.lines[role.clause]
        line = StringIO(text, newline=None).readlines()[number - 1]
        yield f"{contract.path}:{number}: {line.strip()}"
    yield f"{signatures_of(contract)}:"
    yield as_text(signatures).rstrip()


def _say_if_void(
    file: Path, role: Role, signature: Signature | None, content: str, *, renewed: bool
) -> None:
    """An approval of other content approves nothing any more."""
    if signature is not None and signature.content != content and not renewed:
        typer.echo(
            f"void            {role.clause} of {signature.name}, {signature.date}, was for another "
            f'content: renew with contract-checks sign {file} --as {role} --name "{signature.name}"'
        )
