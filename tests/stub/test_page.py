"""The newest messages, as a page and as JSON; on both stores."""

import httpx
import pytest

from support.posting import HELLO, post

pytestmark = pytest.mark.anyio


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


async def test_the_reference_sets_code_as_code(client: httpx.AsyncClient) -> None:
    text = (await client.get("/docs")).text
    assert "<code>&lt;run id&gt;-&lt;index&gt;</code>" in text
    assert "`" not in text


async def test_the_page_escapes_what_others_wrote(client: httpx.AsyncClient) -> None:
    attack = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
    headers = {"traffic-worker": "<script>alert(2)</script>"}
    await post(client, {"name": attack, "msg": attack}, "<script>-0", **headers)
    answer = await client.get("/", headers={"accept": "text/html"})
    assert "<script>alert" not in answer.text
    assert "<img" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_the_reference_says_what_a_member_may_be(client: httpx.AsyncClient) -> None:
    text = (await client.get("/docs")).text
    for member in ('index</dt><dd class="soft">integer or null', 'indexes</dt><dd class="soft">Indexes'):
        assert member in text
