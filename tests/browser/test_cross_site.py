"""Another site's page, open in the same browser, tries to act on the master and to read what it says."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Step, fake_api

PAGE = """<!doctype html><title>Another site</title>
<form method=post action="{web}/swarm"><input name=user_count value=1><input name=spawn_rate value=1>
<button>Win a prize</button></form>"""
SEND = """async ([url, method]) => {
  try { return (await fetch(url, {method, mode: "no-cors", credentials: "include", body: "a=b"})).type }
  catch (error) { return "failed" }
}"""
READ = """async (url) => { try { return await (await fetch(url)).text() } catch (error) { return "failed" } }"""


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def api() -> Iterator[FakeApi]:
    with fake_api() as made:
        made.always(Step(delay=0.2))
        yield made


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(folder, api.url, workers=1, web=True, TRAFFIC_FILE=records_file(folder, 5000)) as made:
        made.await_web(1)
        yield made


@pytest.fixture(params=["localhost", "127.0.0.1"], ids=["another site", "another port"])
def elsewhere(request: pytest.FixtureRequest, cluster: Cluster, tmp_path: Path) -> Iterator[str]:
    """The address of another site's page."""
    (tmp_path / "index.html").write_text(PAGE.format(web=cluster.web))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{request.param}:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_form_on_another_sites_page_starts_nothing(
    page: Page, cluster: Cluster, api: FakeApi, elsewhere: str
) -> None:
    before, sent = cluster.status["run"], api.count
    page.goto(elsewhere)
    with page.expect_response(f"{cluster.web}/swarm") as answered:
        page.get_by_role("button").click()
    assert answered.value.status == 403
    assert (cluster.status["run"], api.count) == (before, sent)


def test_a_script_on_another_sites_page_stops_nothing_writes_nothing_and_reads_nothing(
    page: Page, cluster: Cluster, elsewhere: str
) -> None:
    cluster.until(lambda: cluster.swarm(2, traffic_again="yes")["success"], "a run is begun")
    cluster.await_state("running")
    page.goto(elsewhere)
    for path in ("/stop", "/traffic/stop", "/traffic/pause"):
        with page.expect_response(f"{cluster.web}{path}") as answered:
            page.evaluate(SEND, [f"{cluster.web}{path}", "POST"])
        assert answered.value.status == 403
    assert page.evaluate(SEND, [f"{cluster.web}/traffic/files/a.json", "PUT"]) == "failed"
    for path in ("/traffic/live", "/traffic/dead-letters", "/logs", "/stats/requests"):
        assert page.evaluate(READ, f"{cluster.web}{path}") == "failed"
    assert cluster.status["state"] == "running"
    assert list(cluster.state.glob("uploads/*")) == []
    cluster.stop()
    cluster.await_state("stopped")


def test_the_masters_own_page_may_act(page: Page, cluster: Cluster) -> None:
    page.goto(f"{cluster.web}/traffic")
    ask = "async ([method, body]) => (await fetch('./traffic/files/a.json', {method, body})).status"
    assert page.evaluate(ask, ["PUT", "[{}]"]) == 201
    assert page.evaluate(ask, ["DELETE", None]) == 200
