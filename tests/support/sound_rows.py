"""A row of events that every engine admits."""

from event_strategies import DAY, HOUR, LEAP_DAY
from oracle import Event

NOON = LEAP_DAY + DAY + 12 * HOUR
SOUND = Event(1, NOON + HOUR, NOON + HOUR, 1, 10.0, 2)
