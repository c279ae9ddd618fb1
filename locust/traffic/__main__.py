"""The command `traffic`: `check` and `plan` for files, `results` and `compare` for runs; containers ask `health`."""

import sys
from importlib import import_module

from traffic.worker import health

# Each command's module, and the function that gets its arguments. The health check runs every few seconds, and imports
# none of them.
COMMANDS = {
    "check": ("traffic.check", "check"),
    "plan": ("traffic.plan", "plan"),
    "results": ("traffic.results", "results"),
    "compare": ("traffic.compare", "main"),
}
USAGE = "usage: traffic check FILE | plan FILE --rate RATE | results RUN | compare RUN RUN | health"


def main(arguments: list[str] | None = None) -> int:
    """Run one command, the command line's if none is given. Return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] and arguments[0] in COMMANDS:
        module, function = COMMANDS[arguments[0]]
        return int(getattr(import_module(module), function)(arguments[1:]))
    if arguments != ["health"]:
        print(USAGE, file=sys.stderr)  # noqa: T201 - a command speaks
        return 2
    fault = health.check()
    if fault is not None:
        print(fault, file=sys.stderr)  # noqa: T201 - as above
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
