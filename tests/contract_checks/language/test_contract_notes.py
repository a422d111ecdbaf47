"""Section 13 is free: its text binds nobody, is signed, and sets nothing else free."""

from pathlib import Path

import pytest
from contract_answers import OURS, answer

from contract_checks.commands.reading import reading_of
from contract_checks.language.loader import load
from contract_checks.language.signing import signed_content

BARE = "\n".join(OURS)
NOTES = "\n\n## 13. Notes\n\n"


@pytest.mark.parametrize(
    "text",
    ["Ask us.", "- **Freshness:** Feature age ≤ 9 hours", "| a | b | c |\n|-|-|-|\n| 1 | 2 | 3 |"],
)
def test_notes_bind_nobody_and_say_so(text: str, tmp_path: Path) -> None:
    bare, noted = tmp_path / "bare.md", tmp_path / "noted.md"
    before, after = answer(bare, BARE), answer(noted, BARE + NOTES + text)
    assert after.problems == []
    assert (after.terms, after.lines) == (before.terms, before.lines)
    assert "nothing that binds" in "\n".join(reading_of(load(noted)))
    assert "nothing that binds" not in "\n".join(reading_of(load(bare)))
    assert signed_content(load(noted)) != signed_content(load(bare))


@pytest.mark.parametrize(
    "heading", ["## 13. Exceptions", "## 14. Notes", "## Notes", "### 13.1 Notes", "## 12. Notes"]
)
def test_no_other_section_is_free(heading: str, tmp_path: Path) -> None:
    assert answer(tmp_path / "a.md", f"{BARE}\n\n{heading}\n\nAsk us.").problems


def test_a_heading_ends_the_notes(tmp_path: Path) -> None:
    assert answer(tmp_path / "a.md", f"{BARE}{NOTES}Ask us.\n\n### More\n\nAsk.").problems
