"""A command that is run warm does what it does when a person runs it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from warm_start import run_warm

TOLD = """
import logging, os, signal, sys
from pathlib import Path

import beside
import named

NAMES = ('PYTHONPATH', 'HOME', 'PATH')
print(__name__, sys.argv, sys.path[0], Path.cwd(), beside.__name__, named.__name__)
print(sys.stdin.read(), sys.stdin.isatty(), sys.stdout.isatty(), [os.environ.get(n) for n in NAMES])
print(logging.root.level, logging.root.handlers, signal.getsignal(signal.SIGINT))
print("complained", file=sys.stderr)
"""
ENDS = {
    "by itself": "",
    "with a code": "sys.exit(3)",
    "with words": "sys.exit('why')",
    "by a signal": "sys.stdout.flush(); os.kill(os.getpid(), signal.SIGKILL)",
}


def place(folder: Path, source: str) -> tuple[Path, dict[str, str]]:
    """A script with a module beside it and another on the path that the environment names."""
    (folder / "scripts").mkdir()
    (folder / "named.py").touch()
    (folder / "scripts" / "beside.py").touch()
    script = folder / "scripts" / "script.py"
    script.write_text(source, encoding="utf-8")
    return script, {"PYTHONPATH": str(folder), "HOME": os.environ.get("HOME", "/")}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_it_is_as_if_run_cold(tmp_path: Path, end: str) -> None:
    _, env = place(tmp_path, TOLD + end)
    warm = run_warm(["scripts/script.py", "--option", "ä"], tmp_path, env, input="given")
    cold = subprocess.run(
        [sys.executable, "scripts/script.py", "--option", "ä"],
        cwd=tmp_path,
        env=env | {"PYTHONUTF8": "1"},
        input="given",
        capture_output=True,
        text=True,
        check=False,
    )
    assert "__main__ ['scripts/script.py', '--option', 'ä']" in cold.stdout
    said = [(done.returncode, done.stdout, done.stderr) for done in (warm, cold)]
    assert said[0] == said[1]


def test_an_error_is_told_and_the_exit_code_is_1(tmp_path: Path) -> None:
    script, env = place(tmp_path, "raise KeyError('what')")
    failed = run_warm([script], tmp_path, env)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.endswith("KeyError: 'what'\n")


def test_what_takes_too_long_is_killed(tmp_path: Path) -> None:
    script, env = place(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(subprocess.TimeoutExpired):
        run_warm([script], tmp_path, env, timeout=1)


def test_nothing_of_ours_is_loaded(tmp_path: Path) -> None:
    script, env = place(tmp_path, "import sys; print(sorted(sys.modules))")
    loaded = run_warm([script], tmp_path, env).stdout
    assert "'pandas'" in loaded and "'feast.feature_store'" in loaded
    assert "'feature_" not in loaded and "'contract_checks" not in loaded
    assert "'conftest'" not in loaded


def test_one_that_is_forked_for_later_does_the_same(tmp_path: Path) -> None:
    script, env = place(tmp_path, "import sys; print(sys.argv[1]); sys.exit(2)")
    caller = tmp_path / "caller.py"
    caller.write_text(
        f"import sys; sys.path.append({str(Path(__file__).parents[1] / 'support')!r})\n"
        "from pathlib import Path; from warm_start import forked_for_later\n"
        f"done = forked_for_later()([{str(script)!r}, 'a'], Path.cwd(), {env!r})\n"
        "print(done.returncode, done.stdout)",
        encoding="utf-8",
    )
    assert run_warm([caller], tmp_path, env).stdout == "2 a\n\n"
