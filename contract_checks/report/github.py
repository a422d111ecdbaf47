"""The reports as workflow commands, which GitHub shows as annotations beside the document's lines.

Escaped as the runner's own toolkit does it (actions/toolkit, packages/core/src/command.ts). GitHub
shows ten annotations of a kind per step and all of them in the log; the closing notice counts them.
"""

from collections.abc import Iterator, Sequence

from contract_checks.findings import Outcome, Report
from contract_checks.report.text import summary
from contract_checks.report.wording import told

_COMMANDS = {Outcome.BROKEN: "error", Outcome.UNKNOWN: "warning"}


def commands(reports: Sequence[Report]) -> str:
    """An error for what is broken, a warning for what is unknown, a notice for the whole."""
    return "".join(f"{line}\n" for report in reports for line in _annotations(report))


def _annotations(report: Report) -> Iterator[str]:
    for finding in report.findings:
        if finding.outcome in _COMMANDS:
            title = f"{finding.clause} ({finding.check})"
            place = {"file": report.contract, "line": str(finding.line or 1), "title": title}
            yield _command(_COMMANDS[finding.outcome], place, told(finding))
    outcome = f"contract {report.outcome.name.lower()}"
    yield _command("notice", {"file": report.contract, "title": outcome}, summary(report))


def _command(name: str, properties: dict[str, str], message: str) -> str:
    shown = ",".join(f"{key}={_escaped_property(text)}" for key, text in properties.items())
    return f"::{name} {shown}::{_escaped(message)}"


def _escaped(message: str) -> str:
    return message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
