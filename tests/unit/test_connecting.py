"""What a worker logs if no master answers it, by what is at the address."""

import gevent
import pytest
from gevent import socket

from support.mongod import free_port
from traffic.locust_patches import connecting
from traffic.locust_patches.connecting import why_no_master


def test_a_port_at_which_nobody_listens_is_named_so() -> None:
    said = why_no_master("127.0.0.1", free_port())
    assert said == (
        "it cannot be reached (Connection refused); start the master, or check --master-host and --master-port"
    )


def test_a_name_that_nobody_knows_is_named_so() -> None:
    assert why_no_master("nowhere.invalid", 5557).startswith("the name is not known (")


def test_something_else_that_listens_is_named_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = why_no_master("127.0.0.1", server.getsockname()[1])
    assert said.startswith("something listens there that is no master")


def test_who_does_not_answer_is_given_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "PROBE_S", 0.01)
    monkeypatch.setattr("socket.create_connection", lambda *_: gevent.sleep(60))
    assert why_no_master("10.0.0.1", 5557).startswith("nothing answers there")


@pytest.mark.parametrize("answered", [True, False])
def test_a_master_that_does_not_answer_the_hello_is_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, answered: bool
) -> None:
    class Runner:
        master_host, master_port = "master", 5557

    monkeypatch.setattr(connecting, "SILENT_HELLO_S", 0.0)
    connecting.report_silent_master(Runner(), lambda: answered)
    gevent.sleep(0.01)
    assert ("the master at master:5557 has not answered" in caplog.text) is not answered
