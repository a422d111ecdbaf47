"""§10, §12: is the document's own history in order, and did those who answer for it sign it?"""

from collections.abc import Callable, Iterator

from contract_checks.evidence.facts import Evidence
from contract_checks.judge import Verdict, check
from contract_checks.language.contract import Contract
from contract_checks.language.terms import Approval


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


_SIGNATURES: dict[str, Callable[[Contract], Approval]] = {
    "§12 data owner approval": lambda contract: contract.sign_off.data_owner,
    "§12 ml owner approval": lambda contract: contract.sign_off.ml_owner,
    "§12 platform approval": lambda contract: contract.sign_off.platform,
}


def _bind_signature(clause: str, approval_of: Callable[[Contract], Approval]) -> None:
    def judge(contract: Contract, evidence: Evidence) -> Iterator[Verdict]:
        approval = approval_of(contract)
        version = contract.overview.version
        released = contract.versioning.changelog[version]
        yield Verdict(
            approval.date >= released,
            f"signed on or after {released}, when {version} was written",
            f"{approval.name}, {approval.date}",
            int(approval.date < released),
        )

    judge.__name__ = "signed_after_it_was_written"
    judge.__doc__ = "The approval is not older than the version it approves."
    check(clause, held_in="document")(judge)


for _clause, _approval_of in _SIGNATURES.items():
    _bind_signature(_clause, _approval_of)
