"""One user against a server that does everything a server can do to a connection."""

import contextlib
import io
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent import ssl

from support.certificates import Authority, self_signed
from support.replay import OK, Books, Users, listening, server, until
from traffic.core.outcome import Outcome
from traffic.http import resolver as resolver_module
from traffic.http.resolver import FRESH_S, Resolver, Target

RECORD = b'{"name": "n", "msg": "m"}'
WITH_BODY = b"HTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody"
HEAD = WITH_BODY.index(b"body")


def delivers(serve, count=5, bodies=None, **settings):
    """Have one user deliver records; return the source with the outcomes, and the server."""
    books = Books(bodies or [RECORD] * count)
    with server(serve) as api:
        users = Users(books, api.url, **settings).run()
    assert not users.errors
    assert [request.index for request in api.requests] == list(range(len(books.bodies))), "each once, in order"
    assert [request.body for request in api.requests] == books.bodies
    return books, api


def test_records_go_over_one_connection_as_they_stand():
    books, api = delivers(lambda connection, _: connection.sendall(OK), bodies=[b"{}", b"", "é\0".encode(), RECORD])
    assert {answer.status for answer in books.answers} == {201}
    assert api.connections == 1


def test_a_request_says_what_a_record_user_says():
    books, api = delivers(
        lambda connection, _: connection.sendall(OK), count=1, default_headers={"X-Own": "a", "User-Agent": "me"}
    )
    lines = api.requests[0].head.decode().split("\r\n")
    assert lines[0] == "POST /in HTTP/1.1"
    assert set(lines[1:]) == {
        f"Host: {api.url.removeprefix('http://')}",
        "Content-Type: application/json",
        "Idempotency-Key: run-1-0",
        "Traffic-Worker: worker-1",
        "User-Agent: me",
        "X-Own: a",
        f"Content-Length: {len(RECORD)}",
    }
    assert len(books.booked) == 1


def test_a_class_may_replace_the_content_type():
    own = {"content-type": "application/problem+json"}
    _, api = delivers(lambda connection, _: connection.sendall(OK), count=1, default_headers=own)
    lines = api.requests[0].head.decode().lower().split("\r\n")
    assert [line for line in lines if line.startswith("content-type")] == ["content-type: application/problem+json"]


def test_an_answer_byte_by_byte():
    def serve(connection, _):
        for at in range(len(WITH_BODY)):
            connection.sendall(WITH_BODY[at : at + 1])
            gevent.sleep(0)

    books, api = delivers(serve, count=3)
    assert [answer.status for answer in books.answers] == [201] * 3
    assert api.connections == 1


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_connection_that_ends_at_any_byte_of_the_answer(reset):
    def serve(connection, request):
        connection.sendall(WITH_BODY[: request.index])
        if reset:
            gevent.sleep(0.002)  # a reset throws away what was not read yet
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        return False

    books, api = delivers(serve, count=len(WITH_BODY))
    before, after = books.answers[:HEAD], books.answers[HEAD:]
    assert all(answer.unknown and answer.reason for answer in before)
    if not reset:
        assert {answer.reason for answer in before} == {"HTTPConnectionClosed: connection closed."}
        assert [answer.status for answer in after] == [201] * len(after), "the head was whole: that is the answer"
    assert api.connections == len(WITH_BODY)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (OK + b"more", 201),
        (OK + OK, 201),
        (b"HTTP/1.1 201 C\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}", 201),
        (b"HTTP/1.0 201 C\r\nContent-Length: 2\r\n\r\n{}", 201),
        (b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\nzz\r\n", 201),
        (b"HTTP/1.1 201 C\r\nContent-Length: 1, 2\r\n\r\n{}", 0),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 0),
        (b"SSH-2.0-OpenSSH\r\n", 0),
    ],
)
def test_a_connection_is_not_used_after_an_answer_whose_end_is_not_sure(answer, status):
    books, api = delivers(lambda connection, _: connection.sendall(answer), count=3)
    assert [(one.status, one.sent) for one in books.answers] == [(status, True)] * 3
    assert api.connections == 3


def test_interim_answers_are_skipped_and_chunks_and_trailers_are_read():
    chunks = b"HTTP/1.1 201 C\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nDigest: x\r\n\r\n"
    books, api = delivers(lambda connection, _: connection.sendall(b"HTTP/1.1 100 Go on\r\n\r\n" * 2 + chunks))
    assert [answer.status for answer in books.answers] == [201] * 5
    assert api.connections == 1


def test_a_connection_that_the_server_closes_at_rest_costs_no_record():
    def serve(connection, _):
        connection.sendall(OK)
        return False

    books, api = delivers(serve, wait_time=lambda _: 0.01)
    assert [answer.status for answer in books.answers] == [201] * 5
    assert api.connections == 5


def test_what_was_written_to_a_connection_that_was_closed_meanwhile_may_have_been_read():
    def serve(connection, _):
        connection.sendall(OK)
        connection.recv(1, socket.MSG_PEEK)  # the next request has left when the end of the connection is noticed
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)
        return False

    books = Books([RECORD] * 2)
    with server(serve) as api:
        Users(books, api.url).run()
    first, second = books.answers
    assert first.status == 201
    assert second.unknown
    assert len(api.requests) == 1, "it is not for the connection to send a record again"


def test_large_records_go_in_parts():
    bodies = [bytes([65 + at]) * 3_000_000 for at in range(3)]
    books, api = delivers(lambda connection, _: connection.sendall(OK), bodies=bodies)
    assert [answer.status for answer in books.answers] == [201] * 3
    assert api.connections == 1


def test_an_answer_before_the_request_is_whole_counts():
    def refuse(connection, _address):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    books = Books([b"x" * 8_000_000])
    with server(lambda *_: None) as api:
        api._server.set_handle(refuse)
        Users(books, api.url).run()
    assert [(answer.status, outcome) for _, answer, outcome in books.booked] == [(413, Outcome.REJECTED)]


def test_an_answer_that_does_not_come_is_given_up():
    books, api = delivers(lambda *_: gevent.sleep(30), count=2, network_timeout=0.2)
    said = "TimeoutError: timed out after 0.2 s; a later answer is not waited for"
    assert [(one.reason, one.unknown) for one in books.answers] == [(said, True)] * 2
    assert api.connections == 2


def test_an_answer_that_trickles_is_given_up_too():
    def serve(connection, _):
        for at in range(HEAD - 1):
            connection.sendall(WITH_BODY[at : at + 1])
            gevent.sleep(0.05)

    books, _ = delivers(serve, count=1, network_timeout=0.3)
    assert books.answers[0].reason.startswith("TimeoutError: timed out after 0.3 s")


def test_what_is_refused_was_not_sent():
    with server(lambda *_: None) as api:
        url = api.url
    books = Books([RECORD] * 2)
    Users(books, url).run()
    reason = "ConnectionRefusedError: [Errno 111] Connection refused"
    assert [(answer.reason, answer.sent) for answer in books.answers] == [(reason, False)] * 2


def test_a_connection_that_does_not_come_is_given_up_unsent():
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):  # the backlog is full, so the connection is not accepted
        fillers.append(socket.socket())
        fillers[-1].setblocking(False)
        fillers[-1].connect_ex(listener.getsockname())
    books = Books([RECORD])
    Users(books, f"http://127.0.0.1:{listener.getsockname()[1]}", connection_timeout=0.2).run()
    for one in (listener, *fillers):
        one.close()
    said = "TimeoutError: timed out: no connection within 0.2 s"
    assert [(answer.reason, answer.sent) for answer in books.answers] == [(said, False)]


def test_a_name_without_address_was_not_sent(monkeypatch):
    def unknown(_):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(Target, "look_up", unknown)
    books = Books([RECORD])
    Users(books, "http://api.invalid").run()
    answer = books.answers[0]
    assert (answer.reason, answer.sent) == ("gaierror: [Errno -2] Name or service not known", False)


def test_what_is_no_name_at_all_was_not_sent():
    books = Books([RECORD])
    Users(books, f"http://{'a' * 70}.example").run()
    assert "no name of a host" in books.answers[0].reason
    assert not books.answers[0].sent


def test_names_are_looked_up_again_in_time_and_once_for_all_who_ask(monkeypatch):
    asked: list[float] = []
    now = [0.0]
    pending: list[Any] = []
    monkeypatch.setattr(Target, "look_up", lambda _: asked.append(now[0]) or [(2, ("127.0.0.1", len(asked)))])
    resolver = Resolver(Target.of("http://api.example"), pending.append, lambda: now[0])
    got: list[Any] = []
    for _ in range(3):
        resolver.resolve(lambda found, error: got.append((found, error)))
    pending.pop()()
    assert got == [([(2, ("127.0.0.1", 1))], None)] * 3
    resolver.resolve(lambda found, _: got.append(found))
    assert not pending
    now[0] = FRESH_S
    resolver.resolve(lambda found, _: got.append(found))
    pending.pop()()
    assert got[-1] == [(2, ("127.0.0.1", 2))]
    assert asked == [0.0, FRESH_S]


def test_the_next_address_is_tried_where_one_refuses(monkeypatch):
    closed = listening()
    port = closed.getsockname()[1]
    closed.close()
    with server(lambda connection, _: connection.sendall(OK)) as api:
        good = int(api.url.rpartition(":")[2])
        found = [(int(socket.AF_INET), ("127.0.0.1", at)) for at in (port, good)]
        monkeypatch.setattr(resolver_module, "_addresses", lambda *_: found)
        books = Books([RECORD])
        Users(books, "http://api.example").run()
    assert books.answers[0].status == 201


def test_ipv6_and_unix_sockets(tmp_path):
    for listener, url in (
        (listening(socket.AF_INET6, ("::1", 0)), "http://[::1]:{port}"),
        (listening(socket.AF_UNIX, str(tmp_path / "s")), "http+unix://" + str(tmp_path / "s").replace("/", "%2F")),
    ):
        port = listener.getsockname()[1]
        books = Books([RECORD] * 2)
        with server(lambda connection, _: connection.sendall(OK), listener) as api:
            Users(books, url.format(port=port)).run()
        assert [answer.status for answer in books.answers] == [201] * 2
        assert len(api.requests) == 2


def test_credentials_of_the_url_are_sent():
    books = Books([RECORD])
    with server(lambda connection, _: connection.sendall(OK)) as api:
        Users(books, api.url.replace("//", "//me:p%40ss@")).run()
    assert b"\r\nAuthorization: Basic bWU6cEBzcw==\r\n" in api.requests[0].head
    assert b"me:" not in api.requests[0].head


@pytest.fixture(scope="module")
def certificate_of(tmp_path_factory):
    """Makes a certificate and its key: their files."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    return lambda name: self_signed(tmp_path_factory.mktemp(name), name)


@pytest.fixture(scope="module")
def certificate(certificate_of):
    return certificate_of("localhost")


def over_tls(
    certificate, serve=lambda connection, _: connection.sendall(OK), bodies=(RECORD,) * 3, demand=None, **settings
):
    """What comes of records to a TLS server; `demand(context)` says what it demands."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    if demand:
        demand(context)
    books = Books(list(bodies))
    with server(serve, ssl_context=context) as api:
        users = Users(books, api.url.replace("http:", "https:"), **settings).run()
    assert not users.errors
    return books, api


def test_tls_is_verified_by_a_ca_file(certificate):
    bodies = [RECORD, b"x" * 2_000_000, RECORD]
    books, api = over_tls(certificate, bodies=bodies, ca_file=certificate[0])
    assert [answer.status for answer in books.answers] == [201] * 3
    assert [request.body for request in api.requests] == bodies
    assert api.connections == 1


def test_tls_that_cannot_be_verified_sends_nothing(certificate):
    books, api = over_tls(certificate)
    assert all(
        not answer.sent and "certificate is not accepted (self-signed certificate)" in answer.reason
        for answer in books.answers
    )
    assert not api.requests


def test_tls_is_not_verified_where_that_was_asked_for(certificate):
    books, _ = over_tls(certificate, insecure=True)
    assert [answer.status for answer in books.answers] == [201] * 3


def test_tls_that_is_closed_before_the_answer_leaves_it_unknown(certificate):
    books, _ = over_tls(certificate, lambda *_: False, ca_file=certificate[0])
    assert all(answer.unknown for answer in books.answers)


TLS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])


def demanding(certificate, version):
    """A server's demand for a client certificate that `certificate` has signed: itself, that is."""

    def demand(context):
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificate[0])
        context.minimum_version = context.maximum_version = version

    return demand


@TLS
@pytest.mark.parametrize("form", ["a pair", "one file"])
def test_a_client_certificate_is_shown_to_a_server_that_demands_one(certificate, version, form, tmp_path):
    both = tmp_path / "both.pem"
    both.write_text("".join(Path(part).read_text() for part in certificate))
    own = certificate if form == "a pair" else str(both)
    demand = demanding(certificate, version)
    books, api = over_tls(certificate, demand=demand, ca_file=certificate[0], client_certificate=own)
    assert [answer.status for answer in books.answers] == [201] * 3
    assert api.connections == 1


@TLS
@pytest.mark.parametrize("own", ["none", "one that it does not know"])
def test_a_server_that_refuses_the_client_certificate_was_sent_nothing(certificate, certificate_of, version, own):
    shown = None if own == "none" else certificate_of("stranger")
    demand = demanding(certificate, version)
    with contextlib.redirect_stderr(io.StringIO()):  # the server says at length what it met
        books, api = over_tls(certificate, demand=demand, ca_file=certificate[0], client_certificate=shown)
    assert not api.requests
    assert [(answer.status, answer.sent) for answer in books.answers] == [(0, False)] * 3
    for answer in books.answers:
        assert answer.reason.startswith("SSLError: [SSL: ")
        assert re.search("certificate required|handshake failure|unknown ca", answer.reason)


@pytest.mark.parametrize(
    ("setting", "what"),
    [
        ({"client_certificate": "nowhere.pem"}, "client_certificate 'nowhere.pem' cannot be used: "),
        ({"ca_file": "nowhere.pem"}, "ca_file 'nowhere.pem' cannot be used: "),
    ],
)
def test_a_certificate_that_cannot_be_read_is_told_by_its_name(setting, what):
    books = Books([RECORD])
    assert not Users(books, "https://127.0.0.1:1", **setting).run().errors
    (answer,) = books.answers
    assert answer.reason.startswith(what)
    assert (answer.sent, answer.fault) == (False, "worker")


def test_an_encrypted_key_is_told_and_nobody_is_asked_for_its_password(certificate, tmp_path):
    key = tmp_path / "encrypted.pem"
    command = ["openssl", "pkey", "-in", certificate[1], "-aes256", "-passout", "pass:secret", "-out", key]
    subprocess.run(command, check=True)
    with pytest.raises(OSError, match="its key is encrypted"):
        resolver_module.tls_context(insecure=False, ca_file=None, certificate=(certificate[0], str(key)))


def test_https_to_a_server_that_speaks_none_sends_nothing():
    books = Books([RECORD])
    with server(lambda connection, _: connection.sendall(OK)) as api:
        api._server.set_handle(lambda connection, _: connection.sendall(b"HTTP/1.1 400 Bad\r\n\r\n"))
        Users(books, api.url.replace("http:", "https:")).run()
    assert not books.answers[0].sent
    assert books.answers[0].reason == "WrongSchemeError: this port does not speak TLS: write http:// in the host"


# What a certificate says that is not accepted.


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A root, an intermediate of it, and a maker of certificates that the intermediate has signed."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    return Authority(tmp_path_factory.mktemp("authority"))


def tls_fault(certificate, host="127.0.0.1", **settings):
    """What a user says of an API with this certificate, to which nothing was sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    books = Books([RECORD])
    with server(lambda *_: None, ssl_context=context) as api:
        url = api.url.replace("http:", "https:").replace("127.0.0.1", host)
        Users(books, url, **settings).run()
    (answer,) = books.answers
    assert not answer.sent
    return answer.reason


def test_a_certificate_is_accepted_by_its_root_if_the_api_sends_what_lies_between(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.leaf("whole", chain=True))
    books = Books([RECORD])
    with server(lambda connection, _: connection.sendall(OK), ssl_context=context) as api:
        Users(books, api.url.replace("http:", "https:"), ca_file=authority.root).run()
    assert [answer.status for answer in books.answers] == [201]


def test_a_certificate_that_is_not_accepted_says_why_and_what_cures_it(authority, certificate):
    said = {
        "self-signed": tls_fault(certificate),
        "no intermediate": tls_fault(authority.leaf("lone"), ca_file=authority.root),
        "unknown root": tls_fault(authority.leaf("known", chain=True)),
        "expired": tls_fault(authority.leaf("old", chain=True, days=-1), ca_file=authority.root),
        "another name": tls_fault(authority.leaf("named", chain=True), host="localhost", ca_file=authority.root),
    }
    words = {
        "self-signed": ("self-signed certificate", "name its file in --traffic-ca-file"),
        "no intermediate": ("unable to get local issuer certificate", "does not send the certificates between"),
        "unknown root": ("unable to get local issuer certificate", "in --traffic-ca-file"),
        "expired": ("certificate has expired", "renew it on the API"),
        "another name": ("Hostname mismatch", "write the host by a name that the certificate has"),
    }
    for name, (word, cure) in words.items():
        assert said[name].startswith(f"the API's certificate is not accepted ({word}"), (name, said[name])
        assert cure in said[name], (name, said[name])
        assert "--traffic-insecure accepts any" in said[name]


def test_a_file_for_tls_that_is_not_there_is_this_workers_fault_and_is_read_once_it_is(authority, tmp_path):
    missing = tmp_path / "ca.pem"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.leaf("late", chain=True))
    books = Books([RECORD] * 2)
    with server(lambda connection, _: connection.sendall(OK), ssl_context=context) as api:
        users = Users(books, api.url.replace("http:", "https:"), ca_file=str(missing))
        users.start()
        until(lambda: books.booked, "the first is told")
        shutil.copy(authority.root, missing)
        users.join()
    first, second = books.answers
    assert first.reason == f"ca_file {str(missing)!r} cannot be used: [Errno 2] No such file or directory"
    assert (first.sent, first.fault, second.status) == (False, "worker", 201)
    assert not users.errors
