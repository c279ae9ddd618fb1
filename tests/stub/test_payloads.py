"""Which payloads are accepted, and that they are returned as they were sent; on both stores."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from support.posting import HELLO, assert_problem, post

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(rb'{"name":"\"\\\/\b\f\n\r\t\u0041\u00e9\u0000\ud83d\ude00","msg":"x"}', id="every escape"),
        pytest.param('{"name":"Ñandú ¡¿ 你好 مرحبا 👩‍👩‍👧","msg":"\x7f\u2028"}'.encode(), id="many scripts"),
        pytest.param(b'{"name":"a","msg":"' + b"x" * 200_000 + b'"}', id="200 KB"),
        pytest.param(b'{"name":"a","msg":"b","n":9223372036854775807,"m":-9223372036854775808}', id="64 bits"),
        pytest.param(b'{"name":"a","msg":"b","n":123456789012345678901234567890}', id="past 64 bits"),
        pytest.param(b'{"name":"a","msg":"b","n":[1.0,1e999,1E-7,-0,0.1000],"":{"$x.y":null}}', id="odd numbers"),
        pytest.param(b' {"msg":"b" ,\n"name":"a","name":"z"}\r\n', id="space, order, a member twice"),
    ],
)
async def test_a_payload_comes_back_byte_for_byte(client: httpx.AsyncClient, payload: bytes) -> None:
    first = await post(client, payload, "run-0")
    again = await post(client, payload, "run-0")
    stored = json.loads(payload)
    assert first.status_code == 201
    assert payload in first.content
    assert again.content == first.content
    assert first.json()["name"] == stored["name"]
    assert payload in (await client.get("/messages", params={"key": "run-0"})).content


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"name":"a","msg":"b",}',
        b'{"name":"a","msg":"b"} x',
        b'{"name":"a","msg":"\xff"}',
        b'{"name":"a","msg":"b","x":"\xff"}',
        b'{"name":"a","msg":"\xed\xa0\x80"}',
        rb'{"name":"a","msg":"\ud800"}',
        b'{"name":"a","msg":"b","x":NaN}',
        b'\xef\xbb\xbf{"name":"a","msg":"b"}',
        b'{"name":"a","msg":"line\nfeed"}',
        b"[" * 200_000,
    ],
)
async def test_broken_json_is_a_bad_request(client: httpx.AsyncClient, body: bytes) -> None:
    assert_problem(await post(client, body), 400)
    assert (await client.get("/")).json()["stored"] == 0


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b'"text"',
        b"null",
        b"1",
        b"{}",
        b'{"name":"a"}',
        b'{"msg":"a"}',
        b'{"name":1,"msg":"a"}',
        b'{"name":"a","msg":1.5}',
        b"1.5",
        b'{"name":"a","msg":null}',
        b'{"name":["a"],"msg":"b"}',
        b'{"name":"a","msg":"b","n":1' + b"0" * 5000 + b"}",
    ],
)
async def test_another_shape_cannot_be_processed(client: httpx.AsyncClient, body: bytes) -> None:
    assert_problem(await post(client, body), 422)
    assert (await client.get("/")).json()["stored"] == 0


@pytest.mark.parametrize("media_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_what_is_not_json_by_its_type_is_refused(client: httpx.AsyncClient, media_type: str) -> None:
    assert_problem(await client.post("/", content=b"{}", headers={"content-type": media_type}), 415)


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8", "application/x.y+json"])
async def test_json_is_known_by_its_type(client: httpx.AsyncClient, media_type: str) -> None:
    assert (await client.post("/", json=HELLO, headers={"content-type": media_type})).status_code == 201


async def test_a_body_past_the_limit_is_too_large(client: httpx.AsyncClient) -> None:
    envelope = len(b'{"name":"a","msg":""}')
    fits = {"name": "a", "msg": "x" * (1024 * 1024 - envelope)}
    exact = json.dumps(fits, separators=(",", ":")).encode()
    assert len(exact) == 1024 * 1024
    assert (await post(client, exact)).status_code == 201
    assert_problem(await post(client, exact + b" "), 413)


async def test_a_body_of_unknown_length_past_the_limit_is_too_large(client: httpx.AsyncClient) -> None:
    async def parts() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 20_000

    answer = await client.post("/", content=parts(), headers={"content-type": "application/json"})
    assert_problem(answer, 413)


@pytest.mark.parametrize("key", ["", " ", '""', "x" * 256, "ñ".encode().decode("latin-1"), "a\tb"])
async def test_a_key_that_cannot_be_stored_is_a_bad_request(client: httpx.AsyncClient, key: str) -> None:
    headers = [(b"content-type", b"application/json"), (b"idempotency-key", key.encode("latin-1"))]
    assert_problem(await client.post("/", json=HELLO, headers=headers), 400)


@pytest.mark.parametrize("worker", [b"", b"x" * 256, "ñ".encode("latin-1"), b"a\x9b"])
async def test_a_worker_that_cannot_be_stored_is_a_bad_request(client: httpx.AsyncClient, worker: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"traffic-worker", worker)]
    assert_problem(await client.post("/", json=HELLO, headers=headers), 400)
