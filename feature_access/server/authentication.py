"""Who calls: consumers are known by bearer tokens, which come from the environment."""

import hmac
import json
from collections.abc import Mapping

from storage.errors import RefusedError

TOKENS_VARIABLE = "FEATURE_STORE_TOKENS"
_SHORTEST_TOKEN = 16
_SCHEME = "bearer "


class Callers:
    """The consumers that have a token."""

    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = {consumer: token.encode() for consumer, token in tokens.items()}

    def named(self, authorization: str | None) -> str | None:
        """The consumer whose token the header holds; None for nobody's.

        Every token is compared, and in constant time, so that the wait tells nothing of any.
        """
        header = authorization or ""
        shown = (
            header[len(_SCHEME) :].encode() if header[: len(_SCHEME)].lower() == _SCHEME else b""
        )
        matches = [c for c, token in self._tokens.items() if hmac.compare_digest(shown, token)]
        return matches[0] if matches else None


def callers_from(environment: Mapping[str, str]) -> Callers:
    """The consumers of the environment.

    Raises:
        RefusedError: there are none, or a token is too short or another's as well.
    """
    how = (
        f'{TOKENS_VARIABLE} is to hold a JSON object such as {{"ML Platform": "<token>"}}, with a '
        f"token of at least {_SHORTEST_TOKEN} characters for each consumer"
    )
    try:
        tokens = json.loads(environment.get(TOKENS_VARIABLE, ""))
    except ValueError:
        raise RefusedError(how) from None  # the cause would show what stands there
    if not isinstance(tokens, dict) or not tokens:
        raise RefusedError(how)
    for consumer, token in tokens.items():
        if not isinstance(token, str) or not token.isascii() or len(token) < _SHORTEST_TOKEN:
            raise RefusedError(f"the token of {consumer} is none, too short or not ASCII: {how}")
    if len(set(tokens.values())) < len(tokens):
        raise RefusedError(f"two consumers have one token, and could not be told apart: {how}")
    return Callers(tokens)
