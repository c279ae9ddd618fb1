"""The checker reads what the stub has written, out of either of its stores, behind the stub's back."""

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from chaos.checker import Stored, read_store
from support.mongod import NoMongodError, running_mongod
from support.stub_process import running_stub

BODIES = ['{"name": "Zoë",  "msg": "¡hola! 👋", "n": 1.50}', '{"msg":"\\u00fc","name":"b"}', '{"name":"c","msg":"3"}']


@pytest.fixture
def mongo(tmp_path: Path) -> Iterator[str]:
    try:
        with running_mongod(tmp_path / "data") as mongod:
            yield f"{mongod.url}/chaos"
    except NoMongodError as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"in CI MongoDB must be read: {error}")
        pytest.skip(str(error))


def fill(store_url: str) -> None:
    """POST each record twice, the last one without a key."""
    with running_stub(store_url) as stub, httpx.Client(base_url=stub.url) as client:
        for _ in range(2):
            for index, body in enumerate(BODIES[:-1]):
                send(client, body, {"idempotency-key": f"run-{index}"})
            send(client, BODIES[-1], {})


def send(client: httpx.Client, body: str, headers: dict[str, str]) -> None:
    answer = client.post("/", content=body.encode(), headers={"content-type": "application/json"} | headers)
    assert answer.status_code == 201, answer.text


def assert_found(found: list[Stored]) -> None:
    wanted = [Stored("run-0", BODIES[0]), Stored("run-1", BODIES[1]), Stored(None, BODIES[2]), Stored(None, BODIES[2])]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_what_the_stub_wrote_into_mongodb_is_read_byte_for_byte(mongo: str) -> None:
    fill(mongo)
    assert_found(read_store(mongo))


def test_what_the_stub_wrote_into_sqlite_is_read_byte_for_byte(tmp_path: Path) -> None:
    fill(f"sqlite:///{tmp_path / 'messages.db'}")
    assert_found(read_store(tmp_path / "messages.db"))
