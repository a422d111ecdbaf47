"""What every job of this room says when it will not work on what it was given."""


class RefusedError(Exception):
    """Input or target that a job refuses; the message says what, where and what to do.

    Raised before anything is written, so a refused job leaves no trace.
    """
