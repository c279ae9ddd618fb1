"""The page behind nginx, by a name, under a prefix, with a login, over plain http: each act of it in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from browser.test_traffic_files import upload
from browser.test_traffic_links import LOGIN
from support.browser import a_browser
from support.cluster import REPLAY, Cluster, records_file
from support.fake_api import FakeApi, Step
from support.nginx import running_nginx
from support.traffic_page import SLOW_MS, TrafficPage

NAME, RECORDS = "load.example", 40
# Nothing is taken away of the prefix: --web-base-path has it. X-Forwarded-Host alone has the name, as often.
SERVER = """
    location /load/ {
      proxy_pass http://127.0.0.1:%d;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      client_max_body_size 0;
    }
"""
BIG = 50 << 20


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("proxied")
    data = folder / "data"
    data.mkdir()
    login = LOGIN.replace('"/come-in"', '"/load/come-in"').replace('redirect("/traffic")', 'redirect("/load/traffic")')
    options = ("--web-base-path", "/load", "--web-login")
    more: dict[str, Any] = {"TRAFFIC_TRUSTED_PROXIES": "127.0.0.1", "TRAFFIC_ALLOWED_HOSTS": NAME}
    more |= {"TRAFFIC_FILE": records_file(data, RECORDS), "locustfile": login + REPLAY, "options": options}
    with Cluster(folder, api.url, workers=2, web=True, **more) as made:
        made.await_page()
        made.await_log("2 workers connected")
        yield made


@pytest.fixture(scope="module")
def port(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with running_nginx(tmp_path_factory.mktemp("nginx"), SERVER % cluster.web_port) as made:
        yield made.port


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser("--host-resolver-rules=MAP *.example 127.0.0.1") as made:
        yield made


def test_every_act_of_the_page_works_behind_a_proxy(port: int, page: Page, api: FakeApi, tmp_path: Path) -> None:
    web = f"http://{NAME}:{port}/load"
    page.goto(f"{web}/traffic")
    expect(page).to_have_url(f"{web}/login?next=%2Fload%2Ftraffic")
    page.goto(f"{web}/come-in")
    expect(page).to_have_url(f"{web}/traffic")
    traffic = TrafficPage(page, web).open()
    expect(page.locator("#preview-text")).to_contain_text(f"POST {api.url}/", timeout=SLOW_MS)
    api.always(Step(delay=0.3))
    traffic.begin(users=2)
    traffic.await_some("delivered")
    traffic.button("Pause").click()
    traffic.await_state("paused")
    traffic.button("Go on").click()
    traffic.await_state("running")
    traffic.button("Stop").click()
    traffic.await_state("stopped")
    api.always(Step())
    traffic.button("Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    traffic.await_state("completed")
    assert sorted(post.index for post in api.posts()) == [*range(RECORDS)]
    page.goto(f"{web}/")
    expect(page.locator("#traffic-link")).to_be_visible()
    page.locator("#traffic-link").click()
    expect(page).to_have_url(f"{web}/traffic")
    assert traffic.alarms == []


def test_a_file_of_50_mb_is_uploaded_through_a_proxy_and_deleted(port: int, page: Page, tmp_path: Path) -> None:
    web = f"http://{NAME}:{port}/load"
    page.goto(f"{web}/come-in")
    traffic = TrafficPage(page, web).open()
    big = tmp_path / "big.jsonl"
    line = '{"name":"n","msg":"' + "m" * 1000 + '"}\n'
    big.write_text(line * (BIG // len(line) + 1))
    upload(traffic, big)
    said = page.get_by_role("status")
    expect(said.filter(has_text="big.jsonl is good")).to_be_visible(timeout=SLOW_MS)
    traffic.button("Delete the file").click()
    page.get_by_role("dialog", name="Delete big.jsonl?").get_by_role("button", name="Delete").click()
    expect(said.filter(has_text="is deleted")).to_be_visible()


def test_a_name_that_another_has_made_to_point_here_is_answered_nothing(port: int, page: Page) -> None:
    answer = page.goto(f"http://evil.example:{port}/load/traffic")
    assert answer is not None
    assert answer.status == 421
    expect(page.locator("body")).to_contain_text("does not answer to the host 'evil.example:")
