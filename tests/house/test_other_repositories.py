"""What other repositories use of this one: GitHub action, problem matcher, pre-commit hook."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
VALID = ROOT / "contracts" / "customer_profile_v1.md"
INVALID = ROOT / "tests" / "contracts" / "invalid" / "several_defects.md"


def read(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def run_action(command: str) -> subprocess.CompletedProcess[str]:
    """The action's last step as GitHub runs it, on the commands of this environment."""
    *_, step = read("action.yml")["runs"]["steps"]
    assert set(step["env"]) == {"ACTION", "COMMAND"}
    return subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "ACTION": str(ROOT),
            "COMMAND": command,
        },
        capture_output=True,
        text=True,
        check=False,
    )


def problems(output: str) -> list[dict[str, str]]:
    """What GitHub makes of an output by the problem matcher that it was told of."""
    added = re.search(r"^::add-matcher::(.+)$", output, re.MULTILINE)
    assert added
    (matcher,) = json.loads(Path(added[1]).read_text(encoding="utf-8"))["problemMatcher"]
    (pattern,) = matcher["pattern"]
    found = [m for line in output.splitlines() if (m := re.match(pattern["regexp"], line))]
    return [{what: m[pattern[what]] for what in ("file", "line", "message")} for m in found]


def test_the_action_ends_as_its_command_does_and_shows_problems_at_their_lines() -> None:
    kept, broken = run_action(f"lint {VALID}"), run_action(f"lint {INVALID}")
    assert (kept.returncode, broken.returncode) == (0, 2)
    assert problems(kept.stdout + kept.stderr) == []
    shown = problems(broken.stdout + broken.stderr)
    expected = INVALID.with_suffix(".expected").read_text(encoding="utf-8").splitlines()
    assert len(shown) == len(expected) > 2
    assert {problem["file"] for problem in shown} == {str(INVALID)}
    assert shown[0]["line"] == "5"
    assert shown[0]["message"].startswith("§1 version: expected a version such as v1")


@pytest.mark.parametrize("command", ["lint a;id", "lint $(id)", "lint `id`"])
def test_the_action_takes_no_argument_for_a_command(command: str) -> None:
    done = run_action(command)
    assert done.returncode == 2
    assert "uid=" not in done.stdout + done.stderr


def test_the_hook_reads_the_documents_of_contracts() -> None:
    (hook,) = read(".pre-commit-hooks.yaml")
    assert hook["language"] == "python"
    chosen = re.compile(hook["files"])
    assert chosen.search("contracts/customer_profile_v1.md")
    assert not chosen.search("docs/contract.md") and not chosen.search("contracts/probes.toml")
    program, *arguments = hook["entry"].split()
    command = [Path(sys.executable).with_name(program), *arguments]
    for document, code in ((VALID, 0), (INVALID, 2)):
        assert subprocess.run([*command, document], capture_output=True).returncode == code


def test_the_workflow_runs_what_a_person_runs() -> None:
    (job,) = read(".github/workflows/test.yml")["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    assert runs == ["make test"]
    assert "make test" in (ROOT / "README.md").read_text(encoding="utf-8")
    oldest = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"][
        "requires-python"
    ]
    assert oldest == f">={job['strategy']['matrix']['python'][0]}"


def test_every_package_says_that_it_is_typed_and_by_which_licence() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    packages = project["tool"]["setuptools"]["packages"]["find"]["include"]
    assert [p for p in packages if not (ROOT / p.rstrip("*") / "py.typed").is_file()] == []
    assert project["project"]["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
