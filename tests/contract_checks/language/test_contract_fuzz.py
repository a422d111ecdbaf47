"""Whatever lies at the path of a contract, the loader answers: a contract, or located problems.

100 documents each time, 300 under `make test-all`, 10,000 others each night (`HYPOTHESIS_PROFILE`).
"""

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from contract_answers import TYPED, answer, fuzz, line_count, reworded, seldom
from contract_grammar import Words, promises, written
from contract_mutations import (
    DOCUMENTS,
    INVISIBLE,
    LOOK_ALIKES,
    MARKS,
    PARAGRAPHS,
    files,
    mutated,
)
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tries import WHOLE

from contract_checks.language.contract import Contract
from contract_checks.language.form import CLAUSES, TITLES, Clause
from contract_checks.language.loader import lint, load

pytestmark = pytest.mark.timeout(4 * 3600)

PLACES = {clause.id for clause in CLAUSES} | {f"§{n}" for n in TITLES} | {"document", "title"}
LONGEST_MESSAGE = 500


# Any document at all


def test_any_document_is_answered(tmp_path: Path) -> None:
    answered: Counter[str] = Counter()

    @fuzz
    @given(document=files())
    @example(document=b"")
    @example(document=b"\n\x0c\r\r\n\x0b")
    def is_answered(document: bytes) -> None:
        said = answer(tmp_path / "contract.md", document)
        assert lint(tmp_path / "contract.md") == said.problems
        assert (said.terms is None) == bool(said.problems)
        if said.terms is not None:
            assert load(tmp_path / "contract.md").terms() == said.terms
            assert json.loads(json.dumps(said.terms, allow_nan=False)) == said.terms
            assert said.lines.keys() == {clause.id for clause in CLAUSES}
        assert all(1 <= line <= line_count(document) for line in said.lines.values())
        assert said.problems == sorted(said.problems, key=lambda problem: problem.line)
        for problem in said.problems:
            assert 1 <= problem.line <= line_count(document)
            assert problem.clause in PLACES
            assert problem.message.isprintable()
            assert 0 < len(problem.message) <= LONGEST_MESSAGE
        answered.update({"valid" if said.terms else "invalid", *(p.clause for p in said.problems)})

    is_answered()
    print(f"{answered['valid']} valid, {answered['invalid']} invalid")
    # One in ten in the long run; three hundred draws, of which each varies the last, scatter.
    assert answered["valid"] > 0.02 * answered["invalid"]
    few = 10 if WHOLE else 40
    assert len(PLACES - answered.keys()) < few, "the documents do not reach every clause"


@seldom
@given(promised=promises())
def test_what_is_written_is_what_is_read(
    promised: dict[str, Words], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "written.md"
    assert answer(path, written(promised)).problems == []
    contract = load(path)
    for clause in CLAUSES:
        assert term(contract, clause) == promised[clause.id][1], clause.id


def term(contract: Contract, clause: Clause) -> Any:
    group, _, field = clause.lands.partition(".")
    return getattr(getattr(contract, group), field) if field else None


# Documents that say the same


@seldom
@given(text=mutated())
def test_line_endings_and_a_byte_order_mark_change_nothing(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assume("\r" not in text and not text.startswith("\ufeff"))
    path = tmp_path_factory.getbasetemp() / "endings.md"
    said = answer(path, text)
    for ending in ("\r\n", "\r"):
        assert answer(path, text.replace("\n", ending)) == said
    assert answer(path, f"\ufeff{text}") == said


@seldom
@given(
    document=st.sampled_from(DOCUMENTS) | promises().map(lambda drawn: written(drawn).split("\n")),
    paragraph=PARAGRAPHS,
    where=st.integers(0, 100),
)
def test_prose_below_a_heading_changes_no_term(
    document: list[str], paragraph: str, where: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "prose.md"
    headings = [index for index, line in enumerate(document) if line.startswith("##")]
    at = headings[where % len(headings)] + 1
    said = answer(path, "\n".join(document))
    more = answer(path, "\n".join([*document[:at], "", paragraph, "", *document[at:]]))
    assert said.terms is not None
    assert more.terms == said.terms
    assert more.lines == {
        clause: line + 3 if line > at else line for clause, line in said.lines.items()
    }


# Documents that do not say what they seem to


@seldom
@given(
    clause=st.sampled_from(TYPED),
    where=st.integers(0, 100),
    disguise=st.sampled_from(INVISIBLE + MARKS),
    data=st.data(),
)
def test_no_term_is_read_otherwise_than_it_looks(
    clause: Clause,
    where: int,
    disguise: str,
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A look-alike or an invisible character within a number, a comparison or a name."""

    def disguised(value: str) -> str:
        inside = list(re.finditer(r"[0-9]+(?:\.[0-9]+)?|\w+_\w+|[≥≤%]", value))
        if not inside:
            return disguise + value
        term = inside[where % len(inside)]
        at = data.draw(st.integers(term.start(), term.end() - 1))
        other = value[at].translate(LOOK_ALIKES)
        put = other if other != value[at] and data.draw(st.booleans()) else value[at] + disguise
        return value[:at] + put + value[at + 1 :]

    path = tmp_path_factory.getbasetemp() / "disguised.md"
    said = answer(path, reworded(clause, disguised))
    assert clause.id in {problem.clause for problem in said.problems}
