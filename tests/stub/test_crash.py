"""kill -9 under load: no answered write is lost or stored twice, whichever process was killed."""

import http.client
import itertools
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
from pymongo import MongoClient

from support import plain_http
from support.mongod import Mongod, free_port, running_mongod
from support.stub_process import StubProcess, running_stub, until

ROUNDS = 5
BETWEEN = 150  # messages answered from one kill to the next
SENDERS = 16


class Senders:
    """Send keys `run-0`, `run-1`, ..., each until it is answered 201, and keep the answers."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.answers: dict[int, bytes] = {}
        self.tries = 0
        self._indexes = itertools.count()
        self._enough = threading.Event()
        self._pool = ThreadPoolExecutor(SENDERS)
        self._senders = [self._pool.submit(self._send_on) for _ in range(SENDERS)]

    def await_answers(self, count: int) -> None:
        for _ in until():
            if len(self.answers) >= count:
                return

    def finish(self) -> None:
        self._enough.set()
        for sender in self._senders:
            sender.result()
        self._pool.shutdown()

    def _send_on(self) -> None:
        with plain_http.client() as client:
            while not self._enough.is_set():
                index = next(self._indexes)
                self.answers[index] = self._deliver(client, index)

    def _deliver(self, client: httpx.Client, index: int) -> bytes:
        headers = {"idempotency-key": f"run-{index}"}
        for _ in until():
            self.tries += 1
            try:
                answer = client.post(self.url, json={"name": "n", "msg": str(index)}, headers=headers)
            except httpx.TransportError:
                continue
            if answer.status_code == 201:
                return answer.content
            assert answer.status_code == 503, answer.text
        raise AssertionError


def under_load(url: str, kill: Callable[[], None]) -> Senders:
    senders = Senders(url)
    try:
        for _ in range(ROUNDS):
            senders.await_answers(len(senders.answers) + BETWEEN)
            kill()
        senders.await_answers(len(senders.answers) + BETWEEN)
    finally:
        senders.finish()
    return senders


def assert_each_is_stored_once(senders: Senders) -> None:
    count = len(senders.answers)
    with plain_http.client(base_url=senders.url) as client:
        found = client.get("/audit?run=run").json()
        assert found["stored"] == count
        assert found["indexes"] == {"max": count - 1, "missing": 0, "missing_below_max": []}
        assert count <= found["posts"] <= senders.tries
        for index, answer in senders.answers.items():
            assert client.get("/messages", params={"key": f"run-{index}"}).content == answer


def test_kill_9_of_mongod_under_load(mongod: Mongod, tmp_path: Path) -> None:
    def kill() -> None:
        own.kill()
        own.start()

    own_data = running_mongod(tmp_path / "data")
    with own_data as own, running_stub(f"{own.url}/t", STUB_STORE_TIMEOUT="1") as stub:
        assert_each_is_stored_once(under_load(stub.url, kill))


def test_kill_9_of_the_stub_under_load(store_url: str) -> None:
    port = str(free_port())

    def kill() -> None:
        stub.kill()
        stub.start()

    stub = StubProcess(store_url, {"STUB_PORT": port})
    try:
        stub.start()
        assert_each_is_stored_once(under_load(stub.url, kill))
    finally:
        stub.kill()


def send_all(stub: StubProcess, keys: int) -> list[bytes]:
    host, port = stub.url.removeprefix("http://").split(":")
    line = http.client.HTTPConnection(host, int(port))
    bodies = []
    with closing(line):
        for index in range(keys):
            headers = {"content-type": "application/json", "idempotency-key": f"run-{index}"}
            line.request("POST", "/", json.dumps({"name": "n", "msg": str(index)}), headers)
            answer = line.getresponse()
            assert answer.status == 201
            bodies.append(answer.read())
    return bodies


def test_four_stubs_and_the_same_five_hundred_keys_from_all_at_once_make_five_hundred_documents(mongo_url: str) -> None:
    stubs, keys = 4, 500
    with ExitStack() as stack:
        running = [stack.enter_context(running_stub(mongo_url, STUB_SERVER_NAME=f"s{i}")) for i in range(stubs)]

        with ThreadPoolExecutor(stubs) as pool:
            answers = list(pool.map(send_all, running, itertools.repeat(keys)))
        found = plain_http.get(f"{running[0].url}/audit?run=run").json()
    assert all(seen == answers[0] for seen in answers)
    assert (found["stored"], found["posts"], found["replayed"]) == (keys, keys * stubs, keys * (stubs - 1))
    assert sum(found["by_server"].values()) == keys
    with MongoClient[dict[str, object]](mongo_url) as client:
        messages = client.get_default_database()["messages"]
        assert messages.count_documents({}) == keys
        assert len(messages.distinct("key")) == keys
