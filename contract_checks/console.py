"""The one place that prints with rich: what comes from outside is text there, never markup.

Rich reads `[bold]` and `:smile:` in any text it is given, in the cells and titles of tables as
well: a consumer called `[/x]` would end the command, and one called `[bold]` would not be seen.
Who wants a style gives a `Text`, or the `style` argument.
"""

from rich.console import Console


def console(*, stderr: bool = False, soft_wrap: bool = False) -> Console:
    """A console on standard output or standard error, with neither markup nor emoji codes."""
    return Console(stderr=stderr, soft_wrap=soft_wrap, markup=False, emoji=False)
