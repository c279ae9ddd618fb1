"""Change the settings and constants of Locust that would harm a run."""

from locust import runners
from locust.env import Environment

# A user that a ramp-down or a stop ends in mid-request would leave a record in doubt.
STOP_TIMEOUT_S = 10
# Locust counts down to this number, one a second.
NEVER = -(10**9)
MASTER_AWAY_S = 600


def enable_rebalancing(environment: Environment) -> None:
    """Have the master share the users out again whenever a worker comes or goes.

    Otherwise workers that join a test get no users, but for the first one. Needed for Locust 2.47.
    """
    assert environment.parsed_options is not None
    environment.parsed_options.enable_rebalancing = True


def set_stop_timeout(environment: Environment) -> None:
    """Give users `STOP_TIMEOUT_S` to finish their request, unless another stop timeout is set.

    Otherwise a stop ends users in mid-request, and nobody reads the answers. Needed for Locust 2.47.
    """
    environment.stop_timeout = environment.stop_timeout or STOP_TIMEOUT_S


def keep_missing_workers() -> None:
    """Never remove a missing worker from the master's list because it has been missing for long.

    A minute after a worker went missing, the master would share out all users from zero, and end users of healthy
    workers in mid-request. The lost worker's records go to the others long before. Needed for Locust 2.47.
    """
    runners.HEARTBEAT_DEAD_INTERNAL = NEVER


def wait_for_lost_master() -> None:
    """Let a worker whose master is gone wait `MASTER_AWAY_S` for another, with its unconfirmed outcomes.

    Otherwise it ends after a minute, and what it knows of delivered records is lost. Needed for Locust 2.47.
    """
    runners.MASTER_HEARTBEAT_TIMEOUT = MASTER_AWAY_S
