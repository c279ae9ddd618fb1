"""Locust's names for what its test, or one of its workers, is doing."""

from locust.runners import (
    STATE_CLEANUP,
    STATE_INIT,
    STATE_MISSING,
    STATE_RUNNING,
    STATE_SPAWNING,
    STATE_STOPPED,
    STATE_STOPPING,
)

READY, SPAWNING, RUNNING, MISSING = STATE_INIT, STATE_SPAWNING, STATE_RUNNING, STATE_MISSING
STOPPING, STOPPED, CLEANUP = STATE_STOPPING, STATE_STOPPED, STATE_CLEANUP

ALL = frozenset({READY, SPAWNING, RUNNING, CLEANUP, STOPPING, STOPPED, MISSING})
# A test is in Locust, with its users or on the way to them.
ACTIVE = frozenset({SPAWNING, RUNNING})
ENDING = frozenset({STOPPING, CLEANUP})
# Locust begins a new test if it is asked to start.
IDLE = frozenset({READY, STOPPED, *ENDING})
