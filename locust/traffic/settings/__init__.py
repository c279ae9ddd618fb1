"""Options: the table of all of them, and how their values are read and checked before a run."""

from traffic.settings.host import UNIX, read_host
from traffic.settings.option import Option, SettingsError
from traffic.settings.options import Settings, check_variables, read_lease, read_suspends
from traffic.settings.parser import add_options
from traffic.settings.table import BY_NAME, DEAD_LETTERS, DEFAULT_STATE_DIR, LATEST, NONE, OPTIONS, RUN

__all__ = [
    "BY_NAME",
    "DEAD_LETTERS",
    "DEFAULT_STATE_DIR",
    "LATEST",
    "NONE",
    "OPTIONS",
    "RUN",
    "UNIX",
    "Option",
    "Settings",
    "SettingsError",
    "add_options",
    "check_variables",
    "read_host",
    "read_lease",
    "read_suspends",
]
