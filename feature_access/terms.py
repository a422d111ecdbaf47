"""What a contract says about reading one version of a feature online."""

from dataclasses import dataclass
from datetime import timedelta

from storage.errors import RefusedError


@dataclass(frozen=True)
class Terms:
    """The terms of one feature view."""

    view: str
    consumers: tuple[str, ...]
    """Who may read it (§9), in any case."""
    max_age: timedelta
    """How old what is served may be (§6)."""

    def refuse_stranger(self, consumer: str) -> None:
        """Make sure that the contract approves the consumer.

        Raises:
            RefusedError: it does not.
        """
        if consumer.casefold() not in map(str.casefold, self.consumers):
            raise RefusedError(
                f"{consumer} may not read {self.view}: its approved consumers (§9) are "
                f"{', '.join(self.consumers)}"
            )
