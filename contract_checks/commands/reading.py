"""The reading shown back: what stands in a contract, and what was understood of it."""

from collections.abc import Iterator

from contract_checks.language.contract import Contract
from contract_checks.language.reading import readings


def reading_of(contract: Contract) -> Iterator[str]:
    """Three lines per clause: where it stands, its words, and its terms in a sentence."""
    for clause, sentence in readings(contract).items():
        yield f"{contract.path}:{contract.lines[clause]}: {clause}"
        yield f"  says   {contract.texts[clause]}".rstrip()
        yield f"  means  {sentence}"
