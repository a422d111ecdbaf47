"""What every job of this room says when it will not work on what it was given."""


class RefusedError(Exception):
    """Input or target that a job refuses; the message says what, where and what to do.

    Raised before anything is written, so a refused job leaves no trace.
    """


A_LATER_TIME = (
    "name a later time; where the later one has not come yet, scripts/step_back.py takes it back"
)
"""What to do where something stands further than it is to be brought."""

THE_WAY_OUT = (
    "Mend the events; where what was served has to change all the same (a corrected aggregation or "
    "source), scripts/rebuild.py tells what would, and makes it anew with the reason on record"
)
"""What to do where the events, or the aggregation, tell the past in another way."""
