"""What every store must do, held against SQLite and a real MongoDB through the stub's own HTTP interface."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

pytestmark = pytest.mark.anyio

HELLO = {"name": "Ana", "msg": "¡hola!"}


async def post(
    client: httpx.AsyncClient, record: object = HELLO, key: str | None = None, **headers: str
) -> httpx.Response:
    body = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
    sent = {"content-type": "application/json", **headers}
    if key is not None:
        sent["idempotency-key"] = key
    return await client.post("/", content=body, headers=sent)


async def audit(client: httpx.AsyncClient, run: str) -> dict[str, object]:
    answer = await client.get("/audit", params={"run": run})
    assert answer.status_code == 200
    found: dict[str, object] = answer.json()
    return found


async def test_a_post_is_answered_with_the_stored_document(client: httpx.AsyncClient) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    answer = await post(client, HELLO, "run-a-7", **{"traffic-worker": "worker-3"})
    stored = answer.json()
    assert answer.status_code == 201
    assert before <= datetime.fromisoformat(stored.pop("received")) <= datetime.now(UTC)
    assert answer.headers["location"] == f"/messages/{stored.pop('id')}"
    assert stored == {
        **HELLO,
        "server": "server-1",
        "worker": "worker-3",
        "key": "run-a-7",
        "run": "run-a",
        "index": 7,
        "payload": HELLO,
    }


async def test_received_is_utc_to_the_millisecond_and_the_same_when_read_again(
    client: httpx.AsyncClient,
) -> None:
    stored = (await post(client)).json()
    assert len(stored["received"]) == len("2026-01-31T12:00:00.123Z")
    assert stored["received"].endswith("Z")
    assert (await client.get(f"/messages/{stored['id']}")).json() == stored


async def test_the_same_key_and_payload_gets_the_first_answer_again(client: httpx.AsyncClient) -> None:
    first = await post(client, HELLO, "run-0", **{"traffic-worker": "a"})
    again = await post(client, HELLO, "run-0", **{"traffic-worker": "b"})
    assert "idempotency-replayed" not in first.headers
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert again.content == first.content
    assert again.headers["location"] == first.headers["location"]


async def test_the_same_key_with_another_payload_is_refused(client: httpx.AsyncClient) -> None:
    first = await post(client, HELLO, "run-0")
    other = await post(client, {**HELLO, "msg": "other"}, "run-0")
    assert other.status_code == 422
    assert other.headers["content-type"] == "application/problem+json"
    assert (await client.get("/messages", params={"key": "run-0"})).content == first.content


async def test_a_key_in_quotes_is_the_key_between_them(client: httpx.AsyncClient) -> None:
    await post(client, HELLO, '"run-0"')
    assert (await post(client, HELLO, "run-0")).headers["idempotency-replayed"] == "true"


async def test_without_a_key_every_post_is_stored(client: httpx.AsyncClient) -> None:
    ids = {(await post(client)).json()["id"] for _ in range(3)}
    listed = (await client.get("/")).json()
    assert len(ids) == 3
    assert listed["stored"] == 3
    assert {m["id"] for m in listed["messages"]} == ids


@pytest.mark.parametrize("key", ["plain", "run-", "-5", "run-05", "run-x", "run--1x", "run-1234567890123456789"])
async def test_a_key_of_another_form_is_kept_without_a_run(client: httpx.AsyncClient, key: str) -> None:
    stored = (await post(client, HELLO, key)).json()
    assert (stored["key"], stored["run"], stored["index"]) == (key, None, None)
    assert (await post(client, HELLO, key)).headers["idempotency-replayed"] == "true"


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


async def test_many_posts_of_one_key_at_once_store_it_once(client: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(post(client, HELLO, "run-0") for _ in range(50)))
    assert {a.status_code for a in answers} == {201}
    assert len({a.content for a in answers}) == 1
    assert sum("idempotency-replayed" in a.headers for a in answers) == 49
    found = await audit(client, "run")
    assert (found["stored"], found["posts"], found["replayed"]) == (1, 50, 49)


async def test_one_batch_may_hold_new_known_and_conflicting_keys(client: httpx.AsyncClient) -> None:
    await post(client, HELLO, "run-0")
    other = {**HELLO, "msg": "other"}
    sent = [
        (HELLO, "run-0"),
        (other, "run-0"),
        (HELLO, "run-1"),
        (HELLO, None),
        (HELLO, "run-1"),
        (other, "run-2"),
    ]
    answers = await asyncio.gather(*(post(client, record, key) for record, key in sent))
    assert [a.status_code for a in answers] == [201, 422, 201, 201, 201, 201]
    found = await audit(client, "run")
    assert (found["stored"], found["posts"], found["replayed"], found["conflicts"]) == (3, 6, 2, 1)


async def test_an_audit_counts_by_server_and_worker(client: httpx.AsyncClient, app: Starlette) -> None:
    for index, worker in enumerate(["w1", "w2", "w2"]):
        await post(client, HELLO, f"run-{index}", **{"traffic-worker": worker})
    await post(client, HELLO, "run-3")
    await post(client, HELLO, "other-0")
    assert await audit(client, "run") == {
        "run": "run",
        "stored": 4,
        "posts": 4,
        "replayed": 0,
        "conflicts": 0,
        "by_server": {"server-1": 4},
        "by_worker": {"(none)": 1, "w1": 1, "w2": 2},
        "indexes": {"max": 3, "missing": 0, "missing_below_max": []},
    }


async def test_an_audit_of_an_unknown_run_is_all_zeros(client: httpx.AsyncClient) -> None:
    assert await audit(client, "nobody") == {
        "run": "nobody",
        "stored": 0,
        "posts": 0,
        "replayed": 0,
        "conflicts": 0,
        "by_server": {},
        "by_worker": {},
        "indexes": {"max": None, "missing": 0, "missing_below_max": []},
    }


async def test_an_audit_lists_what_is_missing_below_the_highest_index(client: httpx.AsyncClient) -> None:
    for index in (1, 2, 5):
        await post(client, HELLO, f"run-{index}")
    assert (await audit(client, "run"))["indexes"] == {"max": 5, "missing": 3, "missing_below_max": [0, 3, 4]}


async def test_an_audit_lists_at_most_a_thousand_missing(client: httpx.AsyncClient) -> None:
    for index in (2, 10**17):
        await post(client, HELLO, f"run-{index}")
    found = await audit(client, "run")
    assert found["indexes"] == {
        "max": 10**17,
        "missing": 10**17 - 1,
        "missing_below_max": [0, 1, *range(3, 1001)],
    }


async def test_the_newest_come_first_and_in_pages(client: httpx.AsyncClient) -> None:
    for index in range(5):
        await post(client, {"name": "n", "msg": str(index)})
    seen = []
    path = "/?limit=2"
    while path:
        listed = (await client.get(path)).json()
        seen.append([m["msg"] for m in listed["messages"]])
        path = listed["older"]
    assert seen == [["4", "3"], ["2", "1"], ["0"]]


async def test_a_list_cuts_long_texts_and_says_so(client: httpx.AsyncClient) -> None:
    await post(client, {"name": "n", "msg": "ñ" * 2001})
    await post(client, {"name": "n", "msg": "ñ" * 2000})
    fits, cut = (await client.get("/")).json()["messages"]
    assert (fits["clipped"], fits["msg"]) == (False, "ñ" * 2000)
    assert (cut["clipped"], cut["msg"]) == (True, "ñ" * 2000)


async def test_a_browser_gets_a_page_with_text_time_server_and_worker(client: httpx.AsyncClient) -> None:
    stored = (await post(client, HELLO, "run-0", **{"traffic-worker": "worker-3"})).json()
    answer = await client.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for text in ("Ana", "¡hola!", stored["received"], "server-1", "worker-3"):
        assert text in answer.text


async def test_the_page_shows_which_server_took_how_many(client: httpx.AsyncClient) -> None:
    for index in range(3):
        await post(client, HELLO, f"run-a-{index}")
    text = (await client.get("/", headers={"accept": "text/html"})).text
    assert "Of these 3:" in text
    assert 'href="/audit?run=run-a"' in text


async def test_the_pages_script_is_the_stubs_own(client: httpx.AsyncClient) -> None:
    assert '<script src="/page.js" defer></script>' in (await client.get("/", headers={"accept": "text/html"})).text
    assert (await client.get("/page.js")).headers["content-type"].startswith("text/javascript")


async def test_the_page_escapes_what_others_wrote(client: httpx.AsyncClient) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    headers = {"traffic-worker": "<script>alert(2)</script>"}
    await post(client, {"name": attack, "msg": attack}, "<script>-0", **headers)
    answer = await client.get("/", headers={"accept": "text/html"})
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/messages/none", "/messages?key=none", "/nowhere"])
async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/audit",
        "/audit?run=",
        f"/audit?run={'x' * 256}",
        "/?limit=0",
        "/?limit=201",
        "/?limit=x",
        "/messages",
    ],
)
async def test_a_parameter_that_cannot_be_used_is_a_bad_request(client: httpx.AsyncClient, path: str) -> None:
    assert_problem(await client.get(path), 400)


async def test_a_method_that_is_not_offered_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/")
    assert_problem(answer, 405)
    assert {"GET", "POST"} <= {method.strip() for method in answer.headers["allow"].split(",")}


async def test_it_is_healthy_while_the_store_answers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


async def test_the_documentation_names_every_path(client: httpx.AsyncClient) -> None:
    described = (await client.get("/openapi.json")).json()
    docs = (await client.get("/docs")).text
    assert all(path in docs for path in described["paths"])
    assert "http" not in docs.replace("<!doctype html>", "").lower().split("<body>")[0]


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["detail"]
