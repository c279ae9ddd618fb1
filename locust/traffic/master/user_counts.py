"""Check how many users a run may have and how fast they may be started.

Locust accepts any number for either, and then waits for ever, or fails in a greenlet that nobody waits for.
"""

import argparse
import re

from traffic.settings import SettingsError

MOST_USERS = 1_000_000
# Users started a second; the slowest is one in almost three hours.
SLOWEST, FASTEST = 0.0001, 1_000_000
_WHOLE = re.compile(r"[0-9]{1,9}")
_NUMBER = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


def read_users(value: object, least: int = 1) -> int:
    """Return how many users are asked for. SettingsError if that is no whole number, or out of range."""
    text = str(value).strip()
    if _WHOLE.fullmatch(text) and least <= int(text) <= MOST_USERS:
        return int(text)
    why = ": without users nothing is sent" if text.strip("+-0") == "" and text else ""
    rule = f"The number of users must be a whole number from {least} to {MOST_USERS}"
    raise SettingsError(f"{rule}, not {_quote(value)}{why}.")


def read_spawn_rate(value: object) -> float:
    """Return how many users are to be started a second. SettingsError if that is no number, or out of range."""
    text = str(value).strip()
    if _NUMBER.fullmatch(text) and SLOWEST <= float(text) <= FASTEST:
        return float(text)
    raise SettingsError(f"The users started a second must be from {SLOWEST} to {FASTEST}, not {_quote(value)}.")


def check_options(options: argparse.Namespace) -> None:
    """Raise SettingsError if the command line asks for users out of range. An option that is not set means one."""
    for name, read, remedy in (
        ("num_users", read_users, "Set --users (LOCUST_USERS)."),
        ("spawn_rate", read_spawn_rate, "Set --spawn-rate (LOCUST_SPAWN_RATE)."),
    ):
        value = getattr(options, name, None)
        if value is None:
            continue
        try:
            read(value)
        except SettingsError as error:
            raise SettingsError(f"{error} {remedy}") from None


def _quote(value: object) -> str:
    text = str(value)
    return repr(text[:40]) if text.strip() else "nothing"
