"""A HAR that Chromium has recorded is replayed as the browser sent it: methods, paths, headers and bodies."""

import json
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser

from support.cluster import Cluster
from support.raw_api import RawRequest, raw_api

REPLAY = """
from traffic import ReplayUser

class Replay(ReplayUser):
    pass
"""
# What a page may do: JSON, a form, a text in another script, an upload, and requests without a body.
ACTS = """async () => {
  const json = { "content-type": "application/json", "x-token": "s3cret" };
  await fetch("/orders?page=1", { method: "POST", headers: json, body: '{"n":  1.50, "ñ": "¡Hola!"}' });
  await fetch("/form", { method: "PUT", body: new URLSearchParams({ "a b": "é&", c: "" }) });
  await fetch("/caf%C3%A9/7", { method: "PATCH", body: "¡Hola! 🐵" });
  await fetch("/orders/7", { method: "DELETE" });
  await fetch("/seen", { method: "HEAD" });
}"""
# Headers that the browser sets for its own connection, or that Chromium leaves out of the file.
NOT_KEPT = {"connection", "host", "content-length", "traffic-worker", "idempotency-key", "accept-language"}


def without_connection(request: RawRequest) -> tuple[str, dict[str, str], bytes]:
    fields = {name.lower(): value for name, value in request.fields}
    return request.line, {name: value for name, value in fields.items() if name not in NOT_KEPT}, request.body


def test_what_chromium_recorded_is_sent_again(browser: Browser, tmp_path: Path) -> None:
    har = tmp_path / "session.har"
    with raw_api() as site, raw_api() as api:
        context = browser.new_context(record_har_path=har)
        page = context.new_page()
        page.goto(f"{site.url}/start")
        page.evaluate(ACTS)
        context.close()
        recorded = [request for request in site.requests if "favicon" not in request.line]
        more: dict[str, Any] = {"TRAFFIC_FILE": har, "TRAFFIC_RECORDS": "requests", "TRAFFIC_ORDER": "file"}
        with Cluster(tmp_path / "run", api.url, workers=1, users=1, locustfile=REPLAY, **more) as cluster:
            assert cluster.wait() == 0, cluster.master.log[-3000:]
            report = cluster.report
    assert report["counts"]["delivered"] == len(json.loads(har.read_text())["log"]["entries"])
    sent = [without_connection(request) for request in api.requests if "favicon" not in request.line]
    assert len(recorded) == 6
    assert sent == [without_connection(request) for request in recorded]
