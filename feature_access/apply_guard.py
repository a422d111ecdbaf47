"""What `feast apply` is not to register is refused before anything is registered.

Feast's own hooks come after the registry is written, do not see the services or a view's columns,
or are left out with `--skip-source-validation`.
"""

from pathlib import Path

import click
from feast import RepoConfig
from feast.repo_operations import parse_repo

from feature_access.declared_pointers import moved_pointers
from feature_access.usable_sources import unusable_online_store, unusable_sources

_FEAST = "feast.cli.cli"


class NotRegisteredError(click.ClickException):
    """What is declared is not to be registered; told on stderr as one message, with exit code 2."""

    exit_code = 2

    def show(self, file: object = None) -> None:
        """Print the refusal."""
        click.echo(f"refused: {self.message}", err=True)


def guard_apply(config: RepoConfig) -> None:
    """Where this process is `feast apply` or `feast plan`, hold what is declared to the rules.

    Raises:
        NotRegisteredError: a pointer would move, a view's table is not as it is declared, or the
            online store cannot serve it.
    """
    context = click.get_current_context(silent=True)
    if context is None or context.command.name not in ("apply", "plan"):
        return
    if getattr(context.command.callback, "__module__", None) != _FEAST:
        return
    declared = parse_repo(Path(config.repo_path))
    refusals = moved_pointers(config, declared)
    if not context.params.get("skip_source_validation"):
        refusals += unusable_sources(config, declared)
        refusals += unusable_online_store(config, declared)
    if refusals:
        raise NotRegisteredError("\n".join([*refusals, "Nothing was registered."]))
