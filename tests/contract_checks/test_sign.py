"""`contract-checks sign`: what it writes, what it refuses, and what a signature is worth (§12)."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st
from kept_evidence import AS_OF
from tries import tries
from typer.testing import CliRunner

import contract_checks.checks  # noqa: F401  (importing binds them)
from contract_checks.cli import app
from contract_checks.evidence.evidence import Evidence
from contract_checks.evidence.facts import MissingEvidence
from contract_checks.evidence.operations import read_signed
from contract_checks.findings import Finding, Outcome
from contract_checks.judge import CHECKS
from contract_checks.language.loader import load
from contract_checks.language.signing import read_signatures, signatures_of, signed_content

ROOT = Path(__file__).parents[2]
OURS = ROOT / "contracts" / "customer_profile_v1.md"
LINES = {  # by role: the clause, and the document's own line
    "data-owner": ("§12 data owner approval", "- **Data owner approval:** J. Smith — 2026-01-01"),
    "ml-owner": ("§12 ml owner approval", "- **ML owner approval:** A. Johnson — 2026-01-01"),
    "platform": ("§12 platform approval", "- **Platform approval:** Platform Lead — 2026-01-01"),
}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    copy = tmp_path / "customer_profile_v1.md"
    copy.write_bytes(OURS.read_bytes())
    return copy


def sign(document: Path, role: str, name: str, *more: str) -> Result:
    return CliRunner().invoke(app, ["sign", str(document), "--as", role, "--name", name, *more])


def sign_all(document: Path) -> None:
    for role in LINES:
        assert sign(document, role, "R. Iversen", "--date", "2026-02-03").exit_code == 0


def signatures(document: Path) -> dict[str, dict[str, str]]:
    written: dict[str, dict[str, str]] = json.loads(
        document.with_suffix(".signatures.json").read_text(encoding="utf-8")
    )
    return written


def exported(document: Path) -> str:
    """The digest of the content, from what `export` writes."""
    shown = CliRunner().invoke(app, ["export", str(document)])
    assert shown.exit_code == 0
    terms = json.loads(shown.stdout)
    del terms["sign_off"], terms["reading"]
    content = {"prose": terms.pop("prose"), "terms": terms}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def reworded(document: Path, says: str, instead: str) -> None:
    text = document.read_text(encoding="utf-8")
    assert text.count(says) == 1
    document.write_text(text.replace(says, instead), encoding="utf-8")


# What is written


@pytest.mark.parametrize("role", LINES)
def test_a_signature_changes_its_own_line_alone(role: str, document: Path) -> None:
    clause, line = LINES[role]
    content = exported(document)
    done = sign(document, role, "R. Iversen", "--date", "2026-02-03")
    assert (done.exit_code, done.stderr) == (0, "")
    label = line.partition(":** ")[0]
    text = OURS.read_text(encoding="utf-8")
    assert text.count(line) == 1
    expected = text.replace(line, f"{label}:** R. Iversen — 2026-02-03")
    assert document.read_text(encoding="utf-8") == expected
    signed = {"name": "R. Iversen", "date": "2026-02-03", "content": content}
    assert signatures(document) == {clause: signed}
    assert "R. Iversen, 2026-02-03" in done.stdout
    assert content in done.stdout
    assert exported(document) == content, "an approval is no part of what it approves"
    assert set(files(document.parent)) == {document.name, f"{document.stem}.signatures.json"}


def test_a_line_that_says_it_already_is_left_alone(document: Path) -> None:
    assert sign(document, "platform", "Platform Lead", "--date", "2026-01-01").exit_code == 0
    assert document.read_bytes() == OURS.read_bytes()
    assert list(signatures(document)) == ["§12 platform approval"]


@settings(max_examples=tries(40))
@given(
    ending=st.sampled_from(["\n", "\r\n", "\r"]),
    odd_lines=st.sets(st.integers(0, 150), max_size=8),
    head=st.sampled_from(["", "\ufeff", "\ufeff\n", "\n\n"]),
    tail=st.sampled_from(["", "\n", "\n\n", "  \n\t\n"]),
    written=st.sampled_from(
        [
            "- **Data owner approval:** {}",
            "* **Data owner approval**:   {}  ",
            "- Data owner approval: {}\t",
            "- **data owner APPROVAL:**\n  {}",
        ]
    ),
    value=st.sampled_from(
        [
            "J. Smith — 2026-01-01",
            "J.  Smith  —\t2026-01-01",
            "J. Smith —\n  2026-01-01",
            "J. Smith (2026-01-01)",
            "Platform Lead — 2026-01-01",  # as another line has it
            "J. Smith, 2026-01-01.",
        ]
    ),
    others_first=st.booleans(),
)
def test_every_other_byte_is_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    ending: str,
    odd_lines: set[int],
    head: str,
    tail: str,
    written: str,
    value: str,
    others_first: bool,
) -> None:
    """Whatever the line endings, however the line is written, whoever signed before."""
    lines = OURS.read_text(encoding="utf-8").rstrip("\n").split("\n")
    at = lines.index(LINES["data-owner"][1])
    if others_first:
        lines.insert(at, lines.pop(lines.index(LINES["platform"][1])))
        at += 1

    def bytes_with(value: str) -> bytes:
        whole = [*lines[:at], written.format(value).replace("\n", ending), *lines[at + 1 :]]
        odd = "\n" if ending == "\r\n" else "\r\n"
        mixed = [line + (odd if n in odd_lines else ending) for n, line in enumerate(whole)]
        return (head + "".join(mixed).rstrip("\r\n") + tail).encode()

    document = tmp_path_factory.mktemp("signed") / "contract.md"
    document.write_bytes(bytes_with(value))
    done = sign(document, "data-owner", "Åsa Öberg-Lee", "--date", "2026-02-03")
    assert done.exit_code == 0, done.output
    where_it_was = bytes_with("\x01").split(b"\x01")  # a wrapped value becomes one line
    assert document.read_bytes() == "Åsa Öberg-Lee — 2026-02-03".encode().join(where_it_was)
    approval = load(document).sign_off.data_owner
    assert (approval.name, approval.date) == ("Åsa Öberg-Lee", date(2026, 2, 3))


@pytest.mark.parametrize("role", LINES)
def test_another_approval_in_the_same_words_is_left_alone(role: str, document: Path) -> None:
    sign_all(document)
    before = document.read_text(encoding="utf-8")
    assert before.count("R. Iversen — 2026-02-03") == 3
    assert sign(document, role, "K. Berg", "--date", "2026-02-04").exit_code == 0
    label = LINES[role][1].partition(":** ")[0]
    assert document.read_text(encoding="utf-8") == before.replace(
        f"{label}:** R. Iversen — 2026-02-03", f"{label}:** K. Berg — 2026-02-04"
    )


@pytest.mark.parametrize("order", [*permutations(LINES)])
def test_the_file_of_signatures_is_the_same_in_any_order(
    order: tuple[str, ...], document: Path
) -> None:
    for role in order:
        assert sign(document, role, "R. Iversen", "--date", "2026-02-03").exit_code == 0
    text = document.with_suffix(".signatures.json").read_text(encoding="utf-8")
    assert list(json.loads(text)) == sorted(clause for clause, _ in LINES.values())
    assert text == json.dumps(json.loads(text), indent=2, ensure_ascii=False) + "\n"


def test_today_is_the_day_where_none_is_named(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = iter((datetime(2026, 5, 6, 23, 59, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)))
    monkeypatch.setattr("contract_checks.commands.sign.now", lambda: next(days))
    sign(document, "platform", "K. Berg")
    assert signatures(document)["§12 platform approval"]["date"] == "2026-05-06"
    sign(document, "ml-owner", "K. Berg")
    assert signatures(document)["§12 ml owner approval"]["date"] == "2026-06-01"


def test_a_dry_run_prints_what_would_be_written_and_writes_nothing(document: Path) -> None:
    before = files(document.parent)
    shown = sign(document, "ml-owner", "B. Olsen", "--date", "2026-02-03", "--dry-run")
    assert shown.exit_code == 0
    assert files(document.parent) == before
    line = load(document).lines["§12 ml owner approval"]
    assert f"{document}:{line}: - **ML owner approval:** B. Olsen — 2026-02-03" in shown.stdout
    sign(document, "ml-owner", "B. Olsen", "--date", "2026-02-03")
    written = document.with_suffix(".signatures.json").read_text(encoding="utf-8")
    assert written in shown.stdout
    assert "signed  " not in shown.stdout


def test_signing_twice_is_told_and_changes_nothing(document: Path) -> None:
    sign(document, "platform", "K. Berg", "--date", "2026-02-03")
    before = files(document.parent)
    places = [document, document.with_suffix(".signatures.json")]
    stamps = [place.stat().st_mtime_ns for place in places]
    for more in ((), ("--date", "2026-02-03"), ("--dry-run",)):
        again = sign(document, "platform", "K. Berg", *more)
        assert again.exit_code == 0
        assert again.stdout.startswith("signed already")
    assert files(document.parent) == before
    assert [place.stat().st_mtime_ns for place in places] == stamps
    anew = sign(document, "platform", "K. Berg", "--date", "2026-02-04")
    assert anew.stdout.startswith("signed  ")
    assert signatures(document)["§12 platform approval"]["date"] == "2026-02-04"


def test_a_link_stays_a_link_and_a_mode_a_mode(document: Path, tmp_path: Path) -> None:
    document.chmod(0o640)
    link = tmp_path / "elsewhere" / "link.md"
    link.parent.mkdir()
    link.symlink_to(document)
    assert sign(link, "platform", "K. Berg", "--date", "2026-02-03").exit_code == 0
    assert link.is_symlink()
    assert "K. Berg" in document.read_text(encoding="utf-8")
    assert document.stat().st_mode & 0o777 == 0o640


# What is refused


def test_an_invalid_document_is_not_signed(document: Path) -> None:
    reworded(document, "**Freshness:** Feature age ≤ 2 hours", "**Freshness:** Feature age ≤ 2")
    before = files(document.parent)
    done = sign(document, "platform", "K. Berg", "--date", "2026-02-03")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "§6 freshness" in done.stderr
    assert files(document.parent) == before


def test_a_day_before_the_version_is_refused(document: Path) -> None:
    before = files(document.parent)
    done = sign(document, "platform", "Platform Lead", "--date", "2025-12-31")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "2025-12-31 is before 2026-01-01" in done.stderr
    assert files(document.parent) == before
    assert sign(document, "platform", "Platform Lead", "--date", "2026-01-01").exit_code == 0


@pytest.mark.parametrize(
    "name", ["", " ", "pending", "Not yet signed", "J. Smith.", "J.  Smith", "A\nB", "`J`", "7 — 8"]
)
def test_a_name_that_no_document_can_say_is_refused(name: str, document: Path) -> None:
    before = files(document.parent)
    done = sign(document, "platform", name, "--date", "2026-02-03")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--name" in done.stderr
    assert files(document.parent) == before


@pytest.mark.parametrize("arguments", [("--as", "cfo"), ("--date", "2026-02-30"), ("--date", "x")])
def test_wrong_usage_is_refused(arguments: tuple[str, str], document: Path) -> None:
    done = sign(document, "platform", "K. Berg", *arguments)
    assert done.exit_code == 2
    assert files(document.parent) == {document.name: OURS.read_bytes()}


@pytest.mark.parametrize(
    "text", ["", "[]", '{"§12 platform approval": {"name": "K. Berg"}}', "\xff"]
)
def test_a_file_that_holds_no_signatures_is_not_written_over(text: str, document: Path) -> None:
    document.with_suffix(".signatures.json").write_bytes(text.encode("latin-1"))
    before = files(document.parent)
    done = sign(document, "platform", "K. Berg", "--date", "2026-02-03")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "remove it and sign anew" in done.stderr
    assert files(document.parent) == before


def test_a_document_that_would_say_something_else_is_not_written(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(text: str, *_: object) -> str:
        return text.replace("Platform Lead", "K. Berg").replace("2 hours", "3 hours")

    monkeypatch.setattr("contract_checks.commands.sign.with_approval", careless)
    before = files(document.parent)
    done = sign(document, "platform", "K. Berg", "--date", "2026-01-01")
    assert (done.exit_code, done.stdout) == (2, "")
    assert files(document.parent) == before


def test_a_write_that_fails_leaves_everything_as_it_was(
    document: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = files(document.parent)
    monkeypatch.setattr(Path, "replace", full)
    done = sign(document, "platform", "K. Berg", "--date", "2026-02-03")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "No space left on device" in done.stderr
    assert files(document.parent) == before


# What a signature is worth


def test_approvals_of_another_content_are_void(document: Path) -> None:
    sign_all(document)
    reworded(document, "Feature age ≤ 2 hours", "Feature age ≤ 1 hour")
    done = sign(document, "platform", "R. Iversen", "--date", "2026-02-03")
    assert done.exit_code == 0
    void = [line for line in done.stdout.splitlines() if line.startswith("void")]
    assert [line.split("  ")[-1].split(" of ")[0].strip() for line in void] == [
        "§12 data owner approval",
        "§12 ml owner approval",
    ]
    assert f'contract-checks sign {document} --as ml-owner --name "R. Iversen"' in void[1]
    sign(document, "ml-owner", "R. Iversen", "--date", "2026-02-03")
    last = sign(document, "data-owner", "R. Iversen", "--date", "2026-02-03")
    assert "void" not in last.stdout
    assert {signature["content"] for signature in signatures(document).values()} == {
        exported(document)
    }


@pytest.mark.parametrize(
    ("says", "instead", "is_same"),
    [
        ("**Expected match rate:** ≥ 98%", "**Expected match rate:** >= 98 %", True),
        ("How the feature changes without surprising anyone.", "On change.", True),
        ("A. Johnson — 2026-01-01", "B. Olsen — 2026-02-01", True),
        ("Feature age ≤ 2 hours", "Feature age ≤ 1 hour", False),
        ("summed up over the lookback window", "summed up over the window", False),
        ("v1 — 2026-01-01: First release", "v1 — 2026-01-02: First release", False),
    ],
)
def test_terms_and_words_that_people_read_are_what_is_signed(
    says: str, instead: str, is_same: bool, document: Path
) -> None:
    before = signed_content(load(document))
    reworded(document, says, instead)
    assert (signed_content(load(document)) == before) is is_same


def judged(document: Path) -> dict[tuple[str, str], Finding]:
    """What the §12 checks say, with the signatures as the only evidence."""
    contract = load(document)
    nothing = MissingEvidence("not looked at")
    names = [name for name in Evidence.__dataclass_fields__ if name != "as_of"]
    evidence = replace(
        Evidence(as_of=AS_OF, **dict.fromkeys(names, nothing)),
        gathered_signatures=read_signed(contract),
    )
    checks = [check for check in CHECKS if check.clause.startswith("§12 ")]
    assert len(checks) == 6
    return {(f.clause, f.check): f for check in checks for f in check.run(contract, evidence)}


def broken(document: Path) -> dict[str, str]:
    """Clause to what was got, of what the content check finds broken; the rest is kept."""
    found = {clause: f for (clause, name), f in judged(document).items() if name == SIGNED}
    assert {f.outcome for f in found.values()} <= {Outcome.KEPT, Outcome.BROKEN}
    return {clause: f.got for clause, f in found.items() if f.outcome is Outcome.BROKEN}


SIGNED = "content-is-signed"


def test_a_signed_contract_keeps_every_approval(document: Path) -> None:
    sign_all(document)
    assert len(judged(document)) == 6
    assert {finding.outcome for finding in judged(document).values()} == {Outcome.KEPT}


def test_without_signatures_the_content_is_unknown_and_the_dates_are_kept(document: Path) -> None:
    outcomes = {key: finding.outcome for key, finding in judged(document).items()}
    by_check = {name: {o for (_, n), o in outcomes.items() if n == name} for _, name in outcomes}
    assert by_check == {
        SIGNED: {Outcome.UNKNOWN},
        "signed-after-it-was-written": {Outcome.KEPT},
    }
    told = judged(document)["§12 platform approval", SIGNED].got
    assert "run contract-checks sign" in told


@pytest.mark.parametrize("role", LINES)
def test_a_missing_signature_breaks_its_clause(role: str, document: Path) -> None:
    sign_all(document)
    clause = LINES[role][0]
    left = {c: s for c, s in signatures(document).items() if c != clause}
    signatures_of(load(document)).write_text(json.dumps(left), encoding="utf-8")
    assert list(broken(document)) == [clause]
    assert "sign with contract-checks sign" in broken(document)[clause]


@pytest.mark.parametrize("instead", ["R. Iversen — 2026-02-04", "R. Iversson — 2026-02-03"])
def test_an_approval_nobody_signed_is_broken(instead: str, document: Path) -> None:
    sign_all(document)
    text = document.read_text(encoding="utf-8")
    approved = "- **Platform approval:** R. Iversen — 2026-02-03"
    assert approved in text
    document.write_text(
        text.replace(approved, f"- **Platform approval:** {instead}"), encoding="utf-8"
    )
    assert list(broken(document)) == ["§12 platform approval"]


def test_a_change_of_content_breaks_every_approval(document: Path) -> None:
    sign_all(document)
    reworded(document, "Feature age ≤ 2 hours", "Feature age ≤ 1 hour")
    assert list(broken(document)) == [clause for clause, _ in LINES.values()]
    assert all(
        "another content: renew with contract-checks sign" in g for g in broken(document).values()
    )


def test_our_own_contract_is_signed_as_it_stands() -> None:
    assert len(read_signatures(signatures_of(load(OURS)))) == 3
    assert {finding.outcome for finding in judged(OURS).values()} == {Outcome.KEPT}
