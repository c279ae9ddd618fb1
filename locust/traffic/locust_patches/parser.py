"""Make Locust's parser once in a process."""

import functools

from locust import argument_parser


def make_parser_once() -> None:
    """Have Locust keep the options that it knows by itself.

    It makes its whole parser again for every option in every "spawn" message: half a second in which a worker does
    nothing else, and on a busy machine seconds, so that its leases lapse. Needed for Locust 2.47.
    """
    argument_parser.default_args_dict = functools.cache(argument_parser.default_args_dict)
