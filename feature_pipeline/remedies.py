"""What to do where a refresh refuses: told in the same words wherever it does."""

A_LATER_TIME = (
    "name a later time; where the later one has not come yet, scripts/step_back.py takes it back"
)
"""Where something stands further than it is to be brought."""

THE_WAY_OUT = (
    "Mend the events; where what was served has to change all the same (a corrected aggregation or "
    "source), scripts/rebuild.py tells what would, and makes it anew with the reason on record"
)
"""Where the events, or the aggregation, tell the past in another way."""
