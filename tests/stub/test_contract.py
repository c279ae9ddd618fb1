"""The contract of every store, tested on SQLite and a real MongoDB through the stub's own HTTP interface."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette

from support.posting import HELLO, assert_problem, post

pytestmark = pytest.mark.anyio


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
