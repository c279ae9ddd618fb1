"""Adds the options to Locust's command line and web form."""

import argparse
import os
from typing import TYPE_CHECKING, Any

from traffic.environment import SECRET_FILE, SECRET_REQUIRED
from traffic.settings.table import OPTIONS

if TYPE_CHECKING:
    from locust.argument_parser import LocustArgumentParser


class _Choices(list[str]):
    """What the web form offers for an option. Any value passes the parser: `Settings.read` names all faults at once."""

    def __contains__(self, value: object) -> bool:
        return True


class Lines(argparse.Action):
    """Makes lines of the values of a flag that is given several times."""

    def __call__(  # noqa: D102 - as argparse.Action
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        before = getattr(namespace, self.dest, None)
        setattr(namespace, self.dest, f"{before}\n{values}" if before else values)


def add_options(parser: "LocustArgumentParser", **_: Any) -> None:
    """Add every option to Locust's parser (for its event `init_command_line_parser`)."""
    for option in OPTIONS:
        if not os.environ.get(option.variable):
            # Compose sets variables to nothing; the parser would check "" against the choices.
            os.environ.pop(option.variable, None)
        extra: dict[str, Any] = {"choices": _Choices(option.choices)} if option.choices else {}
        extra |= {"nargs": "?", "const": option.bare} if option.bare else {}
        extra |= {"action": Lines} if option.many else {}
        parser.add_argument(
            option.flag,
            type=str,
            default=option.default,
            env_var=option.variable,
            include_in_web_ui=option.in_form,
            help=option.help,
            **extra,
        )
    # Not among the options of a run: it is about the processes, and their form must not change it.
    parser.add_argument(
        "--traffic-secret",
        type=str,
        default="",
        env_var=SECRET_REQUIRED,
        include_in_web_ui=False,
        help=f"required: do not start without the secret of master and workers ({SECRET_FILE})",
    )
    # The master sets it at each start, and it reaches the workers with the first users.
    parser.add_argument("--traffic-run", type=str, default="", include_in_web_ui=False, help=argparse.SUPPRESS)
