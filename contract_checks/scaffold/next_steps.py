"""What is left to the team once the files are there."""

from collections.abc import Iterator

from contract_checks.language.contract import Contract
from contract_checks.scaffold.definitions import fields
from contract_checks.scaffold.files import corpus_of, document_of, job_of, module_of


def next_steps(contract: Contract) -> Iterator[str]:
    """One sentence a step, in their order."""
    module, document = module_of(contract), document_of(contract)
    yield f"{module}: compare types, keys and path with {contract.parity.offline_path}."
    without = [field.name for field in fields(contract) if field.default is None]
    if without and contract.entity.join_failure_policy == "default":
        yield f"{module}: give {', '.join(without)} a default, for §2 wants one and §5.2 has none."
    yield (
        f"{job_of(contract)}: write the job that aggregates, called with "
        "EVENTS HISTORY --as-of TIME --contract FILE; both are parquet."
    )
    yield f"{document.with_suffix('.probes.toml')}: fill in what that job must answer."
    yield f"{corpus_of(contract)}: add a case for every mistake that must be noticed."
    # A refresh materializes all that is applied, and fails at a view without its table.
    yield f"Run the job, so that {contract.parity.offline_path} is there; only then feast apply."
    yield f"feast materialize, then contract-checks check {document}."
