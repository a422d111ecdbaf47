"""What `schedules/` says, read from its own files: when which commands run, by each scheduler."""

import ast
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from feast_copy import ROOT

FOLDER = ROOT / "schedules"
MINUTE = timedelta(minutes=1)
_FIELDS = ("minute", "hour", "day", "month")


class Entry(NamedTuple):
    """Commands that run one after the other, and the values that a time of theirs may have."""

    minute: frozenset[int] | None
    """None where any may be."""
    hour: frozenset[int] | None
    day: frozenset[int] | None
    month: frozenset[int] | None
    commands: tuple[str, ...]

    def is_due(self, at: datetime) -> bool:
        """Whether they start in that minute."""
        wanted = zip(_FIELDS, self[:4], strict=True)
        return all(values is None or getattr(at, name) in values for name, values in wanted)

    @property
    def period(self) -> str:
        if self.month:
            return "quarterly" if len(self.month) == 4 else "yearly"
        return "monthly" if self.day else "daily" if self.hour else "hourly"


@dataclass(frozen=True)
class Schedule:
    """One of the three, and what it does about the time in which the machine was down."""

    entries: tuple[Entry, ...]
    at_boot: tuple[str, ...] = ()
    """What runs whenever the machine starts."""
    makes_up: bool = False
    """Whether what was missed runs once when the machine starts."""

    def due(self, at: datetime) -> list[str]:
        """The commands that start in that minute, in order."""
        return [command for entry in self.entries if entry.is_due(at) for command in entry.commands]

    def after_a_boot(self, down_since: datetime, at: datetime) -> list[str]:
        """The commands that run because the machine was down from then till now."""
        minutes = [down_since + n * MINUTE for n in range((at - down_since) // MINUTE)]
        missed = [e for e in self.entries if self.makes_up and any(map(e.is_due, minutes))]
        return [*self.at_boot, *(command for entry in missed for command in entry.commands)]


def crontab() -> Schedule:
    """Missed is missed, but for what runs at every start of the machine."""
    entries, at_boot = [], []
    for line in (FOLDER / "crontab").read_text("utf-8").splitlines():
        if found := re.match(r"((?:\S+ ){4}\*|@reboot) (.*)", line):
            times, command = found.groups()
            assert command.startswith('eval "$PREPARE"; ')
            assert "%" not in command.replace("\\%", "")  # a bare one ends a command in a crontab
            commands = commands_of(command)
            if times == "@reboot":
                at_boot += commands
            else:
                entries.append(_entry(times.split()[:4], commands))
        else:
            assert not line or line.startswith("#") or re.match(r"\w+=", line), line
    return Schedule(tuple(entries), tuple(at_boot))


def systemd() -> Schedule:
    """A timer that is persistent starts what was missed."""
    entries = []
    for name in ("hourly", "daily", "quarterly"):
        timer, service = (
            (FOLDER / "systemd" / f"feature-store-{name}.{kind}").read_text("utf-8")
            for kind in ("timer", "service")
        )
        (calendar,) = re.findall(r"^OnCalendar=(.*)$", timer, re.MULTILINE)
        assert "\nPersistent=true\n" in timer
        runs = re.findall(r"^ExecStart=(.*)$", service, re.MULTILINE)
        found = re.fullmatch(r"\*-(\S+)-(\S+) (\S+):(\S+):00 UTC", calendar)
        assert found
        month, day, hour, minute = found.groups()
        commands = [command for run in runs for command in commands_of(run)]
        entries.append(_entry([minute, hour, day, month], commands))
    return Schedule(tuple(entries), makes_up=True)


def airflow() -> Schedule:
    """Read, not run: its environment is another. It makes the last tick up that it missed."""
    tree = ast.parse((FOLDER / "airflow_dag.py").read_text("utf-8"))
    entries = []
    for block in (node for node in tree.body if isinstance(node, ast.With)):
        (dag,) = (item.context_expr for item in block.items)
        assert isinstance(dag, ast.Call)
        calls = [node for node in ast.walk(block) if isinstance(node, ast.Call)]
        jobs = [call for call in calls if getattr(call.func, "id", "") == "job"]
        commands = [f"scripts/{ast.literal_eval(job.args[1])}" for job in jobs]
        entries.append(_entry(ast.literal_eval(dag.args[1]).split()[:4], commands))
    return Schedule(tuple(entries), makes_up=True)


SCHEDULES = {"cron": crontab, "systemd": systemd, "airflow": airflow}


def commands_of(shell: str) -> list[str]:
    """The scripts that a line runs, in order, each with its arguments."""
    found = re.findall(r"\.venv/bin/python (scripts/[^;&']*)", shell)
    assert len(found) == shell.count("scripts/"), shell
    return [command.strip() for command in found]


def _entry(fields: list[str], commands: list[str]) -> Entry:
    values = [None if f == "*" else frozenset(map(int, f.split(","))) for f in fields]
    return Entry(*values, tuple(commands))
