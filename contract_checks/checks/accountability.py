"""§10, §12: is the document's own history in order, and did those who answer for it sign it?"""

from collections.abc import Iterator

from contract_checks.evidence.evidence import Evidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.signing import Role, Signature, signed_content


@check("§10 changelog", held_in="document")
def version_is_the_newest_entry(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
    """The contract's version is the newest in its changelog, and no later one is dated before."""
    dated = sorted(contract.versioning.changelog.items(), key=lambda entry: int(entry[0][1:]))
    newest, _ = dated[-1]
    version = contract.overview.version
    yield Verdict(version == newest, f"newest entry is {version}", f"{newest}")
    dates = [date for _, date in dated]
    yield Verdict(
        dates == sorted(dates),
        "later versions are dated later",
        ", ".join(f"{name} {date}" for name, date in dated),
    )


def _bind_approval(role: Role) -> None:
    def signed_after_it_was_written(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
        """The approval is not older than the version it approves."""
        approval = role.approval(contract)
        version = contract.overview.version
        released = contract.versioning.changelog[version]
        yield Verdict(
            approval.date >= released,
            f"signed on or after {released}, when {version} was written",
            f"{approval.name}, {approval.date}",
            int(approval.date < released),
        )

    def content_is_signed(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
        """The approval has a signature of its own, given to the content as it stands."""
        approval, signature = role.approval(contract), evidence.signatures.get(role.clause)
        wanted = Signature(approval.name, approval.date, signed_content(contract))
        kept = signature == wanted
        yield Verdict(kept, _told(wanted), _found(signature, wanted), int(not kept))

    check(role.clause, held_in="document")(signed_after_it_was_written)
    check(role.clause, held_in="document")(content_is_signed)


def _told(signature: Signature) -> str:
    return f"signature of {signature.name}, {signature.date}, of content {signature.content[:12]}"


def _found(signature: Signature | None, wanted: Signature) -> str:
    """The signature there is, and what is to be done if it is not the one that is wanted."""
    if signature == wanted:
        return _told(wanted)
    if signature is None:
        return "none: sign with contract-checks sign"
    if signature.content != wanted.content:
        return f"{_told(signature)}, another content: renew with contract-checks sign"
    return f"{_told(signature)}: renew with contract-checks sign"


for _role in Role:
    _bind_approval(_role)
