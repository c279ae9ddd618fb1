"""What the plugin does to Locust as it is loaded."""

from argparse import Namespace
from unittest.mock import MagicMock

import pytest
from locust import argument_parser
from locust.rpc import Message
from locust.runners import WorkerRunner

import traffic.plugin  # noqa: F401 - as a locustfile does


def test_a_worker_does_not_make_locusts_parser_for_each_option_of_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    made = MagicMock(side_effect=argument_parser.get_empty_argument_parser)
    monkeypatch.setattr(argument_parser, "get_empty_argument_parser", made)
    runner = MagicMock(last_received_spawn_timestamp=0)
    runner.environment.parsed_options = Namespace()
    for timestamp in (1, 2):
        options = {f"traffic_{number}": number for number in range(20)}
        job = {"timestamp": timestamp, "host": "", "stop_timeout": 1, "parsed_options": options}
        WorkerRunner.handle_message(runner, Message("spawn", {**job, "user_classes_count": {}}, None))
    assert vars(runner.environment.parsed_options) == options
    assert made.call_count <= 1
