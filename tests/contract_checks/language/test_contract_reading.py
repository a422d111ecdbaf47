"""The reading shown back: a sentence per clause, the same for the same terms and for no others."""

import json
import random
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from string import Formatter
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

import pytest
from contract_answers import CLAUSE, reworded
from contract_mutations import DOCUMENTS
from tries import tries
from typer.testing import CliRunner

from contract_checks.cli import app
from contract_checks.language.contract import Contract
from contract_checks.language.feature_columns import ALSO_LANDS
from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import load
from contract_checks.language.reading import FOR_PEOPLE, NOT_UNDERSTOOD, readings, sentence
from contract_checks.language.terms import Terms
from contract_checks.language.wordings import KINDS, NOTHING, SAYS, YES_NO

ROOT = Path(__file__).parents[3]
OURS = ROOT / "contracts" / "customer_profile_v1.md"
INVALID = sorted((ROOT / "tests" / "contracts" / "invalid").glob("re*.md"))
TERMS = sorted([*(clause.lands for clause in CLAUSES if clause.lands), *ALSO_LANDS])

TEXTS = ["a", "b", "a b", "a and b", '"a"', "a, b", "none", "yes", "", "and", "a; b c", "a, key b"]
NUMBERS = [0, -1, 1, 0.1, 0.01, 0.001, 98.5, 99.9, 100, 1000, 1e6, 1e-9, 1 / 3, 0.30000000000000004]
LENGTHS = [
    timedelta(microseconds=count)
    for count in (1, 1000, 1001, 10**6, 6 * 10**7, 36 * 10**8, 864 * 10**8, 864 * 10**8 + 1)
] + [timedelta(days=30), timedelta(weeks=1), timedelta(days=999_999), timedelta(0)]


def _drawn(kind: Any, draws: random.Random) -> Any:
    """A value of a field's type."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Literal:
        return draws.choice(parts)
    if origin in (Union, UnionType):
        return _drawn(draws.choice(parts), draws)
    if origin is tuple:
        return tuple(_drawn(parts[0], draws) for _ in range(draws.randrange(3)))
    if origin is dict:
        return {_drawn(parts[0], draws): _drawn(parts[1], draws) for _ in range(draws.randrange(3))}
    if parts:  # Annotated
        return _drawn(parts[0], draws)
    if issubclass(kind, Terms):
        fields = kind.model_fields.items()
        return kind.model_construct(None, **{n: _drawn(f.annotation, draws) for n, f in fields})
    if kind is date:
        return date(2026, 1, draws.randrange(1, 4))
    simple = {str: TEXTS, int: [0, 1, 2], float: NUMBERS, bool: [True, False], NoneType: [None]}
    return draws.choice({**simple, timedelta: LENGTHS}[kind])


def _kind(term: str) -> Any:
    group, field = term.split(".")
    model: Any = Contract.model_fields[group].annotation
    return model.model_fields[field].annotation


@pytest.mark.parametrize("term", TERMS)
def test_other_terms_have_another_sentence_and_equal_ones_the_same(term: str) -> None:
    draws = random.Random(term)
    values = [_drawn(_kind(term), draws) for _ in range(tries(240))]
    said = [sentence(term, value) for value in values]
    for place, (value, words) in enumerate(zip(values, said, strict=True)):
        assert words
        assert len(words.splitlines()) == 1
        for other, others_words in zip(values[:place], said, strict=False):
            assert (value == other) == (words == others_words), (value, other, words)


def test_every_term_has_a_sentence_of_its_own() -> None:
    assert set(TERMS) == SAYS.keys() | YES_NO.keys()
    assert set(TERMS) >= NOTHING.keys()
    assert len({*SAYS.values(), *(said for both in YES_NO.values() for said in both)}) == len(
        SAYS
    ) + 2 * len(YES_NO)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_sentence_of_a_kind_speaks_of_its_parts(kind: type[Terms]) -> None:
    places = {place for _, place, _, _ in Formatter().parse(KINDS[kind]) if place}
    assert places
    assert places <= kind.model_fields.keys()


SAID = {
    "§2 fanout": "where a key has several records, the latest by event_timestamp counts, "
    "key customer_id",
    "§3 allowed lateness": "an event counts that arrives at most 1 day after it happened",
    "§4 refresh cadence": "refreshed at least once an hour",
    "§5.2 allowed range": "each feature lies within its range: avg_order_value_30d from 0 to 10,000"
    "; orders_30d from 0 to 1,000; sessions_30d from 0 to 10,000",
    "§5.2 nullable": "a served value is never null",
    "§6 completeness": "null rate of each feature at most 1 %, over all rows",
    "§6 freshness": "a feature is at most 2 hours old",
    "§6 uniqueness": "one record for each customer_id",
    "§7 fail": "no promotion from PSI 0.2 on",
    "§9 approved consumers": 'may be used by "ML Platform" and "Marketing Analytics", '
    "and by nobody else",
    "§10 rollback plan": FOR_PEOPLE,
    "§11 performance tests": "of online reads, percentile 95 takes at most 50 milliseconds, "
    "and at most 0.1 % fail",
}


def test_a_contract_is_read_back() -> None:
    read = readings(load(OURS))
    assert list(read) == [clause.id for clause in CLAUSES]
    assert {clause: read.get(clause, "") for clause in SAID} == SAID


def test_several_columns_are_one_key() -> None:
    read = readings(load(ROOT / "tests" / "contracts" / "device_session_v1.md"))
    assert read["§6 uniqueness"] == "one record for each combination of device_id and region_code"
    assert read["§5.1 filters"] == "every entity has features: there is no filter"


@pytest.mark.parametrize(
    ("clause", "words", "same"),
    [
        ("§6 freshness", "at most 120 min", True),
        ("§6 freshness", "at most 121 min", False),
        ("§4 refresh cadence", "every 60 minutes", True),
        ("§6 completeness", "null rate below 1 percent", True),
        ("§6 uniqueness", "exactly one row per customer_id", True),
        ("§9 approved consumers", "ML Platform; Marketing Analytics.", True),
        ("§9 approved consumers", '"ML Platform, Marketing Analytics"', False),
    ],
)
def test_the_words_do_not_show_through(clause: str, words: str, same: bool, tmp_path: Path) -> None:
    path = tmp_path / "contract.md"
    path.write_text(reworded(CLAUSE[clause], lambda _: words), encoding="utf-8")
    assert (readings(load(path))[clause] == readings(load(OURS))[clause]) is same


# Where it is shown


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.stdout


def _three_lines(contract: Contract, clause: str) -> Iterator[str]:
    yield f"{OURS}:{contract.lines[clause]}: {clause}"
    yield f"  says   {contract.texts[clause]}".rstrip()
    yield f"  means  {readings(contract)[clause]}"


@pytest.mark.parametrize("command", [("lint", "--show-reading"), ("export", "--to", "text")])
def test_every_clause_is_shown_with_its_line_words_and_reading(command: tuple[str, ...]) -> None:
    contract = load(OURS)
    code, out = _run(*command, OURS)
    assert code == 0
    shown = out.splitlines()[: 3 * len(CLAUSES)]
    assert shown == [line for clause in CLAUSES for line in _three_lines(contract, clause.id)]


def test_of_a_refused_clause_nothing_is_understood(tmp_path: Path) -> None:
    """Nor of a list of which one item is refused; all else is read as ever."""
    text = "\n".join(DOCUMENTS[0]).replace("≤ 2 hours", "≤ 2 hours on weekdays")
    path = tmp_path / "contract.md"
    path.write_text(text.replace("orders_30d: 0–1,000", "orders_30d: some"), encoding="utf-8")
    code, out = _run("lint", "--show-reading", path)
    assert code == 2
    lines = out.splitlines()
    assert lines[0].startswith(f"{path}:66: §5.2 allowed range: 'orders_30d'")
    means = {
        lines[i].split(": ")[1]: lines[i + 2].removeprefix("  means  ")
        for i in range(2, 2 + 3 * len(CLAUSES), 3)
    }
    refused = dict.fromkeys(("§5.2 allowed range", "§6 freshness"), NOT_UNDERSTOOD)
    assert means == readings(load(OURS)) | refused


def test_words_that_are_not_what_they_seem_are_shown_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "contract.md"
    text = "\n".join(DOCUMENTS[0]).replace("≤ 2 hours", "≤ \u202e2 hours\x1b[2J")
    path.write_text(text, encoding="utf-8")
    out = _run("lint", "--show-reading", path)[1]
    assert "\u202e" not in out and "\x1b" not in out
    assert "  says   Feature age ≤ \\u202e2 hours" in out


@pytest.mark.parametrize("document", INVALID, ids=lambda path: path.stem)
def test_any_invalid_document_can_be_shown(document: Path) -> None:
    code, out = _run("lint", "--show-reading", document)
    assert code == 2
    assert "Traceback" not in out
    assert out.splitlines()[-1].startswith("0 valid, 1 invalid")


def test_a_document_that_is_none_has_no_reading(tmp_path: Path) -> None:
    code, out = _run("lint", "--show-reading", tmp_path / "nowhere.md")
    assert (code, len(out.splitlines())) == (2, 2)


def test_explain_and_the_export_say_the_same() -> None:
    meant = readings(load(OURS))
    assert json.loads(_run("export", OURS)[1])["reading"] == meant
    for clause in ("§6 freshness", "§10 rollback plan"):
        assert f"  means     {meant[clause]}\n" in _run("explain", clause, OURS)[1]
