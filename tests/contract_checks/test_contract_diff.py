"""Every change of a contract is graded, from its readers' side.

An edit is a file of `tests/edits`: what to replace in our document, and the changes, grade and
bump a person expects of it, forwards and back.
"""

import json
import random
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from types import UnionType
from typing import Any, Union, get_args, get_origin

import pytest
from click import unstyle
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tries import tries
from typer.testing import CliRunner

from contract_checks.changes.diff import Diff, Edition, diff, read_edition, row
from contract_checks.changes.grades import Grade, breaks_either_way, looser_when_higher
from contract_checks.changes.grading import GRADING, NAMES, REVIEWS, SENSITIVITY
from contract_checks.cli import app
from contract_checks.commands.diff import as_text
from contract_checks.language.contract import Contract, Privacy
from contract_checks.language.form import CLAUSES
from contract_checks.language.loader import InvalidContract
from contract_checks.language.terms import Terms

ROOT = Path(__file__).parents[2]
OURS = ROOT / "contracts" / "customer_profile_v1.md"
OWNERS = ROOT.parent / "shared" / "contract" / "customer_profile_v1.md"
OTHER_TEAMS = sorted((ROOT / "tests" / "contracts").glob("*.md"))
INVALID = ROOT / "tests" / "contracts" / "invalid" / "several_defects.md"
TEXT = OURS.read_text(encoding="utf-8")
OUR_EDITION = read_edition(OURS)


@dataclass(frozen=True, eq=False)
class Edit:
    """A labelled edit of our document."""

    name: str
    replacements: tuple[tuple[str, str], ...]
    expected: dict[str, Any]

    def of(self, text: str) -> str | None:
        """The text with the edit made; None where it has not the words to replace, each once."""
        for old, new in self.replacements:
            if text.count(old) != 1:
                return None
            text = text.replace(old, new)
        return text

    def wrote_what_is_replaced_by(self, other: "Edit") -> bool:
        """Whether the other would edit the words of this one, and not ours."""
        return any(old in new for _, new in self.replacements for old, _ in other.replacements)


def _read(path: Path) -> Edit:
    edit = tomllib.loads(path.read_text(encoding="utf-8"))
    replacements = tuple((part["replace"], part["with"]) for part in edit["edit"])
    return Edit(path.stem, replacements, edit["expected"])


EDITS = [_read(path) for path in sorted((ROOT / "tests" / "edits").glob("*.toml"))]
NAMED = {edit.name: edit for edit in EDITS}


def _edition(text: str | None, directory: Path, name: str = "new.md") -> Edition:
    assert text is not None
    (directory / name).write_text(text, encoding="utf-8")
    return read_edition(directory / name)


@cache
def _edited(edit: Edit) -> Edition:
    with TemporaryDirectory() as folder:
        return _edition(edit.of(TEXT), Path(folder))


def _grade(changes: Diff) -> str | None:
    return None if changes.grade is None else changes.grade.word


def _text(changes: Diff) -> str:
    return unstyle("\n".join(as_text(changes)))


# The labelled edits


def test_the_edits_are_many_and_go_both_ways() -> None:
    assert len(EDITS) >= 120
    pairs = {name for name in NAMED if name.replace("_loosened", "_tightened") in NAMED}
    assert len({name for name in pairs if name.endswith("_loosened")}) >= 10
    assert {edit.expected["grade"] for edit in EDITS} == {grade.word for grade in Grade}
    assert {edit.expected["bump_present"] for edit in EDITS} == {True, False}


def test_every_clause_is_edited() -> None:
    edited = {change.split(": ")[0] for edit in EDITS for change in edit.expected["changes"]}
    assert edited == {clause.id for clause in CLAUSES if not clause.group}


def test_every_term_is_edited() -> None:
    changes = [change for edit in EDITS for change in diff(OUR_EDITION, _edited(edit)).changes]
    met = {row(tuple(change.term.split("."))) for change in changes if change.term}
    assert met == set(GRADING) - NOT_IN_OURS


NOT_IN_OURS = {
    "definition.allowed.*.values",  # our features are all numbers
    *(f"definition.allowed.*.{part}" for part in ("minimum_excluded", "maximum_excluded", "unit")),
    *(term for term in GRADING if term.startswith("definition.features.")),  # no row of its own
    *("drift.warn.also", "drift.fail.also", "test_plan.performance.also"),  # one of each
    *(f"source.refresh_cadence.{part}" for part in ("at", "zone", "weekday")),
}
"""What our document does not say; see the next tests."""


@pytest.mark.parametrize(
    ("old", "new", "grade", "said"),
    [
        (
            "orders_30d: 0–1,000",
            "orders_30d: 0 ≤ x < 1,000",
            Grade.COMPATIBLE,
            "maximum excluded no → yes",
        ),
        ("orders_30d: 0–1,000", "orders_30d: 0–1,000 EUR", Grade.BREAKING, "unit none → EUR"),
        ("cadence:** hourly", "cadence:** hourly at 04:00", None, ""),
        ("cadence:** hourly", "cadence:** daily at 04:00", Grade.BREAKING, "at none → 04:00"),
    ],
)
def test_what_a_document_may_say_more_precisely_is_graded(
    tmp_path: Path, old: str, new: str, grade: Grade | None, said: str
) -> None:
    text = OUR_EDITION.contract.path.read_text("utf-8")
    assert old in text
    if grade is None:
        with pytest.raises(InvalidContract):
            _edition(text.replace(old, new), tmp_path)
        return
    changes = diff(OUR_EDITION, _edition(text.replace(old, new), tmp_path))
    assert changes.grade == grade
    assert said in _text(changes)


def test_a_set_of_values_may_shrink_but_not_grow(tmp_path: Path) -> None:
    document = next(path for path in OTHER_TEAMS if "free, pro" in path.read_text("utf-8"))
    text, old = document.read_text("utf-8"), read_edition(document)
    fewer, more, moved = (
        diff(old, _edition(text.replace("free, pro, enterprise", values), tmp_path))
        for values in ("free, pro", "free, pro, team, enterprise", "pro, free, enterprise")
    )
    assert [changes.grade for changes in (fewer, more, moved)] == [
        Grade.COMPATIBLE,
        Grade.BREAKING,
        Grade.EDITORIAL,
    ]
    assert "plan_tier values none → team: " in _text(more)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.name)
def test_an_edit_is_graded_as_its_label_says(edit: Edit) -> None:
    new = _edited(edit)
    changes = diff(OUR_EDITION, new)
    assert {
        "changes": [f"{change.clause}: {change.grade.word}" for change in changes.changes],
        "grade": _grade(changes),
        "bump": changes.bump,
        "bump_present": changes.bump_is_present,
        "reverse": _grade(diff(new, OUR_EDITION)),
    } == edit.expected


def test_the_document_order_is_the_new_documents(tmp_path: Path) -> None:
    line = "- **Business purpose:** Moved and reworded.\n"
    old = next(line for line in TEXT.splitlines(True) if "Business purpose" in line)
    moved = TEXT.replace(old, "").replace("- **Version:**", f"{line}- **Version:**")
    moved = moved.replace("Customer Analytics Team", "Growth Team")
    changes = diff(OUR_EDITION, _edition(moved, tmp_path)).changes
    assert [(change.clause, change.old_line, change.new_line) for change in changes] == [
        ("§1 business purpose", 9, 5),
        ("§1 owner", 7, 8),
    ]


# The table


def _terms(path: str, kind: Any) -> Iterator[str]:
    """The rows a field needs, by its type: one per value, and one where a group may come or go."""
    in_list = get_origin(kind) is dict
    if in_list:
        path, kind = f"{path}.*", get_args(kind)[1]
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    groups = [part for part in parts if isinstance(part, type) and issubclass(part, Terms)]
    if in_list or groups != [kind]:
        yield path
    for group in groups:
        for name, field in group.model_fields.items():
            yield from _terms(f"{path}.{name}", field.annotation)


def test_every_term_of_a_contract_has_a_grade_and_every_grade_a_term() -> None:
    aside = {"prose", "texts", "lines", "path"}  # words and places, not terms
    terms = {
        term
        for name, field in Contract.model_fields.items()
        if name not in aside
        for term in _terms(name, field.annotation)
    }
    assert len(terms) > 85
    assert terms == set(GRADING)
    assert terms > NAMES


def test_the_walk_would_see_a_new_term() -> None:
    class Nested(Terms):
        one: int
        other: str | None

    class Grown(Terms):
        plain: float
        group: Nested
        optional: Nested | None
        names: tuple[Nested, ...]
        items: dict[str, Nested]

    assert [term.removeprefix("grown.") for term in _terms("grown", Grown)] == [
        "plain",
        "group.one",
        "group.other",
        "optional",
        "optional.one",
        "optional.other",
        "names",
        "items.*",
        "items.*.one",
        "items.*.other",
    ]


def test_scales_hold_every_word_the_contract_knows() -> None:
    for scale, term in ((SENSITIVITY, "classification"), (REVIEWS, "access_review")):
        assert scale == get_args(Privacy.model_fields[term].annotation)


@pytest.mark.parametrize("term", sorted(GRADING))
def test_a_reason_is_a_phrase_on_one_line(term: str) -> None:
    samples: list[Any] = [(None, "v1"), ("v1", None), ("v1", "v2")]
    for old, new in samples:
        try:
            why = GRADING[term](old, new).why
        except (ValueError, TypeError):  # a rule for other values than texts
            continue
        assert 10 < len(why) < 100
        assert not why.endswith(".")
        assert ": " not in why


def test_versions_are_counted_and_never_taken_back() -> None:
    rule = GRADING["overview.version"]
    assert (rule("v9", "v10").grade, rule("v2", "v1").grade) == (Grade.COMPATIBLE, Grade.BREAKING)


def test_no_limit_is_the_loosest_limit() -> None:
    rule = looser_when_higher("higher")
    assert rule(10, None).grade is Grade.BREAKING
    assert rule(None, 10).grade is Grade.COMPATIBLE


def test_either_way_has_a_reason_of_its_own() -> None:
    rule = breaks_either_way(higher="up", lower="down")
    day = timedelta(1)
    assert (rule(day, 2 * day).why, rule(2 * day, day).why) == ("up", "down")


# Documents as wholes


@pytest.mark.parametrize("document", [OURS, *OTHER_TEAMS], ids=lambda path: path.name)
def test_a_document_does_not_differ_from_itself(document: Path) -> None:
    edition = read_edition(document)
    changes = diff(edition, edition)
    assert (changes.changes, changes.grade, changes.changes_a_promise) == ((), None, False)


@pytest.mark.skipif(not OWNERS.exists(), reason="the owner's own document is not at hand")
def test_our_copy_only_rewords_the_owners_document() -> None:
    changes = diff(read_edition(OWNERS), OUR_EDITION)
    assert len(changes.changes) > 10
    prose = {clause.id for clause in CLAUSES if clause.is_prose} | {"§10 changelog"}
    assert {change.grade for change in changes.changes} == {Grade.EDITORIAL, Grade.PROSE}
    assert {change.clause for change in changes.having(Grade.PROSE)} <= prose


def test_any_two_documents_can_be_compared() -> None:
    documents = [OURS, *OTHER_TEAMS, OURS]
    assert len(documents) > 3
    for old, new in pairwise(map(read_edition, documents)):
        lines = list(as_text(diff(old, new)))
        assert len(lines) > 60
        assert all(len(line.splitlines()) == 1 for line in lines)


@settings(max_examples=tries(150))
@given(st.sampled_from(EDITS), st.sampled_from(EDITS))
def test_two_edits_are_as_grave_as_the_graver(one: Edit, other: Edit) -> None:
    first = one.of(TEXT)
    both = other.of(first) if first else None
    assume(both and one is not other and not one.wrote_what_is_replaced_by(other))
    with TemporaryDirectory() as directory:
        try:
            changes = diff(OUR_EDITION, _edition(both, Path(directory)))
        except InvalidContract:  # each keeps the clauses in agreement, both together may not
            assume(False)
    grades = [Grade[edit.expected["grade"].upper()] for edit in (one, other)]
    assert changes.grade == max(grades)
    assert len(list(as_text(changes))) == len(changes.changes) + 2


# The command


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "contract_checks", "diff", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture
def edited(tmp_path: Path) -> Path:
    """Our document with one edit of each grade."""
    _edition(NAMED["whole_loosened_here_tightened_there"].of(TEXT), tmp_path)
    return tmp_path / "new.md"


def test_the_text_is_a_line_per_change_and_a_summary(edited: Path) -> None:
    done = _run("contracts/customer_profile_v1.md", edited)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == (
        f"contracts/customer_profile_v1.md → {edited}\n"
        "compatible  changelog entry  §6 completeness                      74→74    "
        "1% → 0.1%: stricter, and whoever relied on the old promise still can\n"
        "breaking    new version v2   §6 freshness                         79→79    "
        "2h → 6h: values may be staler\n"
        "prose       changelog entry  §10 changelog                        129→129  "
        "v1 'v1 — 2026-01-01: First release' → 'v1 — 2026-01-01: Initial release': "
        "words for people changed, and only they can say whether the promise did\n"
        "1 breaking, 1 compatible, 1 prose, 0 editorial: "
        "requires new version v2, version bump missing\n"
    )


def test_the_json_holds_the_same(edited: Path) -> None:
    done = _run("contracts/customer_profile_v1.md", edited, "--format", "json")
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == {
        "old": {"path": "contracts/customer_profile_v1.md", "version": "v1"},
        "new": {"path": str(edited), "version": "v1"},
        "changes": [
            {
                "clause": "§6 completeness",
                "term": "quality.maximum_null_rate",
                "old_line": 74,
                "new_line": 74,
                "old": 0.01,
                "new": 0.001,
                "grade": "compatible",
                "bump": "changelog entry",
                "why": "stricter, and whoever relied on the old promise still can",
            },
            {
                "clause": "§6 freshness",
                "term": "quality.freshness",
                "old_line": 79,
                "new_line": 79,
                "old": "PT2H",
                "new": "PT6H",
                "grade": "breaking",
                "bump": "new version",
                "why": "values may be staler",
            },
            {
                "clause": "§10 changelog",
                "term": None,
                "old_line": 129,
                "new_line": 129,
                "old": "v1 — 2026-01-01: First release",
                "new": "v1 — 2026-01-01: Initial release",
                "grade": "prose",
                "bump": "changelog entry",
                "why": "words for people changed, and only they can say whether the promise did",
            },
        ],
        "counts": {"breaking": 1, "compatible": 1, "prose": 1, "editorial": 0},
        "grade": "breaking",
        "bump": "new version",
        "bump_present": False,
        "summary": (
            "1 breaking, 1 compatible, 1 prose, 0 editorial: "
            "requires new version v2, version bump missing"
        ),
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("05_range_widened", "orders_30d maximum 1,000 → 5,000: "),
        ("05_feature_removed", "  67→–     sessions_30d 0–10,000 → none: "),
        ("05_feature_added", "  –→68     returns_30d none → 0–1,000: "),
        ("05_range_left_open", "sessions_30d maximum 10,000 → none: "),
        ("05_range_becomes_a_set", "sessions_30d 0–10,000 → values low + high: "),
        ("05_filter_dropped", " minimum events 1, window 30d → none: "),
        ("05_nullable_allowed", " no → yes: "),
        ("06_consistency_dropped", " orders_30d ≥ distinct_order_days_30d → none: "),
        ("06_fanout_ratio_loosened", " maximum fanout ratio 1.01 → 1.5: "),
        ("09_consumer_added", " none → Risk: "),
        ("10_changelog_entry_added", "  –→130    v2 none → 2026-06-01: "),
        ("11_errors_loosened", " maximum error rate 0.1% → 1%: "),
    ],
)
def test_a_value_is_shown_as_a_document_would_write_it(
    name: str, shown: str, tmp_path: Path
) -> None:
    changes = diff(OUR_EDITION, _edition(NAMED[name].of(TEXT), tmp_path))
    assert shown in _text(changes)


@pytest.mark.parametrize(
    ("name", "ending"),
    [
        ("06_freshness_loosened", "requires new version v2, version bump missing"),
        (
            "whole_freshness_loosened_in_a_new_version",
            "requires new version v2, version bump present",
        ),
        ("06_freshness_tightened", "requires changelog entry, entry missing"),
        ("whole_owner_changed_and_logged", "requires changelog entry, entry present"),
        (
            "06_freshness_in_minutes",
            "0 breaking, 0 compatible, 0 prose, 1 editorial: no promise changed",
        ),
        ("05_definition_reworded", "0 editorial: requires changelog entry, entry missing"),
        ("10_changelog_note_reworded", "0 editorial: requires changelog entry, entry present"),
    ],
)
def test_the_summary_says_whether_the_bump_is_there(name: str, ending: str, tmp_path: Path) -> None:
    changes = diff(OUR_EDITION, _edition(NAMED[name].of(TEXT), tmp_path))
    assert _text(changes).endswith(ending)


QUALIFIERS = (
    *("on weekdays", "on average", "for most customers", "except in December", "at the median"),
    *("where possible", "(best effort)", "unless agreed otherwise", "in EMEA", "from next year on"),
)


def _qualified(clauses: list[str], draws: random.Random) -> str:
    lines = TEXT.splitlines()
    for clause in clauses:
        lines[OUR_EDITION.contract.lines[clause] - 1] += f" {draws.choice(QUALIFIERS)}"
    return "\n".join(lines)


@pytest.mark.parametrize("seed", range(tries(80)))
def test_qualifiers_are_never_editorial(seed: int, tmp_path: Path) -> None:
    """Six at once, and each of them alone: the document is invalid, or more than words changed."""
    draws = random.Random(seed)
    told = [clause.id for clause in CLAUSES if not (clause.group or clause.entry)]
    chosen = draws.sample(told, 6)
    for clauses in (chosen, *([clause] for clause in chosen)):
        try:
            changes = diff(OUR_EDITION, _edition(_qualified(clauses, draws), tmp_path))
        except InvalidContract as invalid:
            assert invalid.problems
            continue
        assert changes.changes_a_promise, clauses
        assert {change.clause for change in changes.changes} == set(clauses)
        assert changes.having(Grade.EDITORIAL) == []


def test_words_for_people_exit_1(tmp_path: Path) -> None:
    _edition(NAMED["07_drift_checks_reworded"].of(TEXT), tmp_path)
    done = _run(OURS, tmp_path / "new.md")
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.endswith("requires changelog entry, entry missing\n")


def test_wording_alone_exits_0(tmp_path: Path) -> None:
    _edition(NAMED["03_window_in_other_units"].of(TEXT), tmp_path)
    done = _run(OURS, tmp_path / "new.md")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("no promise changed\n")


def test_no_change_exits_0() -> None:
    done = _run(OURS, OURS)
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["no change"])


def test_invalid_documents_exit_2_with_every_problem_of_both() -> None:
    done = _run(INVALID, "nowhere.md", "--format", "json")
    assert (done.returncode, done.stdout) == (2, "")
    *problems, missing = done.stderr.splitlines()
    assert len(problems) == 5
    assert all(problem.startswith(f"{INVALID}:") for problem in problems)
    assert missing.startswith("nowhere.md:1: document: cannot be read")


def test_colours_are_for_terminals_only(edited: Path) -> None:
    runner = CliRunner()
    assert "\x1b[" in runner.invoke(app, ["diff", str(OURS), str(edited)], color=True).stdout
    assert "\x1b[" not in _run(OURS, edited).stdout


def test_it_loads_nothing_heavy() -> None:
    probe = (
        "import sys; from contract_checks.cli import app\n"
        "app(['diff', *sys.argv[1:]], standalone_mode=False)\n"
        "print(sorted({'feast', 'pandas', 'pyarrow', 'duckdb', 'numpy'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-c", probe, OURS, OURS]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
