"""What every room says when it will not work on, or answer, what it was given."""


class RefusedError(Exception):
    """Input, target or request that is refused; the message says what, where, why and what to do.

    A job raises it before anything is written, so that a refused job leaves no trace.
    """
