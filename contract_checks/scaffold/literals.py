"""Python literals laid out as ruff lays them out, so that what is written needs no formatter."""

from datetime import timedelta

LINE_LENGTH = 100

_UNITS = {
    "days": timedelta(days=1),
    "hours": timedelta(hours=1),
    "minutes": timedelta(minutes=1),
    "seconds": timedelta(seconds=1),
    "milliseconds": timedelta(milliseconds=1),
}


def argument(head: str, text: str) -> str:
    """`head` and the text as a literal, with a comma; over several lines where one is too long.

    `head` begins with its indentation: `    owner=` or `        "owner": `.
    """
    line = f"{head}{literal(text)},"
    if len(line) <= LINE_LENGTH:
        return line
    margin = " " * (len(head) - len(head.lstrip()))
    pieces = [f"{margin}    {piece}" for piece in _pieces(text, LINE_LENGTH - len(margin) - 4)]
    return "\n".join([f"{head}(", *pieces, f"{margin}),"])


def literal(text: str) -> str:
    """A string literal in the quotes that need fewer escapes, double ones where it is all one."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    escaped = text.replace("\\", "\\\\").replace(quote, f"\\{quote}")
    return f"{quote}{escaped}{quote}"


def length_of_time(length: timedelta) -> str:
    """`timedelta(days=30)`: in the largest unit that divides it."""
    for unit, one in _UNITS.items():
        if not length % one:
            return f"timedelta({unit}={length // one})"
    return f"timedelta(microseconds={length // timedelta(microseconds=1)})"


def _pieces(text: str, width: int) -> list[str]:
    """Literals that are the text when put together, broken after spaces; one if it fits."""
    if len(literal(text)) <= width:
        return [literal(text)]
    pieces = [""]
    for word in text.split(" "):
        longer = f"{pieces[-1]}{word} "
        if len(literal(longer)) > width and pieces[-1]:
            pieces.append(f"{word} ")
        else:
            pieces[-1] = longer
    pieces[-1] = pieces[-1].removesuffix(" ")
    return [literal(piece) for piece in pieces]
