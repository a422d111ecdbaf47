"""What every job of this room says when it will not work on what it was given."""


class RefusedError(Exception):
    """Input or target that a job refuses; the message says what, where and what to do.

    Raised before anything is written, so a refused job leaves no trace.
    """


A_LATER_TIME = (
    "name a later time; where the later one has not come yet, scripts/step_back.py takes it back"
)
"""What to do where something stands further than it is to be brought."""
