"""Ctrl-C and SIGTERM, from the first import of a command to its end."""

import ast
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from feast_copy import ROOT
from warm_start import run_warm

SCRIPTS = [
    file
    for file in sorted((ROOT / "scripts").glob("*.py"))
    if "run_job(main)" in file.read_text("utf-8")
]
LINE = "stopped: it was told to, before its work was done: run it again\n"
BODIES = {
    "at work": ("os.kill(os.getpid(), NUMBER)", 2),
    "while it puts away": (
        "try: os.kill(os.getpid(), NUMBER)\n    finally: os.kill(os.getpid(), NUMBER)",
        2,
    ),
    "where an engine makes another error of it": (
        "try: os.kill(os.getpid(), NUMBER)\n"
        "    except KeyboardInterrupt: raise RuntimeError('Query interrupted')",
        2,
    ),
    "where a library logs it": (
        "try: os.kill(os.getpid(), NUMBER)\n"
        "    except KeyboardInterrupt:\n"
        "        __import__('logging').error('Exception closing connection', exc_info=True); raise",
        2,
    ),
    "where nobody hears": (
        "class Heard:\n        def __del__(self): os.kill(os.getpid(), NUMBER)\n    Heard()",
        2,
    ),
    "once it is done": ("atexit.register(os.kill, os.getpid(), NUMBER)", 0),
    "once it has judged": ("atexit.register(os.kill, os.getpid(), NUMBER); raise typer.Exit(1)", 1),
}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("body", "code"), BODIES.values(), ids=BODIES)
def test_a_command_that_is_told_to_stop_says_so_in_one_line(
    body: str, code: int, number: signal.Signals, tmp_path: Path
) -> None:
    script = tmp_path / "contract-checks"
    script.write_text(
        "import atexit, os, typer\nfrom pathlib import Path\n"
        "from contract_checks.failure import run\n"
        "app = typer.Typer(pretty_exceptions_enable=False)\n@app.command()\n"
        f"def main() -> None:\n    {body.replace('NUMBER', str(int(number)))}\nrun(app, Path())\n"
    )
    done = run_warm([script], tmp_path, os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stderr) == (code, LINE if code == 2 else "")


def test_in_the_background_it_heeds_sigterm_and_leaves_ctrl_c_ignored(tmp_path: Path) -> None:
    script = tmp_path / "contract-checks"
    script.write_text(
        "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "from pathlib import Path\nimport typer\n"
        "from contract_checks.failure import run\n"
        "app = typer.Typer(pretty_exceptions_enable=False)\n@app.command()\n"
        "def main() -> None:\n    os.kill(os.getpid(), signal.SIGINT)\n    typer.echo('on')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\nrun(app, Path())\n"
    )
    done = run_warm([script], tmp_path, os.environ | {"PYTHONPATH": str(ROOT)})
    assert (done.returncode, done.stdout, done.stderr) == (2, "on\n", LINE)


def test_every_script_heeds_it_before_it_imports_what_takes_long() -> None:
    assert len(SCRIPTS) > 20
    for file in [*SCRIPTS, ROOT / "jobs" / "__init__.py"]:  # which each import of a job runs first
        imports = [
            n
            for n in ast.parse(file.read_text("utf-8")).body
            if isinstance(n, ast.Import | ast.ImportFrom)
        ]
        names = [
            n.module or "" if isinstance(n, ast.ImportFrom) else n.names[0].name for n in imports
        ]
        ours = [n for n in names if re.match(r"(contract_checks|feature_|jobs|scripts|storage)", n)]
        heeds = ("contract_checks", "jobs") if file in SCRIPTS else "contract_checks"
        assert ours[0].startswith(heeds), file.name


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_that_only_imports_us_keeps_its_own_ways(number: signal.Signals) -> None:
    told = f"import contract_checks.failure, os; os.kill(os.getpid(), {int(number)})"
    done = subprocess.run(
        [sys.executable, "-c", told], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == -number
    assert LINE not in done.stderr
