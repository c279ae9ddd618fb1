"""The command `traffic`: `check` and `plan` are about a file, `results` about a run; by `health` containers ask."""

import sys

from traffic.worker import health


def main(arguments: list[str] | None = None) -> int:
    """Run one command, the command line's if none is given. Return its exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["check"]:
        from traffic.check import check  # noqa: PLC0415 - the health check runs every few seconds, and needs none of it

        return check(arguments[1:])
    if arguments[:1] == ["plan"]:
        from traffic.plan import plan  # noqa: PLC0415 - as above

        return plan(arguments[1:])
    if arguments[:1] == ["results"]:
        from traffic.results import results  # noqa: PLC0415 - as above

        return results(arguments[1:])
    if arguments != ["health"]:
        print("usage: traffic check FILE | plan FILE --rate RATE | results RUN | health", file=sys.stderr)  # noqa: T201 - a command speaks
        return 2
    fault = health.check()
    if fault is not None:
        print(fault, file=sys.stderr)  # noqa: T201 - as above
    return int(fault is not None)


if __name__ == "__main__":
    sys.exit(main())
