"""What is none of the API's faults: a worker without files or ports, the other scheme. And how long is waited."""

import errno
import os
import resource
import socket
import ssl
from functools import partial
from types import SimpleNamespace

import gevent
import pytest
from geventhttpclient.connectionpool import ConnectionPool

from support.replay import Books, Users, server
from traffic import machine_limits as means
from traffic.http import connector
from traffic.users.record_user import RecordUser, read_answer
from traffic.users.replay_user import ReplayUser

RECORD = b'{"name": "n", "msg": "m"}'
# What nginx, Go and Apache say to plain HTTP at a port of TLS; and OpenSSL's alert, by servers that say no more.
AT_A_PORT_OF_TLS = [
    b"<center>The plain HTTP request was sent to HTTPS port</center>",
    b"Client sent an HTTP request to an HTTPS server.\n",
    b"Reason: You're speaking plain HTTP to an SSL-enabled server port.<br />",
]
ALERT = b"\x15\x03\x01\x00\x02\x02\x46"


def post(user):
    user.deliver_next()


@pytest.fixture(
    params=[(ReplayUser, ()), (ReplayUser, (post,)), (RecordUser, (post,))], ids=["replay", "task", "record"]
)
def crew(request):
    """Users of every kind."""
    kind, tasks = request.param
    return partial(Users, kind=kind, tasks=tasks)


def rejection(body):
    head = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    return head + body


@pytest.mark.parametrize("said", AT_A_PORT_OF_TLS, ids=["nginx", "go", "apache"])
def test_plain_http_at_a_port_of_tls_was_not_sent_and_says_what_to_write(said, crew):
    def refuse(connection, _):
        connection.sendall(rejection(said))
        return False

    books = Books([RECORD])
    with server(refuse) as api:
        crew(books, api.url).run()
    (answer,) = books.answers
    assert (answer.status, answer.sent, answer.fault) == (0, False, "api")
    assert "write https://" in answer.reason


@pytest.mark.parametrize("tasks", [(), (post,)])
def test_an_alert_in_place_of_an_answer_says_what_to_write(tasks):
    books = Books([RECORD])
    with server(lambda connection, _: connection.sendall(ALERT)) as api:
        Users(books, api.url, tasks=tasks).run()
    (answer,) = books.answers
    assert not answer.sent
    assert "write https://" in answer.reason


def test_any_other_400_is_a_rejection(crew):
    def refuse(connection, _):
        connection.sendall(rejection(b"plain HTTP is fine, and the record is not"))
        return False

    books = Books([RECORD])
    with server(refuse) as api:
        crew(books, api.url).run()
    assert [answer.status for answer in books.answers] == [400]


def plain(connection, _):
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n")


@pytest.mark.parametrize("tasks", [(), (post,)])
def test_https_at_a_plain_port_was_not_sent_and_says_what_to_write(tasks):
    books = Books([RECORD])
    with server(lambda *_: None) as api:
        api._server.set_handle(plain)
        Users(books, api.url.replace("http:", "https:"), tasks=tasks).run()
    (answer,) = books.answers
    assert not answer.sent
    assert "write http://" in answer.reason


def test_a_record_user_says_of_a_failed_handshake_what_to_write():
    def _create_socket():  # as geventhttpclient calls it
        plain = ssl.SSLError(1, "[SSL: WRONG_VERSION_NUMBER] wrong version number")
        plain.reason = "WRONG_VERSION_NUMBER"
        raise plain

    with pytest.raises(ssl.SSLError) as caught:
        _create_socket()
    answer = read_answer(SimpleNamespace(status_code=0, error=caught.value))
    assert (answer.sent, answer.fault) == (False, "api")
    assert "write http://" in answer.reason


def test_an_answer_is_awaited_as_long_as_the_run_says(crew):
    books = Books([RECORD], timeout_s=0.2)
    with server(lambda *_: gevent.sleep(30)) as api:
        crew(books, api.url).run()
    (answer,) = books.answers
    assert answer.unknown
    assert answer.reason == "TimeoutError: timed out after 0.2 s; a later answer is not waited for"
    assert answer.waited >= 0.2


def test_a_class_that_says_how_long_has_its_way(crew):
    books = Books([RECORD], timeout_s=3600.0)
    with server(lambda *_: gevent.sleep(30)) as api:
        crew(books, api.url, network_timeout=0.2).run()
    assert "timed out after 0.2 s" in books.answers[0].reason


def test_a_connection_that_is_not_made_in_time_was_not_sent(crew):
    listener = socket.create_server(("127.0.0.1", 0))  # takes connections, and never shakes hands
    books = Books([RECORD])
    crew(books, f"https://127.0.0.1:{listener.getsockname()[1]}", connection_timeout=0.2).run()
    listener.close()
    (answer,) = books.answers
    assert (answer.sent, answer.fault) == (False, "api")
    assert "timed out" in answer.reason
    assert answer.waited >= 0.2


@pytest.fixture
def no_sockets(monkeypatch):
    """Have every attempt to connect fail in this way."""

    def fail_by(code):
        def fail(*_args, **_options):
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr(connector, "_Socket", fail)
        monkeypatch.setattr(ConnectionPool, "_create_tcp_socket", fail)

    return fail_by


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.EMFILE, "this worker has no file descriptor left (it may open "),
        (errno.ENFILE, "this worker has no file descriptor left (nor has the machine)"),
        (errno.EADDRNOTAVAIL, "this worker has no port left"),
        (errno.ENOBUFS, "this worker has no memory left for connections"),
        (errno.ENOMEM, "this worker has no memory left for connections"),
        (errno.EACCES, "this worker may not connect"),
        (errno.EPERM, "this worker may not connect"),
    ],
    ids=lambda value: errno.errorcode[value] if isinstance(value, int) else "",
)
def test_what_this_worker_lacks_is_its_own_fault(code, said, crew, no_sockets):
    no_sockets(code)
    books = Books([RECORD])
    crew(books, "http://127.0.0.1:9").run()
    (answer,) = books.answers
    assert (answer.sent, answer.fault) == (False, "worker")
    assert answer.reason.startswith(said)
    assert ": " in answer.reason.removeprefix(said), "with a remedy"


def test_a_resolver_that_can_open_no_file_is_no_unknown_name(monkeypatch):
    error = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert means.own_fault(error) == ""

    def full(*_):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "open", full)
    assert "no file descriptor left" in means.own_fault(error)


def test_what_others_do_is_not_this_workers_fault():
    for error in (
        ConnectionRefusedError(111, ""),
        ssl.SSLError(1, "alert"),
        TimeoutError("timed out"),
        OSError("?"),
        None,
    ):
        assert means.own_fault(error) == ""


def test_of_several_addresses_the_one_that_answered_is_reported(monkeypatch):
    """As if localhost were 127.0.0.1 and ::1 on a machine without IPv6."""
    with server(lambda *_: None) as api:
        port = api._server.address[1]
    nowhere = ("192.0.2.1", port)  # which a socket bound to loopback cannot reach

    class Bound(connector._Socket):  # type: ignore[misc] # gevent has no types
        def connect_ex(self, address):
            return errno.EADDRNOTAVAIL if address == nowhere else super().connect_ex(address)

    monkeypatch.setattr(connector, "_Socket", Bound)
    both = [(socket.AF_INET, ("127.0.0.1", port)), (socket.AF_INET, nowhere)]
    monkeypatch.setattr("traffic.http.resolver.Target.literal", lambda self: both)
    books = Books([RECORD])
    Users(books, f"http://localhost:{port}").run()
    (answer,) = books.answers
    assert answer.fault == "api"
    assert "refused" in answer.reason


def test_too_few_files_are_foreseen(monkeypatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert means.too_few_files(1024 - means.OWN_FILES) == ""
    said = means.too_few_files(5000)
    assert said.startswith("this worker will have 5000 users, and may open 1024 files")
    assert "ulimit -n 5064" in said
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert means.too_few_files(10**9) == ""


def test_the_limit_of_open_files_is_raised_as_far_as_it_may_be(monkeypatch):
    limits = {resource.RLIMIT_NOFILE: (1024, 4096)}
    monkeypatch.setattr(resource, "getrlimit", limits.get)
    monkeypatch.setattr(resource, "setrlimit", limits.__setitem__)
    means.raise_open_files()
    assert limits[resource.RLIMIT_NOFILE] == (4096, 4096)


def test_a_limit_that_cannot_be_raised_stays_and_is_reported(monkeypatch, caplog):
    def forbid(*_):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", forbid)
    means.raise_open_files()
    assert "stays at 1024" in caplog.text
