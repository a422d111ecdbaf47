"""A message says what to do: a wording that would be read, the label that was meant."""

import re
from itertools import combinations
from pathlib import Path

import pytest
from contract_answers import CLAUSE, answer, reworded
from contract_mutations import DOCUMENTS

from contract_checks.language.examples import EXAMPLES
from contract_checks.language.form import CLAUSES, Clause
from contract_checks.language.loader import lint
from contract_checks.language.people import names
from contract_checks.language.values import answerer, name

OURS = "\n".join(DOCUMENTS[0])
READ = [clause for clause in CLAUSES if clause.lands]
SENTENCES = [c for c in READ if not c.entry and c.reader not in (name, answerer, names)]


def _messages(folder: Path, text: str) -> dict[str, str]:
    return {p.clause: p.message for p in answer(folder / "contract.md", text).problems}


def test_every_clause_that_is_read_has_an_example_that_is() -> None:
    assert EXAMPLES.keys() == {clause.id for clause in READ}
    for clause in READ:
        example = EXAMPLES[clause.id]
        if clause.entry:
            label, _, value = example.partition(": ")
            assert clause.entry(label, value)
        else:
            clause.reader(example)


@pytest.mark.parametrize("clause", SENTENCES, ids=lambda clause: clause.id)
def test_a_refused_value_is_shown_with_one_that_would_do(clause: Clause, tmp_path: Path) -> None:
    said = _messages(tmp_path, reworded(clause, lambda _: "12 parsecs on Sundays"))[clause.id]
    assert "12 parsecs on Sundays" in said
    assert "such as" in said or "expected one of" in said or "expected no, or yes" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize("clause", [c for c in CLAUSES if not c.group], ids=lambda c: c.id)
def test_a_missing_clause_is_shown_with_its_value(clause: Clause, tmp_path: Path) -> None:
    line = next(i for i, line in enumerate(DOCUMENTS[0]) if f"**{clause.label}:**" in line)
    said = _messages(tmp_path, "\n".join([*DOCUMENTS[0][:line], *DOCUMENTS[0][line + 1 :]]))
    message = next(m for c, m in said.items() if c == clause.id and m.startswith("missing"))
    assert f"'- **{clause.label}:** ...'" in message
    assert EXAMPLES.get(clause.id, "words of your own") in message


def test_a_missing_section_is_told_with_its_clauses(tmp_path: Path) -> None:
    start, end = OURS.index("## 8."), OURS.index("## 9.")
    said = _messages(tmp_path, OURS[:start] + OURS[end:])["§8"]
    assert all(clause.label in said for clause in CLAUSES if clause.section == "8")


def test_a_spelling_means_one_clause_of_its_section() -> None:
    sections: dict[str, list[Clause]] = {}
    for clause in CLAUSES:
        sections.setdefault(clause.section.split(".")[0], []).append(clause)
    for clauses in sections.values():
        for one, other in combinations(clauses, 2):
            assert [label for label in one.spellings if other.accepts(label)] == []
            assert all(one.accepts(label) for label in one.spellings)


@pytest.mark.parametrize(
    ("clause", "label"),
    [
        ("§1 owner", "Owning team"),
        ("§1 model", "Models and use cases"),
        ("§2 join keys", "join_keys"),
        ("§2 fanout", "Fan-out policy"),
        ("§3 lookback window", "Look-back"),
        ("§4 refresh cadence", "Refresh frequency"),
        ("§6 completeness", "Null rate"),
        ("§7 fail", "Block"),
        ("§9 pii", "PII or PHI present"),
        ("§10 changelog", "Change log"),
        ("§12 platform approval", "Platform team"),
    ],
)
def test_a_label_may_be_spelled_as_teams_do(clause: str, label: str, tmp_path: Path) -> None:
    (tmp_path / "contract.md").write_text(
        OURS.replace(f"**{CLAUSE[clause].label}:**", f"**{label}:**"), encoding="utf-8"
    )
    assert lint(tmp_path / "contract.md") == []


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("Freshnes", "did you mean 'Freshness'?"),
        ("Null rates", "did you mean 'Completeness'?"),
        ("Wombat", "of its place are still missing: Freshness"),
        ("Lookback window", "move it to §3 Time Semantics"),
    ],
)
def test_an_unknown_label_is_told_what_it_may_be(label: str, meant: str, tmp_path: Path) -> None:
    said = _messages(tmp_path, OURS.replace("**Freshness:**", f"**{label}:**"))
    assert meant in said["§6"]


@pytest.mark.parametrize("dash", ["—", "–", "-", "="])
def test_a_dash_ends_a_known_label_as_a_colon_does(dash: str, tmp_path: Path) -> None:
    said = answer(
        tmp_path / "contract.md", re.sub(r"\*\*(Freshness|Warn):\*\*", rf"\1 {dash}", OURS)
    )
    assert said.terms == answer(tmp_path / "contract.md", OURS).terms


@pytest.mark.parametrize(
    ("clause", "text", "column"),
    [
        ("§5.2 nullable", "no, except orders_30d", "nullable"),
        ("§5.2 default value", "0, but null for avg_order_value_30d", "default"),
        ("§6 completeness", "null rate ≤ 7% for orders_30d", "null rate"),
        ("§7 warn", "PSI ≥ 0.1 for orders_30d", "PSI warn"),
        ("§7 fail", "PSI ≥ 0.2 for orders_30d", "PSI fail"),
    ],
)
def test_a_value_of_one_feature_is_sent_to_its_row(
    clause: str, text: str, column: str, tmp_path: Path
) -> None:
    said = _messages(tmp_path, reworded(CLAUSE[clause], lambda _: text))[clause]
    assert f"table of §5.2, column '{column}'" in said
    assert f"such as {EXAMPLES[clause]!r}" in said


def test_a_foreign_heading_is_told_which_it_may_be(tmp_path: Path) -> None:
    said = _messages(tmp_path, OURS.replace("## 6. Data Quality Contract", "## Data Qualities"))
    assert "did you mean '6. Data Quality Contract'?" in said["document"]


@pytest.mark.parametrize(
    ("clause", "value", "part", "rest"),
    [
        ("§11 canary materialization", "Yes (5% of users, one full day)", "Yes", "(5% of users,"),
        (
            "§6 freshness",
            "Feature age ≤ 2 hours on weekdays",
            "Feature age ≤ 2 hours",
            "on weekdays",
        ),
        ("§9 retention policy", "365 days offline; 2 days online", "365 days", "offline; 2 days"),
        ("§2 expected match rate", "≥ 98% (new customers have none)", "≥ 98%", "(new customers"),
    ],
)
def test_what_of_a_value_would_be_read_is_told_from_what_would_not(
    clause: str, value: str, part: str, rest: str, tmp_path: Path
) -> None:
    said = _messages(tmp_path, reworded(CLAUSE[clause], lambda _: value))[clause]
    assert f"'{part}' alone would be read, and '{rest}" in said
    assert said.endswith("' is not")


def test_part_of_a_list_is_not_offered_for_all_of_it(tmp_path: Path) -> None:
    clause = CLAUSE["§9 approved consumers"]
    said = _messages(tmp_path, reworded(clause, lambda _: "ML Platform, Risk (read-only), BI"))
    assert "alone would be read" not in said[clause.id]
