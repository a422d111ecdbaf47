"""A finding in words, for the formats that carry text."""

from contract_checks.findings import Finding, Outcome


def told(finding: Finding) -> str:
    """Everything the finding has to say, a line each."""
    lines = [("expected", finding.expected)]
    lines.append(("why" if finding.outcome is Outcome.UNKNOWN else "got", finding.got))
    lines += [("count", f"{finding.count:,}")] if finding.count else []
    lines += [("sample", row) for row in finding.sample]
    return "\n".join(f"{label}: {text}" for label, text in lines)


def gist(finding: Finding) -> str:
    """The finding on one line."""
    link = "not known" if finding.outcome is Outcome.UNKNOWN else "got"
    return " ".join(f"expected {finding.expected}; {link}: {finding.got}".split())
