"""What `feast apply` is not to register is refused before anything is registered.

Feast's own hooks come after the registry is written, do not see the services or a view's columns,
or are left out with `--skip-source-validation`. So `feast apply` is stopped where it makes its
provider, and `FeatureStore.apply`, which makes none before it has written, where it begins; a
registry of a class of our own, which would be asked, Feast does not take beside `sql`.
"""

from functools import cache, wraps
from pathlib import Path
from typing import Any

import click
from feast import FeatureStore, RepoConfig
from feast.repo_operations import parse_repo
from sqlalchemy import Engine, event

from feature_access.declared_pointers import moved_pointers, pointers_moved_by_code
from feature_access.usable_sources import unusable_online_store, unusable_sources
from storage.errors import RefusedError

_FEAST = "feast.cli.cli"
_OURS = "feature_access.provider.HeartbeatProvider"


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
    context = _applying()
    if context is None:
        return
    declared = parse_repo(Path(config.repo_path))
    refusals = moved_pointers(config, declared)
    if not context.params.get("skip_source_validation"):
        refusals += unusable_sources(config, declared)
        refusals += unusable_online_store(config, declared)
    if refusals:
        raise NotRegisteredError("\n".join([*refusals, "Nothing was registered."]))


@cache
def guard_apply_of_code() -> None:
    """Have `FeatureStore.apply`, called by code, leave a feature's pointer where it is.

    Raises:
        RefusedError: from then on, where a pointer would move or go; nothing was registered.
    """
    its_own = FeatureStore.apply

    @wraps(its_own)
    def apply(
        store: FeatureStore,
        objects: Any,
        objects_to_delete: list[Any] | None = None,
        partial: bool = True,
        **more: Any,
    ) -> None:
        if store.config.provider == _OURS and _applying() is None:
            given = objects if isinstance(objects, list) else [objects]
            gone = [] if partial else objects_to_delete or []
            if refusals := pointers_moved_by_code(store, given, gone):
                raise RefusedError("\n".join([*refusals, "Nothing was registered."]))
        its_own(store, objects, objects_to_delete, partial, **more)

    FeatureStore.apply = apply


@cache
def refuse_where_the_registry_does() -> None:
    """Have `feast apply` and `feast plan` tell in one message what a registry on a server refuses.

    Feast opens it before it asks the provider for anything, and lets the driver's traceback out;
    but SQLAlchemy asks here first. The stores are loaded with the profile, earlier still.
    """

    @event.listens_for(Engine, "handle_error")
    def refuse(failed: Any) -> None:
        if failed.dialect.name != "postgresql" or failed.is_pre_ping or _applying() is None:
            return
        said = (str(failed.original_exception).strip() or "no reason").splitlines()[0]
        raise NotRegisteredError(
            f"the registry in FEATURE_STORE_REGISTRY failed: {said}\n"
            "Mend that, or name a login that may write there, and run it again: what is registered "
            "by then stays as it is."
        )


def _applying() -> click.Context | None:
    """The command line of this process, where it is Feast's own `apply` or `plan`."""
    context = click.get_current_context(silent=True)
    if context is None or context.command.name not in ("apply", "plan"):
        return None
    feasts = getattr(context.command.callback, "__module__", None) == _FEAST
    return context if feasts else None
