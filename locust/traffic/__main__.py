"""The command `traffic`: `traffic health` (exit 0 if this worker can do its job) and `traffic check FILE`."""

import sys

from traffic.worker import health


def main(arguments: list[str] | None = None) -> int:
    """Run one command, the command line's if none is given. Return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["check"]:
        from traffic.check import check  # noqa: PLC0415 - the health check runs every few seconds, and needs none of it

        return check(arguments[1:])
    if arguments != ["health"]:
        print("usage: traffic health | check FILE [--schema FILE]", file=sys.stderr)  # noqa: T201 - a command speaks
        return 2
    fault = health.check()
    if fault is not None:
        print(fault, file=sys.stderr)  # noqa: T201 - as above
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
