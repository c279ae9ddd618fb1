"""Whole runs of replay users against nginx: what it does to connections, and the ways to reach it."""

import json
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from support.certificates import self_signed
from support.cluster import LOCUSTFILE, Cluster, records_file
from support.nginx import POSTS, Nginx, mute_server, running_nginx

pytestmark = pytest.mark.timeout(180)

REPLAY = """
from traffic import ReplayUser

class Replay(ReplayUser):
    network_timeout = 10.0
"""


def replayed(folder: Path, host: str, file: Path, **more: Any) -> tuple[int, dict[str, int], Cluster]:
    """A run over two workers: its exit code, its counts, and the cluster that did it."""
    given: dict[str, Any] = {"locustfile": REPLAY, "TRAFFIC_FILE": file} | more
    with Cluster(folder, host, **given) as cluster:
        code = cluster.wait()
        return code, cluster.report["counts"], cluster


def all_once(nginx: Nginx, counts: dict[str, int], records: int) -> None:
    """Every record was delivered, and POSTed once."""
    assert nginx.times() == dict.fromkeys(range(records), 1)
    assert counts["delivered"] == counts["attempts"] == records


@pytest.mark.parametrize(
    ("directives", "most"),
    [("keepalive_requests 3;", 3), ("keepalive_timeout 0;", 1), ("lingering_close always; keepalive_requests 1;", 1)],
    ids=["three to a connection", "Connection: close", "one, and a close that lingers"],
)
def test_connections_that_end_after_some_answers_cost_no_record(tmp_path: Path, directives: str, most: int) -> None:
    with running_nginx(tmp_path / "nginx", directives + POSTS) as nginx:
        code, counts, _ = replayed(tmp_path, nginx.url, records_file(tmp_path, 300))
        all_once(nginx, counts, 300)
        assert len({post.connection for post in nginx.posted()}) >= 300 / most
    assert code == 0


def test_connections_that_nginx_closes_at_rest_cost_no_record(tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", "keepalive_timeout 1s;" + POSTS) as nginx:
        file = records_file(tmp_path, 24)
        code, counts, _ = replayed(tmp_path, nginx.url, file, TRAFFIC_WAIT="1.5-1.6")
        all_once(nginx, counts, 24)
        assert len({post.connection for post in nginx.posted()}) == 24
    assert code == 0


def test_chunked_answers_are_read_to_their_end(tmp_path: Path) -> None:
    chunked = f"location / {{ ssi on; ssi_types *; return 201 '{'<!--# echo var=x -->some more ' * 40}'; }}"
    with running_nginx(tmp_path / "nginx", chunked) as nginx:
        # With a wait, so that each user has a record before a fast one has taken them all.
        code, counts, _ = replayed(tmp_path, nginx.url, records_file(tmp_path, 300), TRAFFIC_WAIT="0.2-0.3")
        all_once(nginx, counts, 300)
        assert len({post.connection for post in nginx.posted()}) == 8, "one for each user"
    assert code == 0


def test_a_body_that_is_too_large_is_rejected_before_it_is_whole(tmp_path: Path) -> None:
    sizes = [100, 3_000_000] * 10
    sizes[1] = 15 << 20
    file = tmp_path / "mixed.json"
    file.write_text(json.dumps([{"name": "n", "msg": "m" * size} for size in sizes]))
    with running_nginx(tmp_path / "nginx", "client_max_body_size 10k;" + POSTS) as nginx:
        code, counts, cluster = replayed(tmp_path, nginx.url, file)
        assert nginx.times() == dict.fromkeys(range(20), 1)
    assert code == 3
    assert (counts["delivered"], counts["rejected"], counts["attempts"]) == (10, 10, 20)
    assert {(letter["index"] % 2, letter["reason"]) for letter in cluster.dead_letters} == {(1, "HTTP 413")}


def test_what_nginx_books_as_408_is_a_connection_that_ends_without_an_answer(tmp_path: Path) -> None:
    late = "if ($http_idempotency_key ~ '-[0-9]*7$') { return 408; }" + POSTS
    with running_nginx(tmp_path / "nginx", late) as nginx:
        code, counts, cluster = replayed(tmp_path, nginx.url, records_file(tmp_path, 50), TRAFFIC_MAX_ATTEMPTS=2)
        assert nginx.times() == {index: 1 + (index % 10 == 7) for index in range(50)}
        assert {post.status for post in nginx.posted() if post.index % 10 == 7} == {408}
    assert code == 3
    assert (counts["delivered"], counts["in_doubt"], counts["attempts"]) == (45, 5, 55)
    seen = {(letter["reason"], letter["attempts"]) for letter in cluster.dead_letters}
    assert seen == {("HTTPConnectionClosed: connection closed.", 2)}


@pytest.mark.parametrize(("policy", "attempts"), [("at-least-once", 2), ("at-most-once", 1)])
def test_a_gateway_that_waits_in_vain_is_asked_again_only_by_the_policy(
    tmp_path: Path, policy: str, attempts: int
) -> None:
    with mute_server() as mute:
        behind = (
            f"location / {{ proxy_pass http://127.0.0.1:{mute}; proxy_read_timeout 300ms; proxy_next_upstream off; }}"
        )
        with running_nginx(tmp_path / "nginx", behind) as nginx:
            told = {"TRAFFIC_MAX_ATTEMPTS": 2, "TRAFFIC_POLICY": policy}
            code, counts, cluster = replayed(tmp_path, nginx.url, records_file(tmp_path, 10), **told)
            assert nginx.times() == dict.fromkeys(range(10), attempts)
    assert code == 3
    assert counts["attempts"] == 10 * attempts
    assert counts["in_doubt" if policy == "at-most-once" else "rejected"] == 10
    assert {letter["reason"] for letter in cluster.dead_letters} == {"HTTP 504"}


def test_a_reload_in_mid_run_loses_no_record(tmp_path: Path) -> None:
    records = 3000
    with running_nginx(tmp_path / "nginx", debug="notice") as nginx:
        file = records_file(tmp_path, records)
        with Cluster(tmp_path, nginx.url, locustfile=REPLAY, TRAFFIC_FILE=file, TRAFFIC_WAIT="0-0.02") as cluster:
            for share in (1, 2, 3):
                cluster.until(partial(lambda most: len(nginx.posted()) > most, share * records / 5), "records are sent")
                nginx.reload()
            assert cluster.wait() == 0
        counts, times = cluster.report["counts"], nginx.times()
        assert nginx.reloads() >= 6, "two worker processes, three times"
        assert set(times) == set(range(records))
        assert {post.status for post in nginx.posted()} == {201}
    assert counts["delivered"] == records
    # A request that was written to a connection in the moment of its end may be sent again, and nothing else.
    assert times.total() <= counts["attempts"] == records + counts["resent"] + counts["maybe_resent"]


# The ways to reach it.


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    audit = """location = /audit { return 200 '{"run": "$arg_run", "stored": 100}'; }"""
    with running_nginx(tmp_path / "nginx", audit + POSTS, f"unix:{path}") as nginx:
        host = f"http+unix://{quote(str(path), safe='')}"
        code, counts, cluster = replayed(tmp_path, host, records_file(tmp_path, 100))
        all_once(nginx, counts, 100)
    assert code == 0
    assert cluster.report["audit"]["stored"] == 100


def test_a_unix_socket_is_refused_to_users_that_cannot_reach_it(tmp_path: Path) -> None:
    file = records_file(tmp_path, 10)
    host = f"http+unix://{quote(str(tmp_path / 'api.sock'), safe='')}"
    with Cluster(tmp_path, host, locustfile=LOCUSTFILE, TRAFFIC_FILE=file) as cluster:
        assert cluster.wait() == 4
        assert "only a ReplayUser can reach one" in cluster.master.log


def test_ipv6(tmp_path: Path) -> None:
    with running_nginx(tmp_path / "nginx", listen="[::1]:{port}") as nginx:
        code, counts, _ = replayed(tmp_path, f"http://[::1]:{nginx.port}", records_file(tmp_path, 100))
        all_once(nginx, counts, 100)
    assert code == 0


def with_certificate(certificate: tuple[str, str], own: tuple[str, str] | None) -> str:
    """A locustfile whose users trust one certificate, and show another."""
    return f"{REPLAY}    ca_file = {certificate[0]!r}\n    client_certificate = {own!r}\n"


@pytest.mark.parametrize("shown", ["its own", "none", "a stranger's"])
def test_a_server_that_demands_a_client_certificate(tmp_path: Path, shown: str) -> None:
    (tmp_path / "stranger").mkdir()
    certificate, stranger = self_signed(tmp_path, "api"), self_signed(tmp_path / "stranger", "stranger")
    own = {"its own": certificate, "none": None, "a stranger's": stranger}[shown]
    demand = f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
    demand += f"ssl_verify_client on; ssl_client_certificate {certificate[0]};"
    with running_nginx(tmp_path / "nginx", demand + POSTS, "127.0.0.1:{port} ssl") as nginx:
        file = records_file(tmp_path, 40)
        locustfile = with_certificate(certificate, own)
        code, counts, cluster = replayed(tmp_path, nginx.url.replace("http:", "https:"), file, locustfile=locustfile)
        if own == certificate:
            all_once(nginx, counts, 40)
    assert code == (0 if own == certificate else 3)
    if own != certificate:
        assert counts["rejected"] == 40
        assert {letter["reason"] for letter in cluster.dead_letters} == {"HTTP 400"}
