"""A document is read whole: to a Contract, or to every problem it has, each on its line."""

import re
from datetime import date, timedelta
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tries import tries

from contract_checks.language.contract import Contract
from contract_checks.language.document import parse
from contract_checks.language.feature_columns import ALSO_LANDS
from contract_checks.language.form import CLAUSES, TITLES, Clause, same_title
from contract_checks.language.loader import InvalidContract, Problem, lint, load
from contract_checks.language.people import names
from contract_checks.language.terms import AllowedValues, Cadence, Range, Terms
from contract_checks.language.values import answerer, name

ROOT = Path(__file__).parents[3]
OURS = ROOT / "contracts" / "customer_profile_v1.md"
OWNERS = ROOT.parent / "shared" / "contract" / "customer_profile_v1.md"
OTHER_TEAMS = sorted((ROOT / "tests" / "contracts").glob("*.md"))
INVALID = sorted((ROOT / "tests" / "contracts" / "invalid").glob("*.md"))

LINES = OURS.read_text(encoding="utf-8").splitlines()
VALUED = [clause for clause in CLAUSES if not clause.group and not clause.entry]


def _line_of(clause: Clause) -> int:
    """The index of the clause's line in our document, found by its text alone."""
    heading = rf"#+ {re.escape(clause.section)}\.? {re.escape(TITLES[clause.section])}"
    start = next(index for index, line in enumerate(LINES) if re.fullmatch(heading, line))
    label = f"- **{clause.label}:**"
    return next(i for i in range(start, len(LINES)) if LINES[i].strip().startswith(label))


def _lint(lines: list[str], directory: Path) -> list[Problem]:
    document = directory / "contract.md"
    document.write_text("\n".join(lines), encoding="utf-8")
    return lint(document)


# Shape


def test_sections_and_bullets_carry_their_lines() -> None:
    document = parse(
        dedent("""\
        # Title

        ## 1. First
        Words between heading and list.

        - **Owner (team):** Some
          Team
        - **Link**: https://a.b/c
        - **List:**
          - plain_name: 0–1
        ### 1.2 Second
        """)
    )
    first, second = document.sections
    owner, link, items = first.bullets
    assert (document.title, first.number, first.title, first.line) == ("Title", "1", "First", 3)
    assert (owner.label, owner.value, owner.line) == ("Owner (team)", "Some Team", 6)
    assert (link.label, link.value) == ("Link", "https://a.b/c")
    assert [(item.label, item.value, item.line) for item in items.items] == [
        ("plain_name", "0–1", 10)
    ]
    assert (second.number, second.title, second.line, second.bullets) == ("1.2", "Second", 11, ())


def test_every_field_of_the_contract_is_filled_by_one_clause() -> None:
    sections = {
        name: info.annotation
        for name, info in Contract.model_fields.items()
        if name not in ("prose", "lines", "path")
    }
    fields = [
        f"{section}.{field}"
        for section, model in sections.items()
        if isinstance(model, type) and issubclass(model, Terms)
        for field in model.model_fields
    ]
    landed = [*(clause.lands for clause in CLAUSES if clause.lands), *ALSO_LANDS]
    assert sorted(fields) == sorted(landed)


def test_clause_ids_are_the_section_and_the_short_label() -> None:
    ids = [clause.id for clause in CLAUSES]
    assert len(ids) == len(set(ids)) == 74
    assert {
        "§1 owner",
        "§3 lookback window",
        "§5.1 dedup rules",
        "§5.2 allowed range",
        "§6 freshness",
        "§7 warn",
        "§10 changelog",
        "§12 data owner approval",
    } <= set(ids)


@pytest.mark.parametrize(
    ("title", "agrees"),
    [
        ("Drift & Monitoring", True),
        ("drift and monitoring", True),
        ("Drift", True),
        ("Drift & Alarms", False),
        ("", False),
    ],
)
def test_titles_agree_as_far_as_the_shorter_goes(title: str, agrees: bool) -> None:
    assert same_title(title, "Drift & Monitoring") is agrees


# Valid documents


def test_ours_and_the_owners_document_make_the_same_promises() -> None:
    if not OWNERS.exists():
        pytest.skip(f"the owner's document is not at {OWNERS}")
    assert load(OURS).terms() == load(OWNERS).terms()


def test_the_contract_says_what_the_document_says() -> None:
    contract = load(OURS)
    assert contract.overview.feature_name == "customer_profile"
    assert contract.time.lookback == timedelta(days=30)
    assert contract.time.allowed_lateness == timedelta(hours=24)
    assert contract.definition.allowed["orders_30d"] == Range(minimum=0, maximum=1000)
    assert contract.quality.freshness == timedelta(hours=2)
    assert contract.quality.cardinality.maximum_fanout_ratio == 1.01
    assert (contract.drift.warn.minimum, contract.drift.fail.minimum) == (0.1, 0.2)
    assert contract.test_plan.performance.maximum_latency == timedelta(milliseconds=50)
    assert contract.versioning.changelog == {"v1": date(2026, 1, 1)}
    assert contract.sign_off.platform.name == "Platform Lead"
    assert contract.features == (
        "avg_order_value_30d",
        "distinct_order_days_30d",
        "orders_30d",
        "sessions_30d",
    )


def test_every_clause_has_its_line_and_prose_is_kept_apart() -> None:
    contract = load(OURS)
    assert contract.lines == {clause.id: _line_of(clause) + 1 for clause in CLAUSES}
    assert set(contract.prose) == {clause.id for clause in CLAUSES if clause.is_prose}
    assert not {"prose", "lines", "path"} & contract.terms().keys()


def test_prose_may_differ_but_a_number_may_not(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    text = "\n".join(LINES)
    other.write_text(text.replace("Churn prediction,", "Churn prediction ,"), encoding="utf-8")
    assert load(other).terms() == load(OURS).terms()
    other.write_text(text.replace("≤ 2 hours", "≤ 3 hours"), encoding="utf-8")
    assert load(other).terms() != load(OURS).terms()


def _terms_in_the_text() -> list[tuple[int, int, int]]:
    """Where the typed clauses of our document write a number or a column: line, start, end."""
    headings = [i for i, line in enumerate(LINES) if line.startswith("#")]
    skipped = {*headings, *(_line_of(clause) for clause in CLAUSES if clause.is_prose)}
    return [
        (index, found.start(), found.end())
        for index, line in enumerate(LINES)
        if index not in skipped and line.strip().startswith("-")
        for found in re.finditer(r"(?<![A-Za-z_])[0-9]+|\w+_\w+", line)
    ]


def test_no_number_and_no_column_goes_unread(tmp_path: Path) -> None:
    promised = load(OURS).terms()
    places = _terms_in_the_text()
    assert len(places) > 60
    for index, start, end in places:
        line = LINES[index]
        term = line[start:end]
        other = f"{term}_x" if "_" in term else str(int(term) + 1).zfill(len(term))
        changed = [*LINES[:index], line[:start] + other + line[end:], *LINES[index + 1 :]]
        if not _lint(changed, tmp_path):
            assert load(tmp_path / "contract.md").terms() != promised, changed[index]


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load(OURS).overview.version = "v2"


def test_other_teams_documents_are_there() -> None:
    assert len(OTHER_TEAMS) >= 2


@pytest.mark.parametrize("document", [OURS, *OTHER_TEAMS], ids=lambda path: path.stem)
def test_valid_documents_have_no_problems(document: Path) -> None:
    assert lint(document) == []


def test_another_teams_wording_and_numbers_are_read() -> None:
    contract = load(ROOT / "tests" / "contracts" / "merchant_risk_v2.md")
    assert contract.entity.join_keys == ("merchant_id",)
    assert contract.entity.expected_match_rate == 0.995
    assert contract.time.timezone == "Europe/Oslo"
    assert contract.time.lookback == contract.definition.window == timedelta(days=7)
    assert contract.time.allowed_lateness == timedelta(hours=6)
    assert contract.source.refresh_cadence == Cadence(every=timedelta(minutes=5))
    assert contract.quality.freshness == timedelta(minutes=15)
    assert contract.quality.outliers.percentile == 99.5
    assert contract.definition.allowed["payments_7d"] == Range(minimum=0, maximum=None)
    assert contract.definition.allowed["balance_change_7d"] == Range(
        minimum=-2_500_000.5, maximum=2_500_000.5
    )
    assert contract.privacy.masking is None
    assert contract.features == (
        "balance_change_7d",
        "chargeback_ratio_7d",
        "chargebacks_7d",
        "paid_7d",
        "payments_7d",
    )


def test_composite_keys_and_allowed_values_are_read() -> None:
    contract = load(ROOT / "tests" / "contracts" / "device_session_v1.md")
    keys = ("device_id", "region_code")
    assert contract.entity.join_keys == contract.quality.unique_per == keys
    assert contract.definition.dedup is not None
    assert contract.definition.dedup.key == keys
    assert contract.definition.allowed["plan_tier"] == AllowedValues(
        values=("free", "pro", "enterprise")
    )
    assert contract.definition.default is None
    assert contract.definition.filters is None


# Invalid documents


def test_the_corpus_of_invalid_documents_is_there() -> None:
    assert len(INVALID) >= 50
    assert {path.stem for path in INVALID} == {
        path.stem for path in (ROOT / "tests" / "contracts" / "invalid").glob("*.expected")
    }


@pytest.mark.parametrize("document", INVALID, ids=lambda path: path.stem)
def test_invalid_documents_have_exactly_the_problems_expected(document: Path) -> None:
    expected = document.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    assert expected
    assert [str(problem) for problem in lint(document)] == expected


def test_a_file_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    assert [problem.line for problem in lint(tmp_path / "nowhere.md")] == [1]
    assert [problem.line for problem in lint(tmp_path)] == [1]


def test_all_problems_are_raised_at_once_in_the_order_of_lines(tmp_path: Path) -> None:
    lines = [re.sub(r"\*\* (30d|≥ 98%|Active)$", "** ?!", line) for line in LINES]
    (tmp_path / "contract.md").write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(InvalidContract, match="§3 lookback window") as raised:
        load(tmp_path / "contract.md")
    problems = raised.value.problems
    assert [problem.clause for problem in problems] == [
        "§1 status",
        "§2 expected match rate",
        "§3 lookback window",
    ]
    assert [lines[problem.line - 1].endswith("?!") for problem in problems] == [True] * 3


@pytest.mark.parametrize("clause", CLAUSES, ids=lambda clause: clause.id)
def test_a_missing_clause_is_named(clause: Clause, tmp_path: Path) -> None:
    index = _line_of(clause)
    problems = _lint(LINES[:index] + LINES[index + 1 :], tmp_path)
    assert clause.id in [problem.clause for problem in problems if "missing" in problem.message]


@pytest.mark.parametrize(
    ("clause", "garbage"),
    [
        pytest.param(clause, garbage, id=f"{clause.id}-{garbage}")
        for clause in VALUED
        for garbage in ("?!", "", "12 parsecs")
        if garbage != "12 parsecs"
        or not (clause.is_prose or clause.reader in (name, answerer, names))
    ],
)
def test_a_garbled_value_is_located(clause: Clause, garbage: str, tmp_path: Path) -> None:
    index = _line_of(clause)
    garbled = re.sub(r":\*\*.*", f":** {garbage}", LINES[index])
    problems = _lint([*LINES[:index], garbled, *LINES[index + 1 :]], tmp_path)
    assert (index + 1, clause.id) in [(problem.line, problem.clause) for problem in problems]


@pytest.mark.parametrize("number", [number for number in TITLES if number != "5"])
def test_a_missing_section_is_one_problem(number: str, tmp_path: Path) -> None:
    headings = [index for index, line in enumerate(LINES) if line.startswith("##")]
    start = next(
        i for i in headings if LINES[i].strip("# ").startswith((f"{number}.", f"{number} "))
    )
    end = next((index for index in headings if index > start), len(LINES))
    problems = _lint(LINES[:start] + LINES[end:], tmp_path)
    missing = [problem.clause for problem in problems if "section missing" in problem.message]
    assert missing == [f"§{number}"]
    assert [p for p in problems if p.clause.startswith(f"§{number} ")] == []


# Any document at all


def _edited() -> st.SearchStrategy[str]:
    """Our document after a few deletions, repetitions, swaps and edits of single characters."""
    position = st.integers(0, len(LINES) - 1)
    edit = st.tuples(st.sampled_from(["delete", "repeat", "swap", "type"]), position, position)
    typed = st.text(st.sampled_from(["*", "-", "#", ":", " ", "≥", "%", "9", "–", "\n", "é", "\\"]))
    return st.builds(_apply, st.lists(st.tuples(edit, typed), min_size=1, max_size=4))


def _apply(edits: list[tuple[tuple[str, int, int], str]]) -> str:
    lines = list(LINES)
    for (kind, one, other), typed in edits:
        one, other = one % len(lines), other % len(lines)
        if kind == "delete":
            del lines[one]
        elif kind == "repeat":
            lines.insert(other, lines[one])
        elif kind == "swap":
            lines[one], lines[other] = lines[other], lines[one]
        else:
            at = other % (len(lines[one]) + 1)
            lines[one] = lines[one][:at] + typed + lines[one][at + 1 :]
    return "\n".join(lines)


@settings(max_examples=tries(300))
@given(text=_edited() | st.text() | st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_any_text_is_a_contract_or_has_located_problems(
    text: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = tmp_path_factory.getbasetemp() / "any.md"
    document.write_text(text, encoding="utf-8")
    try:
        contract = load(document)
    except InvalidContract as invalid:
        assert invalid.problems
        last_line = max(1, len(text.splitlines()))
        for problem in invalid.problems:
            assert 1 <= problem.line <= last_line
            assert problem.clause
            assert problem.message
    else:
        assert contract.terms()


@settings(max_examples=tries(100))
@given(data=st.binary(max_size=200))
def test_any_bytes_have_located_problems(
    data: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    document = tmp_path_factory.getbasetemp() / "any.bin"
    document.write_bytes(data)
    problems = lint(document)
    assert problems
    assert all(problem.line >= 1 for problem in problems)


def test_a_very_long_label_is_an_unknown_one(tmp_path: Path) -> None:
    problems = _lint([*LINES, "- **" + "(" * 20_000 + ":** x"], tmp_path)
    assert [problem.clause for problem in problems] == ["§12"]
