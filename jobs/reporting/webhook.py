"""Send a message to a Slack incoming webhook, without ever waiting for it long.

The webhook's address is a secret: whoever has it can write to the channel. It is in no log, no
record, no message and no error.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from http.client import InvalidURL
from threading import Thread
from urllib.error import URLError

from slack_sdk.errors import SlackRequestError
from slack_sdk.webhook import WebhookClient, WebhookResponse
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_attempt,
    stop_before_delay,
)

ADDRESS_VARIABLE = "FEATURE_STORE_ALERT_WEBHOOK"

_ATTEMPTS = 3
_ATTEMPT_SECONDS = 2.0
_LAST_ATTEMPT_BEFORE_SECONDS = 5.0
_FIRST_WAIT_SECONDS = 0.5

# slack-sdk logs the address, and so nothing of what it logs is kept.
_SILENT = logging.Logger("webhook", level=logging.CRITICAL + 1)


class UndeliveredError(Exception):
    """A message did not arrive, or nothing says that it did; tells why, but not where it was sent.

    `again` is whether another attempt may help, `after` how many seconds the webhook asks for
    before it; None where it does not ask.
    """

    def __init__(self, reason: str, again: bool, after: float | None = None) -> None:
        super().__init__(reason)
        self.again = again
        self.after = after


@dataclass(frozen=True)
class Webhook:
    """A webhook that is tried three times, the last within five seconds, two seconds each."""

    address: str = field(repr=False)
    attempt_seconds: float = _ATTEMPT_SECONDS
    sleep: Callable[[float], None] = time.sleep

    def send(self, text: str) -> None:
        """Deliver a message; only an answer in time counts as delivered.

        Raises:
            UndeliveredError: it did not arrive, or it is unknown whether it did.
        """
        attempts = Retrying(
            retry=retry_if_exception(lambda error: getattr(error, "again", False)),
            wait=_wait,
            # A webhook that asks for more time than there is gets all of it: until the next run.
            stop=stop_after_attempt(_ATTEMPTS) | stop_before_delay(_LAST_ATTEMPT_BEFORE_SECONDS),
            sleep=self.sleep,
            reraise=True,
        )
        attempts(self._attempt, escape(text, quote=False))

    def _attempt(self, text: str) -> None:
        answer = self._answer(text)
        if isinstance(answer, UndeliveredError):
            raise answer
        if not 200 <= answer.status_code < 300:
            busy = answer.status_code == 429
            reason = f"the webhook answered {answer.status_code}"
            again = busy or answer.status_code >= 500
            raise UndeliveredError(reason, again, _retry_after(answer) if busy else None)
        if answer.body.lstrip().startswith("<"):
            # A log-in page, for one, also answers 200.
            raise UndeliveredError("the webhook answered with a page", again=False)

    def _answer(self, text: str) -> WebhookResponse | UndeliveredError:
        """The answer, or why there is none.

        A time-out of the socket begins again with each byte and knows nothing of name servers: a
        thread that is left behind bounds the whole.
        """
        seconds = self.attempt_seconds
        client = WebhookClient(
            self.address,
            timeout=seconds,  # type: ignore[arg-type]  # a socket takes parts of a second
            logger=_SILENT,
            retry_handlers=[],
        )
        answers: list[WebhookResponse | UndeliveredError] = []

        def ask() -> None:
            try:
                answers.append(client.send(text=text))
            except Exception as error:  # of any kind: a webhook never fails a job
                answers.append(_failure(error, seconds))

        thread = Thread(target=ask, daemon=True)
        thread.start()
        thread.join(seconds)
        return answers[0] if answers else _late(seconds)


def configured() -> Webhook | None:
    """The webhook that the environment names; None where it names none."""
    address = os.environ.get(ADDRESS_VARIABLE, "").strip()
    return Webhook(address) if address else None


def _late(seconds: float) -> UndeliveredError:
    return UndeliveredError(f"the webhook did not answer within {seconds:g} s", again=True)


def _failure(error: Exception, seconds: float) -> UndeliveredError:
    """Said in our own words: those of the error may hold the address."""
    cause = error.reason if isinstance(error, URLError) else error
    if isinstance(cause, TimeoutError):
        return _late(seconds)
    kind = type(cause if isinstance(cause, Exception) else error).__name__
    unread = isinstance(error, UnicodeDecodeError)
    if isinstance(error, SlackRequestError | InvalidURL | ValueError) and not unread:
        reason = f"{ADDRESS_VARIABLE} holds no address that can be sent to ({kind})"
        return UndeliveredError(reason, again=False)
    return UndeliveredError(f"the webhook gave no good answer ({kind})", again=True)


def _retry_after(answer: WebhookResponse) -> float | None:
    """Seconds the webhook asks for."""
    asked = {name.casefold(): value for name, value in answer.headers.items()}.get("retry-after")
    return float(asked) if asked and asked.isdecimal() else None


def _wait(state: RetryCallState) -> float:
    """As long as the webhook asks for, or twice as long every time."""
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, UndeliveredError) and error.after is not None:
        return error.after
    return float(_FIRST_WAIT_SECONDS * 2 ** (state.attempt_number - 1))
