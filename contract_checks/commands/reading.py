"""The reading shown back: what stands in a contract, and what was understood of it."""

from collections.abc import Collection, Iterator

from contract_checks.language.characters import printable
from contract_checks.language.contract import Contract
from contract_checks.language.outline import NOTES_CLAUSE
from contract_checks.language.reading import NOT_UNDERSTOOD, readings

NOTES_MEAN = "nothing that binds: notes are signed with the rest and held by no check"


def reading_of(contract: Contract, refused: Collection[str] = ()) -> Iterator[str]:
    """Three lines per clause: where it stands, its words, and its terms in a sentence.

    Of a refused clause nothing is understood, not even what could be read of it.
    """
    for clause, sentence in readings(contract).items():
        words = contract.texts.get(clause, "")
        yield f"{contract.path}:{contract.lines[clause]}: {clause}"
        yield f"  says   {printable(words) if clause in refused else words}".rstrip()
        yield f"  means  {NOT_UNDERSTOOD if clause in refused else sentence}"
    if notes := contract.prose.get(NOTES_CLAUSE):
        yield f"{contract.path}: {NOTES_CLAUSE}"
        yield f"  says   {printable(' '.join(notes.split()))}"
        yield f"  means  {NOTES_MEAN}"
