"""Arguments of the commands that read a traffic file as a run would: the options that say how, by shorter names."""

import argparse
import os
from collections.abc import Mapping
from typing import Any

from traffic.settings.options import Settings
from traffic.settings.parser import Lines
from traffic.settings.table import BY_NAME

READING = (
    *("traffic_records", "traffic_methods", "traffic_keep_host", "traffic_delimiter", "traffic_csv_types"),
    *("traffic_csv_body", "traffic_path", "traffic_method", "traffic_stamp"),
)
REQUESTS = (*READING, "traffic_offset", "traffic_header", "traffic_header_file")


def add_arguments(parser: argparse.ArgumentParser, names: tuple[str, ...]) -> None:
    """Add options of a run to a command: `--delimiter` for `--traffic-delimiter`. Their variables count, too."""
    group = parser.add_argument_group("how the file is read and sent", "as the options of a run, of longer names")
    for name in names:
        option = BY_NAME[name]
        extra: dict[str, Any] = {"nargs": "?", "const": option.bare} if option.bare else {}
        extra |= {"action": Lines} if option.many else {}
        group.add_argument(
            "--" + option.field.replace("_", "-"),
            dest=name,
            default=os.environ.get(option.variable) or None,
            metavar=option.field.upper(),
            help=option.help.replace("%", "%%"),
            **extra,
        )


def settings_of(wanted: argparse.Namespace, given: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of a run with these arguments, or those that are `given` in their place.

    SettingsError if one cannot be used.
    """
    chosen: dict[str, Any] = {name: getattr(wanted, name, None) for name in REQUESTS}
    return Settings.read(argparse.Namespace(**{**chosen, **(given or {})}))
