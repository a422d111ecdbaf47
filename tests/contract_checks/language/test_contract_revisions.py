"""Struck-out text, comments and tracked changes are refused wherever a value stands."""

from pathlib import Path

import pytest
from contract_answers import OURS, answer, reworded

from contract_checks.language.form import CLAUSES
from contract_checks.language.revisions import revision

MARKED = {
    "~~{}~~": "struck-out",
    "~{}~": "struck-out",
    "<del>{}</del>": "struck-out",
    "<DEL cite='x'>{}</DEL>": "struck-out",
    "<s>{}</s>": "struck-out",
    "<strike>{}</strike>": "struck-out",
    "<span style='text-decoration: line-through'>{}</span>": "struck-out",
    "<span style='display:none'>{}</span>": "struck-out",
    "<b hidden>{}</b>": "struck-out",
    "3\u0336{}": "struck-out",
    "<ins>{}</ins>": "an insertion",
    "{{++{}++}}": "a tracked change",
    "{{--{}--}}": "a tracked change",
    "{{~~{}~>1~~}}": "a tracked change",
    "{{>>{}<<}}": "a tracked change",
    "{{=={}==}}": "a tracked change",
    "{} <!-- was 7 -->": "a comment",
    "<!-- {} -->": "a comment",
    "{} <!--": "a comment",
    "{} [//]: # (was 7)": "a comment",
}
VALUES = [clause for clause in CLAUSES if not clause.entry and not clause.group]
LISTS = [line for line in OURS if line.startswith("  - ") and "**" not in line]


def refused(path: Path, document: str, line: int, mark: str) -> None:
    problems = [problem for problem in answer(path, document).problems if problem.line == line]
    assert len(problems) == 1, problems
    assert f"holds {MARKED[mark]}" in problems[0].message
    assert "write the text that is agreed on, without the mark" in problems[0].message


@pytest.mark.parametrize("mark", MARKED)
def test_a_marked_value_is_refused_in_every_clause(mark: str, tmp_path: Path) -> None:
    in_every_one = mark in ("~~{}~~", "{} <!-- was 7 -->")
    for clause in VALUES if in_every_one else VALUES[::20]:
        document = reworded(clause, mark.format)
        lines = zip(document.split("\n"), OURS, strict=True)
        line = next(n for n, (new, old) in enumerate(lines, start=1) if new != old)
        refused(tmp_path / "contract.md", document, line, mark)


@pytest.mark.parametrize("mark", MARKED)
@pytest.mark.parametrize("line", [LISTS[0], LISTS[-1], "## 8. Training–Serving Parity", OURS[0]])
def test_a_marked_item_or_heading_is_refused(mark: str, line: str, tmp_path: Path) -> None:
    before, space, text = line.rpartition("  - ") if line in LISTS else line.partition(" ")
    if line not in LISTS and "{} " not in mark:
        number, _, text = text.partition(" ")
        before, space = f"{before} {number}", " "
    at = OURS.index(line)
    marked = [*OURS[:at], f"{before}{space}{mark.format(text)}", *OURS[at + 1 :]]
    refused(tmp_path / "contract.md", "\n".join(marked), at + 1, mark)


@pytest.mark.parametrize("mark", ["~~{}~~", "<del>{}</del>", "{{--{}--}}", "<!-- --> {}"])
def test_a_marked_label_is_refused_at_its_clause(mark: str, tmp_path: Path) -> None:
    at = next(n for n, line in enumerate(OURS) if line.startswith("- **Retention policy:**"))
    lines = [*OURS[:at], f"- {mark.format(OURS[at][2:])}", *OURS[at + 1 :]]
    (problem,) = answer(tmp_path / "contract.md", "\n".join(lines)).problems
    assert (problem.line, problem.clause) == (at + 1, "§9 retention policy")


@pytest.mark.parametrize(
    ("opening", "closing"), [("<del>", "</del>"), ("{--", "--}"), ("~~", "~~")]
)
def test_a_mark_around_whole_sections_is_refused(
    opening: str, closing: str, tmp_path: Path
) -> None:
    at, end = (OURS.index(next(x for x in OURS if x.startswith(f"## {n}."))) for n in (7, 8))
    lines = [*OURS[:at], opening, "", *OURS[at:end], closing, "", *OURS[end:]]
    problems = answer(tmp_path / "contract.md", "\n".join(lines)).problems
    assert [(p.line, p.clause) for p in problems] == [
        (at + 1, "document"),
        (end + 3, "document"),
    ]


@pytest.mark.parametrize(
    "words", ["<!-- checked by the tool -->", "<!--\n- **Version:** v2\n-->", "[//]: # (a note)"]
)
def test_a_comment_between_clauses_hides_nothing_in_force(words: str, tmp_path: Path) -> None:
    lines = [*OURS[:2], words, "", *OURS[2:]]
    ours = answer(tmp_path / "ours.md", "\n".join(OURS)).terms
    assert ours
    assert answer(tmp_path / "contract.md", "\n".join(lines)).terms == ours


@pytest.mark.parametrize(
    "text",
    [
        *("≥ 98%", "a < b", "~98%", "x ~ y ~ z", "R&D -- Oslo", "A -> B", "{a}", "[a](b)"),
        *("(c++)", "<https://a.b/del>", "<details>", "sessions <= orders"),
    ],
)
def test_what_only_resembles_a_mark_is_none(text: str) -> None:
    assert revision(text) == ""
