"""A contract says the same in every layout, and what is none of a clause is found on its line."""

import random
from pathlib import Path

import pytest
from contract_mutations import DOCUMENTS
from relaid import HEADINGS, LAYOUTS, mixed, relaid
from tries import WHOLE, tries
from typer.testing import CliRunner

from contract_checks.changes.diff import diff, read_edition
from contract_checks.cli import app
from contract_checks.language.document import parse
from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import InvalidContract, lint, load
from contract_checks.language.marks import plain
from contract_checks.language.signing import signed_content

ROOT = Path(__file__).parents[3]
OWNERS = ROOT.parent / "shared" / "contract" / "customer_profile_v1.md"
TEXTS = ["\n".join(lines) for lines in DOCUMENTS]
if OWNERS.exists():
    TEXTS.append(OWNERS.read_text(encoding="utf-8"))
OURS = TEXTS[0]
TERMS = load(ROOT / "contracts" / "customer_profile_v1.md").terms()


def _put(folder: Path, text: str, name: str = "contract.md") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _same(folder: Path, text: str, other: str) -> None:
    one, two = load(_put(folder, text, "one.md")), load(_put(folder, other, "two.md"))
    assert two.terms() == one.terms()
    assert two.prose == one.prose
    assert signed_content(two) == signed_content(one)
    assert two.lines.keys() == {clause.id for clause in CLAUSES}
    here, there = text.split("\n"), other.split("\n")
    for clause, line in one.lines.items():
        label = plain(here[line - 1].strip(" -*").partition(":")[0])
        assert label in there[two.lines[clause] - 1], clause


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_no_term(layout: str, tmp_path: Path) -> None:
    _same(tmp_path, OURS, relaid(OURS, lambda: layout, lambda: "as in the form"))


@pytest.mark.parametrize("heading", HEADINGS)
def test_a_heading_may_be_written_otherwise(heading: str, tmp_path: Path) -> None:
    _same(tmp_path, OURS, relaid(OURS, lambda: "bullets", lambda: heading))


@pytest.mark.parametrize("seed", range(tries(24)))
def test_a_document_may_mix_layouts(seed: int, tmp_path: Path) -> None:
    text = TEXTS[seed % len(TEXTS)]
    _same(tmp_path, text, mixed(text, seed))


# What is none of a clause


def _problems(folder: Path, text: str) -> list[tuple[int, str]]:
    return [(problem.line, problem.clause) for problem in lint(_put(folder, text))]


PLANTED = {
    "a qualifier": (lambda line: _before_bar(line, " on weekdays"), "§6 freshness"),
    "a word after a break": (lambda line: _before_bar(line, "<br>on weekdays"), "§6 freshness"),
    "an unknown label": (lambda line: line.replace("Freshness", "Freshnes"), "§6"),
    "struck-out text": (lambda line: line.replace("Feature", "~~Feature~~"), "§6 freshness"),
}


def _before_bar(line: str, words: str) -> str:
    return line[:-2] + words + " |" if line.endswith(" |") else line + words


@pytest.mark.parametrize("fault", PLANTED)
@pytest.mark.parametrize(
    "layout", ("pluses", "table", "table without bars", "lines", "bold paragraphs")
)
def test_a_planted_fault_is_found_on_its_line(layout: str, fault: str, tmp_path: Path) -> None:
    lines = relaid(OURS, lambda: layout, lambda: "as in the form").split("\n")
    at = next(i for i, line in enumerate(lines) if "Freshness" in line)
    plant, place = PLANTED[fault]
    lines[at] = plant(lines[at])
    assert (at + 1, place) in _problems(tmp_path, "\n".join(lines))


@pytest.mark.parametrize("fault", ["on weekdays", "~~Feature~~"])
def test_a_planted_fault_below_a_heading_is_found(fault: str, tmp_path: Path) -> None:
    text = relaid(OURS, lambda: "headings", lambda: "as in the form")
    for more in (f"Feature age ≤ 2 hours {fault}", f"Feature age ≤ 2 hours\n\n{fault}"):
        broken = text.replace("Feature age ≤ 2 hours", more)
        line = broken.split("\n").index("#### Freshness") + 1
        assert _problems(tmp_path, broken) == [(line, "§6 freshness")]


TABLE = relaid(OURS, lambda: "table", lambda: "as in the form")
LINES = relaid(OURS, lambda: "paragraphs", lambda: "as in the form")
FRESH = "| Freshness | Feature age ≤ 2 hours |"
COMPLETE = "| Completeness | null rate ≤ 1% |"
HEAD = "| Field | Value |\n| :--- | --- |\n| Completeness"


@pytest.mark.parametrize(
    ("text", "old", "new", "marked"),
    [
        (TABLE, HEAD, HEAD.replace("Value |", "Value | Note |").replace("--- |\n", "--- | - |\n"),
         "Value | Note |"),
        (TABLE, FRESH, f"{FRESH} on weekdays |", "on weekdays"),
        (TABLE, FRESH, f"{FRESH}\nexcept on Sundays", "except"),
        (TABLE, FRESH, f"{FRESH}\n\nexcept on Sundays", "except"),
        (TABLE, FRESH, f"{FRESH}\n\n> except on Sundays", "except"),
        (TABLE, FRESH, f"{FRESH}\n| | except on Sundays |", "except"),
        (TABLE, FRESH, f"{FRESH}\n| SLA | 99% of days |", "SLA"),
        (TABLE, HEAD, HEAD.replace("Value", "On weekdays"), "On weekdays"),
        (TABLE, HEAD, HEAD.replace("Field", "Wombat"), "Wombat"),
        (TABLE, FRESH, f"{FRESH}\n\n| On | Sundays |\n| - | - |\n| no | checks |", "Sundays"),
        (TABLE, FRESH, f"{FRESH}\n\n| On Sundays |", "Sundays"),
        (TABLE, "## 1. Overview", "| Status | Active |\n| - | - |\n\n## 1. Overview", "Status |"),
        (LINES, "Freshness: Feature age ≤ 2 hours", "Freshness: 2 hours\n\nexcept Sundays",
         "except"),
        (LINES, "Freshness: Feature age ≤ 2 hours", "Freshness: 2 hours\n\nSLA: 99%", "SLA"),
        (LINES, "Freshness: Feature", "From Monday\nFreshness: Feature", "Freshness: F"),
        (OURS, "- **Outliers", "\nFreshnes: 3 hours\n\n- **Outliers", "Freshnes:"),
        (OURS, "- **Outliers", "\nFreshness: 3 hours\n\n- **Outliers", "- **Freshness"),
        (OURS, "## 7.", f"| Field | Value |\n|-|-|\n{FRESH}\n\n## 7.", FRESH),
        (OURS, "## 7.", "**Freshness**\n\n3 hours\n\n## 7.", "**Freshness**"),
    ],
)  # fmt: skip
def test_nothing_among_clauses_is_passed_over(
    text: str, old: str, new: str, marked: str, tmp_path: Path
) -> None:
    assert text.count(old) == 1
    broken = text.replace(old, new)
    line = next(i for i, line in enumerate(broken.split("\n"), start=1) if marked in line)
    assert line in [problem.line for problem in lint(_put(tmp_path, broken))]


@pytest.mark.parametrize("text", [TABLE, LINES])
def test_an_introduction_and_a_comment_are_free(text: str, tmp_path: Path) -> None:
    spoken = text.replace("## 6. Data Quality Contract", "## 6. Data Quality\n\nAs ever, promises.")
    commented = spoken.replace("## 7.", "<!-- a word to the editor -->\n\n---\n\n## 7.")
    assert lint(_put(tmp_path, commented)) == []


def test_an_item_of_a_list_is_one_name_with_its_commas(tmp_path: Path) -> None:
    names = "- **Approved consumers:**\n  - Risk, EMEA\n  - Sales and Marketing\n  - ML Platform"
    text = OURS.replace("- **Approved consumers:** ML Platform, Marketing Analytics", names)
    assert load(_put(tmp_path, text)).privacy.consumers == (
        *("Risk, EMEA", "Sales and Marketing", "ML Platform"),
    )
    qualified = text.replace("Risk, EMEA", "Risk, EMEA only")
    assert [clause for _, clause in _problems(tmp_path, qualified)] == ["§9 approved consumers"]


def test_the_parts_of_a_rule_may_be_a_list(tmp_path: Path) -> None:
    listed = OURS.replace(
        "**Cardinality checks:** Join match rate ≥ 98%, fanout ratio ≤ 1.01",
        "**Cardinality checks:**\n  - Join match rate ≥ 98%\n  - fanout ratio ≤ 1.01",
    )
    assert load(_put(tmp_path, listed)).terms() == TERMS
    weekly = listed.replace("≤ 1.01", "≤ 1.01\n  - on weekdays")
    assert [clause for _, clause in _problems(tmp_path, weekly)] == ["§6 cardinality checks"]


def test_one_section_may_hold_both_of_its_subsections(tmp_path: Path) -> None:
    flat = TABLE.replace("### 5.1. Human-Readable Logic\n", "").replace("### 5.2. Schema\n", "")
    assert load(_put(tmp_path, flat)).terms() == TERMS


# What else reads a document


@pytest.mark.parametrize("seed", range(4))
def test_every_layout_can_be_signed_and_compared(seed: int, tmp_path: Path) -> None:
    path = _put(tmp_path, mixed(OURS, seed))
    signed = ["sign", str(path), "--as", "ml-owner", "--name", "N. Nilsen", "--date", "2026-02-01"]
    before = read_edition(path)
    assert CliRunner().invoke(app, signed).exit_code == 0
    after = read_edition(path)
    assert after.contract.sign_off.ml_owner.name == "N. Nilsen"
    assert [change.place[0] for change in diff(before, after).changes] == [
        "§12 ml owner approval",
        "§12 ml owner approval",
    ]


@pytest.mark.parametrize("seed", range(tries(12)))
def test_another_layout_is_no_change_of_a_promise(seed: int, tmp_path: Path) -> None:
    one, two = _put(tmp_path, OURS, "one.md"), _put(tmp_path, mixed(OURS, seed), "two.md")
    changes = diff(read_edition(one), read_edition(two))
    assert [change.clause for change in changes.changes] == []


@pytest.mark.parametrize("seed", range(tries(12)))
def test_no_word_more_goes_unseen_in_any_layout(seed: int, tmp_path: Path) -> None:
    """In a line, below it, as a row: a problem, or more than plain words changed."""
    draws, text = random.Random(seed), mixed(TEXTS[seed % len(TEXTS)], seed)
    before, lines = read_edition(_put(tmp_path, text)), text.split("\n")
    clauses = sorted(before.contract.lines.values())
    introductions = {  # the lines from a heading to the section's first clause are free
        line
        for section in parse(text).sections
        for line in range(section.line, min((c for c in clauses if c > section.line), default=0))
    }
    for at in draws.sample(sorted(set(range(3, len(lines))) - introductions), 24 if WHOLE else 6):
        words = lines[at - 1].split(" ")
        words.insert(draws.randrange(len(words) + 1), "wombat")
        for said in (
            " ".join(words),
            f"{lines[at - 1]}\n\nexcept a wombat\n",
            f"{lines[at - 1]}\n| a | wombat |",
        ):
            changed = "\n".join([*lines[: at - 1], said, *lines[at:]])
            try:
                changes = diff(before, read_edition(_put(tmp_path, changed, "changed.md")))
            except InvalidContract:
                continue
            assert changes.changes_a_promise, (at, said)


@pytest.mark.parametrize(
    "label",
    ["Freshness (on weekdays)", "Freshness (target)", "Freshness (EMEA)", "Freshness (p95)"],
)
def test_a_word_in_brackets_of_a_label_is_no_hint_unless_it_is_the_labels(
    label: str, tmp_path: Path
) -> None:
    assert "§6" in dict(_problems(tmp_path, OURS.replace("Freshness:", f"{label}:"))).values()
    hinted = OURS.replace("**Owner (team/person):**", "**Owner (squad name):**")
    assert lint(_put(tmp_path, hinted)) == []


@pytest.mark.parametrize(
    "heading", ["6. Data Quality Contract on weekdays", "6. Data Quality (targets only)"]
)
def test_a_word_more_in_a_heading_is_a_problem(heading: str, tmp_path: Path) -> None:
    text = OURS.replace("6. Data Quality Contract", heading)
    assert [clause for _, clause in _problems(tmp_path, text)] == ["§6"]


def test_the_items_of_a_clause_may_stand_on_its_line(tmp_path: Path) -> None:
    ranges = "avg_order_value_30d: 0–10,000; orders_30d: 0–1,000; sessions_30d: 0–10,000"
    listed = "\n".join(f"  - {part}" for part in ranges.split("; "))
    text = OURS.replace(f"values:**\n{listed}", f"values:** {ranges}")
    assert text != OURS
    assert load(_put(tmp_path, text)).terms() == TERMS
    broken = text.replace("0–1,000;", "0–1,000 on weekdays;")
    assert [clause for _, clause in _problems(tmp_path, broken)] == ["§5.2 allowed range"]


def test_lines_further_in_are_the_items_of_the_label_above(tmp_path: Path) -> None:
    ranges = "  avg_order_value_30d: 0–10,000\n  orders_30d: 0–1,000\n  sessions_30d: 0–10,000"
    text = LINES.replace(
        "Allowed range / values:\n\n- avg_order_value_30d: 0–10,000\n- orders_30d: 0–1,000\n"
        "- sessions_30d: 0–10,000\n",
        f"Allowed range / values:\n{ranges}\n",
    )
    assert text != LINES
    assert load(_put(tmp_path, text)).terms() == TERMS
    broken = text.replace("0–1,000", "0–1,000 on weekdays")
    line = broken.split("\n").index("  orders_30d: 0–1,000 on weekdays") + 1
    assert _problems(tmp_path, broken) == [(line, "§5.2 allowed range")]


@pytest.mark.parametrize(
    "title",
    [
        "Feature Contract: customer_profile v1",
        "Feature contract - customer_profile, version 1",
        "Feature Contract – customer_profile_v1",
        "Feature Contract — customer_profile, v1",
    ],
)
def test_a_title_names_feature_and_version_in_its_own_way(title: str, tmp_path: Path) -> None:
    text = OURS.replace("Feature Contract — customer_profile (v1)", title)
    assert lint(_put(tmp_path, text)) == []
    assert _problems(tmp_path, text.replace(title, title.replace("1", "2"))) == [(1, "title")]
    assert _problems(tmp_path, text.replace(title, f"{title} draft")) == [(1, "title")]


def test_a_releases_note_may_stand_after_a_dash(tmp_path: Path) -> None:
    text = OURS.replace("v1 — 2026-01-01: First release", "v1 — 2026-01-01 — First release")
    assert load(_put(tmp_path, text)).terms() == TERMS
    assert _problems(tmp_path, text.replace(" — First release", "")) != []
