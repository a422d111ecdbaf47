"""A feature's own type, unit, default, nullability, range, null rate, window and drift (§5.2)."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_answers import OURS, answer
from kept_evidence import drifted, gathered, set_field, set_in

from contract_checks import checks
from contract_checks.changes.diff import Edition, diff, read_edition
from contract_checks.changes.grades import Grade
from contract_checks.evidence.declared import RegisteredView
from contract_checks.evidence.evidence import Evidence
from contract_checks.findings import Outcome
from contract_checks.judge import CHECKS
from contract_checks.language import odcs
from contract_checks.language.contract import Contract
from contract_checks.language.loader import load
from contract_checks.language.reading import readings
from contract_checks.language.signing import signed_content
from contract_checks.scaffold.definitions import fields

assert checks.__all__, "importing the package binds the checks"

pytestmark = pytest.mark.usefixtures("one_engine")

TEXT = "\n".join(OURS)
RANGES = re.search(r"- \*\*Allowed range / values:\*\*\n(?:  - .+\n?)+", TEXT)
assert RANGES
LIST = RANGES[0].rstrip("\n")
NULLABLE, DEFAULT = "- **Nullable:** no", "- **Default value:** zeros for numeric fields"
UNITS = "- **Units:** mixed"
HEADER = "| Feature | Type | Unit | Default | Nullable | Null rate | Window | PSI warn | PSI fail |"


OURS_AT = Path(__file__).parents[3] / "contracts" / "customer_profile_v1.md"
Change = Callable[[Evidence, Path], Evidence]


def table(*rows: str, header: str = HEADER) -> str:
    bars = "|---" * (header.count("|") - 1) + "|"
    return "\n".join([header, bars, *rows])


def with_table(written: str, text: str = TEXT) -> str:
    return text.replace(LIST, f"{LIST}\n\n{written}\n")


def contract(folder: Path, text: str, name: str = "contract.md") -> Contract:
    (folder / name).write_text(text, encoding="utf-8")
    return load(folder / name)


def own(folder: Path, text: str) -> Any:
    return contract(folder, text).terms()["definition"].get("features", {})


ROW = "| orders_30d | int64 | orders | 1 | yes | ≤ 3% | 7 days | 0.15 | 0.3 |"
OWN = {
    "data_type": "int64",
    "unit": "orders",
    "default": {"value": 1.0},
    "nullable": True,
    "maximum_null_rate": 0.03,
    "window": "P7D",
    "warn": {"metric": "PSI", "minimum": 0.15},
    "fail": {"metric": "PSI", "minimum": 0.3},
}


def test_a_row_is_a_features_own_terms_and_nothing_else_changes(tmp_path: Path) -> None:
    before, after = contract(tmp_path, TEXT), contract(tmp_path, with_table(table(ROW)), "table.md")
    expected = before.terms()
    expected["definition"]["features"] = {"orders_30d": OWN}
    assert after.terms() == expected
    assert signed_content(after) != signed_content(before)


COLUMNS = [cell.strip() for cell in HEADER.strip("|").split("|")]
CELLS = [cell.strip() for cell in ROW.strip("|").split("|")]
OTHERWISE = {
    "Feature": "Field",
    "Type": "dtype",
    "Unit": "units",
    "Default": "Default value",
    "Nullable": "Null?",
    "Null rate": "Max null rate",
    "Window": "look-back",
    "PSI warn": "Warn",
    "PSI fail": "Block",
}


@pytest.mark.parametrize("kept", [COLUMNS, COLUMNS[::-1], COLUMNS[3:5], COLUMNS[1:2], COLUMNS[6:]])
def test_columns_stand_in_any_number_and_order(kept: list[str], tmp_path: Path) -> None:
    columns = ["Feature", *(column for column in kept if column != "Feature")]
    cells = [CELLS[COLUMNS.index(column)] for column in columns]
    header = [OTHERWISE[column] for column in columns]
    names = dict(zip(COLUMNS[1:], OWN, strict=True))
    written = table(f"| {' | '.join(cells)} |", header=f"| {' | '.join(header)} |")
    expected = {names[column]: OWN[names[column]] for column in columns[1:]}
    assert own(tmp_path, with_table(written)) == {"orders_30d": expected}


def test_the_same_may_be_a_list_below_the_feature(tmp_path: Path) -> None:
    below = "".join(f"\n    - {c}: {v}" for c, v in zip(COLUMNS[1:], CELLS[1:], strict=True))
    line = "  - orders_30d: 0–1,000"
    listed = TEXT.replace(line, f"{line}{below}")
    contract(tmp_path, with_table(table(ROW)), "table.md")
    contract(tmp_path, listed, "list.md")
    assert own(tmp_path, listed) == {"orders_30d": OWN}
    changes = diff(read_edition(tmp_path / "table.md"), read_edition(tmp_path / "list.md"))
    assert not changes.changes_a_promise


def test_ranges_may_stand_in_the_table(tmp_path: Path) -> None:
    lines = [line.strip(" -").split(": ") for line in LIST.split("\n")[1:]]
    in_cells = table(*(f"| {n} | {r} |" for n, r in lines), header="| field | range / values |")
    of_bounds = table(
        *("| `{}` | {} | {} |".format(n, *r.split("–")) for n, r in lines),
        header="| Feature | min | max |",
    )
    expected = contract(tmp_path, TEXT).terms()
    for written in (in_cells, of_bounds):
        for above in ("- **Allowed range / values:** see table\n\n", "\n"):
            assert contract(tmp_path, TEXT.replace(LIST, above + written)).terms() == expected


SEE = TEXT.replace(NULLABLE, "- **Nullable:** see table").replace(
    DEFAULT, "- **Default value:** per feature, see table"
)
SEE = SEE.replace(UNITS, "- **Units:** mixed, see table")
EACH = "| Feature | Type | Unit | Nullable | Default | Values |"
EVERY = (
    *(
        "| avg_order_value_30d | double | EUR | yes | null | |",
        "| orders_30d | int | – | no | 0 | |",
    ),
    *("| sessions_30d | int | – | no | 0 | |", "| plan | enum | none | N | other | free, other |"),
)


def test_a_clause_may_leave_its_value_to_the_features(tmp_path: Path) -> None:
    read = contract(tmp_path, with_table(table(*EVERY, header=EACH), SEE))
    assert [read.default_of(f) for f in ("orders_30d", "avg_order_value_30d", "plan")] == [
        *(0, None, "other")
    ]
    assert [read.is_nullable(f) for f in ("orders_30d", "avg_order_value_30d")] == [False, True]
    said = readings(read)
    for clause in ("§5.2 nullable", "§5.2 default value", "§5.2 units"):
        assert "each feature has its own" in said[clause]
    assert "null" not in said["§5.2 default value"]


@pytest.mark.parametrize("missing", range(len(EVERY)))
def test_a_value_left_to_features_is_missing_where_one_has_none(
    missing: int, tmp_path: Path
) -> None:
    rows = [row for at, row in enumerate(EVERY) if at != missing]
    said = answer(tmp_path / "a.md", with_table(table(*rows, header=EACH), SEE)).problems
    assert bool(said) is (missing < 3)  # of the list's features all are needed
    assert answer(tmp_path / "b.md", SEE).problems


@pytest.mark.parametrize(
    ("header", "row", "told"),
    [
        ("| Feature | Type | Mood |", "| orders_30d | int | good |", "Mood"),
        ("| Feature | Type | dtype |", "| orders_30d | int | int |", "several columns"),
        ("| Feature | Type |", "| orders_30d | int | except on Sundays |", "more cells"),
        ("| Feature | Type |", "|  | int |", "names no feature"),
        ("| Feature | Range |", "| orders_30d | 0–5 |", "both tell its range"),
        ("| Feature | min | max |", "| orders_30d | 0 | 5 |", "both tell its range"),
        ("| Feature | Range | max |", "| other_30d | 0–5 | 5 |", "both tell its range"),
        ("| Feature | Type |", "| orders_30d | int |\n| orders_30d | int |", "repeated"),
        ("| Feature | Type |", "| orders_30d | map |", "data type"),
        ("| Feature | Type |", "| orders_30d | int or float |", "data type"),
        ("| Feature | Type |", "| orders_30d | string |", "a range of numbers"),
        ("| Feature | Type | Range |", "| plan | int | free, pro |", "listed values"),
        ("| Feature | Nullable |", "| orders_30d | required |", "nullable"),
        ("| Feature | Nullable |", "| orders_30d | yes on Sundays |", "nullable"),
        ("| Feature | Nullable |", "| orders_30d | - |", "nullable"),
        ("| Feature | Default |", "| orders_30d | null |", "not nullable"),
        ("| Feature | Default |", "| orders_30d | – |", "default"),
        ("| Feature | Default |", "| orders_30d | 0,5 |", "default"),
        ("| Feature | Default |", "| orders_30d | 5000 |", "outside the range"),
        ("| Feature | Default |", "| orders_30d | unknown |", "no number"),
        ("| Feature | Default | Range |", "| plan | free | pro, basic |", "none of its values"),
        ("| Feature | Null rate |", "| orders_30d | 1% on average |", "null rate"),
        ("| Feature | Null rate |", "| orders_30d | ≥ 1% |", "null rate"),
        ("| Feature | Null rate |", "| orders_30d | 0.01 |", "null rate"),
        ("| Feature | Window |", "| orders_30d | 1 month |", "window"),
        ("| Feature | Window |", "| orders_30d | 31 days |", "look"),
        ("| Feature | Window |", "| orders_30d | 7 business days |", "window"),
        ("| Feature | PSI warn |", "| orders_30d | KS ≥ 0.1 |", "drift metrics"),
        ("| Feature | PSI warn |", "| orders_30d | 0.2 |", "not below"),
        ("| Feature | PSI warn |", "| orders_30d | < 0.1 |", "warn"),
        ("| Feature | Unit | Range |", "| other_30d | EUR | 0–5 USD |", "EUR"),
        ("| Feature | Unit |", "| orders_30d | see below |", "unit"),
    ],
)
def test_what_a_row_cannot_mean_is_refused(
    header: str, row: str, told: str, tmp_path: Path
) -> None:
    problems = answer(tmp_path / "a.md", with_table(table(row, header=header))).problems
    assert problems
    assert told in " ".join(problem.message for problem in problems)
    assert {problem.clause for problem in problems} <= {"§5.2 allowed range", "§5.2"}
    first = with_table(table(row, header=header)).split("\n").index(header) + 1
    assert min(problem.line for problem in problems) >= first - 5


def test_an_empty_cell_leaves_the_general_value(tmp_path: Path) -> None:
    row = "| orders_30d |  | – | | | n/a | - | | |"
    assert own(tmp_path, with_table(table(row))) == {}


@pytest.fixture(scope="module")
def row_edition(tmp_path_factory: pytest.TempPathFactory) -> Edition:
    return read_edition(contract(tmp_path_factory.mktemp("row"), with_table(table(ROW))).path)


def test_the_odcs_document_holds_a_features_own_terms(row_edition: Edition) -> None:
    told = odcs.model(row_edition.contract)
    (orders,) = [p for p in told.schema_[0].properties if p.name == "orders_30d"]
    assert orders.logicalType == "integer"
    assert next(rule.mustBeLessOrEqualTo for rule in orders.quality) == 3
    (own_terms,) = [p for p in told.customProperties if p.property == "definitionFeatures"]
    assert own_terms.value == {"orders_30d": OWN}


LOOSER = {
    "Type": "int32",
    "Unit": "pieces",
    "Default": "2",
    "Null rate": "4%",
    "Window": "6 days",
    "PSI warn": "0.2",
    "PSI fail": "0.4",
}
STRICTER = {"Nullable": "no", "Null rate": "1%", "PSI warn": "0.12", "PSI fail": "0.2"}


@pytest.mark.parametrize(
    ("column", "cell", "grade"),
    [
        *((column, cell, Grade.BREAKING) for column, cell in LOOSER.items()),
        *((column, cell, Grade.COMPATIBLE) for column, cell in STRICTER.items()),
        *((column, "", Grade.BREAKING) for column in COLUMNS[1:]),
    ],
)
def test_every_change_of_a_cell_is_read_graded_and_signed(
    column: str, cell: str, grade: Grade, row_edition: Edition, tmp_path: Path
) -> None:
    cells = [cell if name == column else old for name, old in zip(COLUMNS, CELLS, strict=True)]
    changed = table(f"| {' | '.join(cells)} |")
    (tmp_path / "new.md").write_text(with_table(changed), encoding="utf-8")
    new = read_edition(tmp_path / "new.md")
    one, two = row_edition.contract, new.contract
    assert readings(one)["§5.2 allowed range"] != readings(two)["§5.2 allowed range"]
    assert signed_content(one) != signed_content(two)
    found = diff(row_edition, new)
    assert [change.place for change in found.changes] == [("§5.2 allowed range", "orders_30d")]
    assert found.grade is grade


@pytest.fixture(scope="module")
def general(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Evidence that keeps our contract; that a row says otherwise changes none of it."""
    return gathered(load(OURS_AT), tmp_path_factory.mktemp("kept"))


def outcomes(check: str, promised: Contract, evidence: Evidence) -> list[Outcome]:
    (bound,) = [each for each in CHECKS if each.name == check]
    return [finding.outcome for finding in bound.run(promised, evidence)]


def of_view(change: Callable[[RegisteredView], RegisteredView]) -> Change:
    def changed(evidence: Evidence, _: Path) -> Evidence:
        views = {name: change(view) for name, view in evidence.registry.views.items()}
        return replace(evidence, gathered_registry=replace(evidence.registry, views=views))

    return changed


def of_drift(psi: float) -> Change:
    return lambda evidence, _: replace(evidence, gathered_drift=drifted(psi)(evidence.drift))


def of_rows(change: Callable[[Any], Any]) -> Change:
    return lambda _, folder: gathered(load(OURS_AT), folder, rows=change)


def nulls(count: int) -> Change:
    def change(rows: Any) -> None:
        for row in rows[:count]:
            row["orders_30d"] = None

    return of_rows(change)


def nothing(evidence: Evidence, _: Path) -> Evidence:
    return evidence


KEPT, BROKEN, UNKNOWN = Outcome.KEPT, Outcome.BROKEN, Outcome.UNKNOWN
HELD: list[tuple[str, str, str, Change, Outcome]] = [
    ("null-rate-is-low", "Null rate", "3%", nulls(6), KEPT),
    ("null-rate-is-low", "Null rate", "3%", nulls(7), BROKEN),
    ("null-rate-is-low", "Null rate", "0%", nulls(1), BROKEN),
    ("features-have-their-types", "Type", "int64", nothing, KEPT),
    ("features-have-their-types", "Type", "int", nothing, KEPT),
    ("features-have-their-types", "Type", "int32", nothing, BROKEN),
    ("features-have-their-types", "Type", "float", nothing, BROKEN),
    ("features-have-their-types", "Type", "decimal(12,2)", nothing, UNKNOWN),
    ("features-have-their-types", "Type", "int16", nothing, UNKNOWN),
    ("defaults-are-the-promised-ones", "Default", "0", nothing, KEPT),
    ("defaults-are-the-promised-ones", "Default", "1", nothing, BROKEN),
    (
        "defaults-are-the-promised-ones",
        "Default",
        "1",
        of_view(set_field("orders_30d", default="1")),
        KEPT,
    ),
    (
        "served-values-are-not-null",
        "Nullable",
        "yes",
        of_view(set_field("orders_30d", default=None)),
        KEPT,
    ),
    (
        "served-values-are-not-null",
        "Nullable",
        "yes",
        of_view(set_field("sessions_30d", default=None)),
        BROKEN,
    ),
    ("ttl-is-the-lookback", "Window", "30 days", nothing, KEPT),
    ("ttl-is-the-lookback", "Window", "7 days", nothing, UNKNOWN),
    ("drift-was-told", "PSI warn", "0.15", of_drift(0.149), KEPT),
    ("drift-was-told", "PSI warn", "0.15", of_drift(0.15), BROKEN),
    ("drift-was-told", "PSI warn", "0.05", of_drift(0.09), BROKEN),
    ("drift-stays-below-the-block", "PSI fail", "0.3", of_drift(0.299), KEPT),
    ("drift-stays-below-the-block", "PSI fail", "0.3", of_drift(0.3), BROKEN),
    ("values-are-in-range", "Range", "0–3", nothing, KEPT),
    ("values-are-in-range", "Range", "0–3", of_rows(set_in(7, orders_30d=4)), BROKEN),
]


@pytest.mark.parametrize(("check", "column", "cell", "changes", "outcome"), HELD)
def test_a_features_own_value_is_held(
    check: str,
    column: str,
    cell: str,
    changes: Change,
    outcome: Outcome,
    general: Evidence,
    tmp_path: Path,
) -> None:
    text = TEXT.replace("  - orders_30d: 0–1,000\n", "") if column == "Range" else TEXT
    listed = LIST.replace("  - orders_30d: 0–1,000\n", "") if column == "Range" else LIST
    written = table(f"| orders_30d | {cell} |", header=f"| Feature | {column} |")
    promised = contract(tmp_path, text.replace(listed, f"{listed}\n\n{written}\n"))
    found = outcomes(check, promised, changes(general, tmp_path))
    assert max(found, key=[KEPT, UNKNOWN, BROKEN].index) is outcome


def test_a_feature_without_a_row_keeps_the_general_value(tmp_path: Path) -> None:
    promised = contract(tmp_path, with_table(table(ROW)))
    general = contract(tmp_path, TEXT, "general.md")
    assert promised.null_rate_of("sessions_30d") == general.quality.maximum_null_rate
    assert promised.warn_of("sessions_30d") == general.drift.warn
    assert promised.fail_of("sessions_30d") == general.drift.fail
    assert not promised.is_nullable("sessions_30d")


def test_the_scaffold_declares_a_features_own_type_and_default(tmp_path: Path) -> None:
    rows = ("| orders_30d | int32 | 1 | 0–9 |", "| plan | enum | other | free, other |")
    header = "| Feature | Type | Default | Range |"
    text = TEXT.replace("  - orders_30d: 0–1,000\n", "")
    listed = LIST.replace("  - orders_30d: 0–1,000\n", "")
    written = f"{listed}\n\n{table(*rows, header=header)}\n"
    declared = {f.name: f for f in fields(contract(tmp_path, text.replace(listed, written)))}
    assert (declared["orders_30d"].dtype, declared["orders_30d"].default) == ("Int32", "1")
    assert (declared["plan"].dtype, declared["plan"].default) == ("String", "other")


def test_a_table_below_an_open_label_is_that_of_its_features(tmp_path: Path) -> None:
    open_label = TEXT.replace(LIST, f"\nAllowed range / values:\n\n{table(ROW)}\n")
    assert answer(tmp_path / "a.md", open_label).problems  # no ranges for the rules of §6
    named = ("| orders_30d | 0–9 |", "| distinct_order_days_30d | 0–9 |")
    rows = table(*named, header="| name | range |")
    terms = contract(tmp_path, TEXT.replace(LIST, f"\nAllowed range / values:\n\n{rows}\n")).terms()
    assert terms["definition"]["allowed"].keys() == {"orders_30d", "distinct_order_days_30d"}


def test_every_feature_with_a_row_is_one_of_the_documents(tmp_path: Path) -> None:
    promised = contract(
        tmp_path, with_table(table("| other_30d | int |", header="| Feature | Type |"))
    )
    assert "other_30d" in promised.features
