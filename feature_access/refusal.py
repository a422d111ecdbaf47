"""What a read refuses before it reads."""


class RefusedError(Exception):
    """A request this room will not serve; the message says what, why and what to do."""
