"""What the Traffic page reads from a real master: the live run, files, reports; and who may not ask."""

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import plain_http
from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Step
from support.stranger import ODD, stranger

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def shared_cluster(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("cluster")
    # The form may name files of its folder: each test's own.
    file = records_file(tmp_path_factory.getbasetemp(), 40)
    with Cluster(folder, shared_api.url, workers=2, web=True, TRAFFIC_FILE=file) as cluster:
        cluster.await_web(2)
        yield cluster


@pytest.fixture
def web(cluster: Cluster) -> Iterator[httpx.Client]:
    with plain_http.client(base_url=cluster.web) as made:
        yield made


def live(web: httpx.Client, **asked: Any) -> dict[str, Any]:
    return dict(web.get("/traffic/live", params=asked).raise_for_status().json())


def run_to_end(cluster: Cluster, **form: Any) -> str:
    """Press Start, and wait for the run's end; its id."""
    cluster.await_startable()
    answer = cluster.swarm(**form)
    assert answer["success"], answer
    cluster.until(lambda: cluster.status["ended"], "the run ends")
    return str(cluster.status["run"])


def begin_and_hold(cluster: Cluster, api: FakeApi, folder: Path, step: Step, records: int = 400) -> None:
    """Begin a run that goes on until it is stopped, with some outcomes."""
    cluster.await_startable()
    api.always(step)
    answer = cluster.swarm(4, traffic_file=records_file(folder, records), traffic_again="yes")
    assert answer["success"], answer


def test_a_page_that_asks_for_news_hears_each_event_once_and_has_the_whole_curve(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    start = live(web)
    known = start["timeline"]
    events: list[Any] = []
    rows: list[Any] = []
    ask = start["events"]["next"]
    begin_and_hold(cluster, api, tmp_path, Step(delay=0.1), records=120)

    def follow() -> bool:
        nonlocal known, ask, rows
        said = live(web, event=ask, run=known["run"] or "", generation=known["generation"], sample=known["next"])
        now = said["timeline"]
        same = (now["run"], now["generation"]) == (known["run"], known["generation"])
        rows = [*rows, *now["rows"]] if same else now["rows"]
        events.extend(said["events"]["rows"])
        known, ask = now, said["events"]["next"]
        return said["status"]["ended"] is not None and not said["ending"]

    cluster.until(follow, "the page has seen the run's end")
    kinds = [event["kind"] for event in events]
    assert kinds[0] == "run-began"
    assert kinds.count("worker-joined") == 2
    assert kinds[-1] == "run-completed"
    assert [event["n"] for event in events] == list(range(ask - len(events), ask))
    assert rows == live(web)["timeline"]["rows"]
    first, last = (dict(zip(known["columns"], row, strict=True)) for row in (rows[0], rows[-1]))
    assert (first["t_s"], first["pending"] + first["leased"]) == (0.0, 120)
    assert (last["delivered"], last["pending"], last["leased"], last["attempts"]) == (120, 0, 0, 120)


def test_live_has_exactly_the_status_and_says_what_may_be_done(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    cluster.await_startable()
    said = live(web)
    assert said["status"] == cluster.status
    assert all(said["acts"][act] for act in ("pause", "go_on", "stop"))
    begin_and_hold(cluster, api, tmp_path, Step(delay=0.3))
    cluster.await_state("running")
    acts = live(web)["acts"]
    assert "Stop it first" in acts["start"]
    assert (acts["pause"], acts["stop"]) == ("", "")
    assert acts["go_on"]


def test_stop_ends_the_run_and_where_there_is_none_says_so(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    refused = web.post("/traffic/stop")
    assert refused.status_code == 409
    assert refused.json()["error"]
    begin_and_hold(cluster, api, tmp_path, Step(delay=0.3))
    cluster.await_state("running")
    assert web.post("/traffic/stop").json() == {"ok": True}
    cluster.await_state("stopped")


def test_a_person_pauses_the_run_and_lets_it_go_on(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    assert web.post("/traffic/pause").status_code == web.post("/traffic/go-on").status_code == 409
    begin_and_hold(cluster, api, tmp_path, Step(delay=0.1), records=80)
    ask = live(web)["events"]["next"]
    assert web.post("/traffic/pause").json() == {"ok": True}
    cluster.await_state("paused")
    acts = live(web)["acts"]
    assert acts["pause"]
    assert (acts["go_on"], acts["stop"]) == ("", "")
    again = web.post("/traffic/pause")
    assert again.status_code == 409
    assert "paused already" in again.json()["error"]
    cluster.until(lambda: "run-paused" in [row["kind"] for row in live(web, event=ask)["events"]["rows"]], "it is told")
    assert web.post("/traffic/go-on").json() == {"ok": True}
    assert cluster.await_state("completed")["counts"]["delivered"] == 80
    cluster.until(lambda: "run-completed" in [row["kind"] for row in live(web, event=ask)["events"]["rows"]], "told")
    assert "run-goes-on" in [row["kind"] for row in live(web, event=ask)["events"]["rows"]]


def test_a_start_that_is_refused_is_among_the_events(cluster: Cluster, web: httpx.Client) -> None:
    cluster.await_startable()
    ask = live(web)["events"]["next"]
    assert not cluster.swarm(traffic_file=cluster.folder / "nowhere.json")["success"]
    (event,) = live(web, event=ask)["events"]["rows"]
    assert (event["kind"], event["level"]) == ("refused", "bad")
    assert "there is no such file" in event["text"]


def test_the_start_form_has_every_option_that_locusts_form_has(
    cluster: Cluster, web: httpx.Client, api: FakeApi
) -> None:
    options = web.get("/traffic/options").json()
    page = web.get("/").text
    fields = {field["name"]: field for field in options["fields"]}
    assert fields["traffic_order"]["choices"] == ["random", "file"]
    assert fields["traffic_file"]["choices"] is None
    assert all(name in page for name in fields)
    assert options["host"] == api.url


def test_dead_letters_of_the_live_run_are_found_and_taken_home_as_those_of_an_ended_one(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    begin_and_hold(cluster, api, tmp_path, Step(status=422, delay=0.1))

    def found(**asked: Any) -> dict[str, Any]:
        return dict(web.get("/traffic/dead-letters/search", params=asked).json())

    cluster.until(lambda: found()["total"] > 8, "some records are rejected")
    assert cluster.status["state"] == "running"
    said = found(q="http 422", most=3)
    assert said["run"] == cluster.status["run"]
    assert said["matched"] == said["total"] >= 8
    assert len(said["letters"]) == 3
    letter = said["letters"][0]
    assert found(q=letter["key"])["letters"][0] == letter
    assert json.loads(letter["record"]) == {"name": f"n{letter['index']}", "msg": f"m{letter['index']}"}
    during = [json.loads(line) for line in web.get("/traffic/dead-letters").text.splitlines()]
    assert letter in during
    web.post("/traffic/stop").raise_for_status()
    run = cluster.await_state("stopped")["run"]
    after = [json.loads(line) for line in web.get("/traffic/dead-letters").text.splitlines()]
    assert [one for one in after if one["index"] in {one["index"] for one in during}] == during
    assert found(run=run)["total"] == len(after) == live(web)["dead_letters"]
    kept = web.get("/traffic/dead-letters", params={"run": run, "download": 1})
    assert kept.headers["content-disposition"] == f"attachment; filename=dead-letters-{run}.jsonl"


@pytest.mark.parametrize("path", ["/traffic/report", "/traffic/dead-letters", "/traffic/dead-letters/search"])
@pytest.mark.parametrize("run", ["20200101-000000-abcdef", "../../etc", ".."])
def test_a_run_that_there_is_not_has_nothing(web: httpx.Client, path: str, run: str) -> None:
    refused = web.get(path, params={"run": run})
    assert refused.status_code == 404
    assert refused.json()["error"]


def test_a_report_comes_in_three_forms_that_agree(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    run = run_to_end(cluster, traffic_file=records_file(tmp_path, 40))
    report = web.get("/traffic/report").json()
    assert (report["run"], report["counts"]["delivered"]) == (run, 40)
    table = web.get("/traffic/report", params={"format": "csv", "download": 1})
    assert table.headers["content-disposition"] == f"attachment; filename=report-{run}.csv"
    rows = list(csv.DictReader(table.text.splitlines()))
    assert (rows[0]["id"], rows[0]["delivered"]) == (run, "40")
    assert sum(int(row["delivered"]) for row in rows[1:]) == 40
    page = web.get("/traffic/report", params={"run": run, "format": "html"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "<b>40</b> delivered" in page.text
    assert web.get("/traffic/report", params={"format": "pdf"}).status_code == 400


def test_the_chart_library_comes_packed_and_is_not_sent_twice(web: httpx.Client) -> None:
    path = "/traffic/static/plotly.min.js"
    with web.stream("GET", path) as packed:
        raw = b"".join(packed.iter_raw())
    assert packed.headers["content-encoding"] == "gzip"
    plain = web.get(path, headers={"Accept-Encoding": "identity"})
    assert gzip.decompress(raw) == plain.content
    assert "content-encoding" not in plain.headers
    assert b"plotly" in plain.content[:200]
    again = web.get(path, headers={"If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", ["../live.py", "..%2f__init__.py", "%2e%2e/index.html", "nothing.js"])
def test_nothing_beside_the_pages_own_files_is_served(web: httpx.Client, path: str) -> None:
    assert web.get(f"/traffic/static/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/traffic", "/traffic/live", "/traffic/metrics", "/traffic/nothing", "/logs"])
def test_no_other_site_may_read_an_answer(web: httpx.Client, path: str) -> None:
    said = web.get(path, headers={"Origin": "http://evil.example"})
    assert not [name for name in said.headers if name.startswith("access-control-")]
    asked = {"Origin": "http://evil.example", "Access-Control-Request-Method": "PUT"}
    said = web.options(path, headers=asked)
    assert not [name for name in said.headers if name.startswith("access-control-")]


def test_answers_are_not_kept_not_guessed_at_and_run_no_foreign_code(web: httpx.Client) -> None:
    for path in ("/traffic/live", "/traffic/report", "/traffic/files"):
        headers = web.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "frame-ancestors 'self'" in headers["content-security-policy"]


ACTS = [
    ("POST", "/swarm"),
    ("POST", "/stop"),
    ("GET", "/stop"),
    ("POST", "/stats/reset"),
    ("GET", "/stats/reset"),
    ("POST", "/user"),
    ("POST", "/traffic/stop"),
    ("POST", "/traffic/pause"),
    ("POST", "/traffic/go-on"),
    ("PUT", "/traffic/files/a.json"),
    ("DELETE", "/traffic/files/a.json"),
]


@pytest.mark.parametrize(("method", "path"), ACTS, ids=[f"{method} {path}" for method, path in ACTS])
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Origin": "http://127.0.0.1:4000"},
        {"Origin": "null"},
        {"Referer": "http://evil.example/page"},
    ],
    ids=["another site", "another port", "no origin", "an old browser"],
)
def test_another_sites_page_can_do_nothing(web: httpx.Client, method: str, path: str, headers: dict[str, str]) -> None:
    refused = web.request(method, path, headers=headers, data={"user_count": 1, "spawn_rate": 1})
    assert refused.status_code == 403
    assert "not by this master's own page" in refused.json()["error"]


def test_what_another_site_tried_has_begun_nothing(cluster: Cluster, web: httpx.Client, api: FakeApi) -> None:
    before = cluster.status
    web.post("/swarm", headers={"Sec-Fetch-Site": "cross-site"}, data={"user_count": 1, "spawn_rate": 1})
    assert cluster.status == before
    assert api.count == 0


ELSEWHERE = ["/", "/healthz", "/login", "/logs", "/stats/requests", "/traffic", "/traffic/live", "/nowhere", "/swarm"]


@pytest.mark.parametrize("path", ELSEWHERE)
def test_a_name_that_was_made_to_point_here_is_answered_nothing(cluster: Cluster, web: httpx.Client, path: str) -> None:
    port = cluster.web_port
    assert web.get(path, headers={"Host": f"localhost:{port}"}).status_code != 421
    rebound = {"Host": f"evil.example:{port}", "Origin": f"http://evil.example:{port}"}
    refused = web.get(path, headers=rebound)
    assert refused.status_code == 421
    assert "(TRAFFIC_ALLOWED_HOSTS)" in refused.json()["error"]


def test_what_a_name_that_was_made_to_point_here_sends_begins_nothing(
    cluster: Cluster, web: httpx.Client, api: FakeApi
) -> None:
    cluster.await_startable()
    before = cluster.status["run"]
    rebound = {"Host": "evil.example", "Origin": "http://evil.example", "Sec-Fetch-Site": "same-origin"}
    assert web.post("/swarm", headers=rebound, data={"user_count": 1, "spawn_rate": 1}).status_code == 421
    assert (cluster.status["run"], api.count) == (before, 0)


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"traffic_state_dir": "/tmp/t-web-state"}, "The form cannot set traffic_state_dir."),
        ({"traffic_keep_runs": 1}, "The form cannot set traffic_keep_runs."),
        ({"traffic_path": "/containers/create"}, "The form cannot set traffic_path."),
        ({"traffic_run": "x"}, "The form cannot set traffic_run."),
        ({"headless": "true", "csv_prefix": "/tmp/x"}, "The form cannot set csv_prefix, headless."),
        ({"host": "http+unix://%2Fvar%2Frun%2Fdocker.sock"}, "A Unix socket can be the host only if"),
        ({"traffic_file": "/etc/passwd"}, "From here, a traffic file can be chosen out of "),
        ({"traffic_file": "/etc/no-such-file"}, "From here, a traffic file can be chosen out of "),
    ],
    ids=lambda value: ",".join(value) if isinstance(value, dict) else "",
)
def test_what_is_not_the_forms_to_set_is_refused_and_sets_nothing(
    cluster: Cluster, web: httpx.Client, api: FakeApi, form: dict[str, Any], why: str
) -> None:
    cluster.await_startable()
    offered, before = web.get("/traffic/options").json(), cluster.status
    answer = cluster.swarm(**form)
    assert not answer["success"]
    assert answer["message"].startswith(why)
    assert "root:" not in answer["message"]
    assert (web.get("/traffic/options").json(), cluster.status, api.count) == (offered, before, 0)


def test_what_a_refused_form_asked_for_does_not_stick_to_the_next_start(
    cluster: Cluster, web: httpx.Client, tmp_path: Path
) -> None:
    cluster.await_startable()
    elsewhere = tmp_path / "elsewhere"
    assert not cluster.swarm(traffic_state_dir=elsewhere, traffic_keep_runs=1)["success"]
    kept = {row["run"] for row in web.get("/traffic/runs").json()["runs"]}
    run = run_to_end(cluster, traffic_file=records_file(tmp_path, 4))
    assert (cluster.state / "runs" / run / "report.json").is_file()
    assert not elsewhere.exists()
    assert kept <= {row["run"] for row in web.get("/traffic/runs").json()["runs"]}


def test_locusts_own_page_is_shown_in_no_other_sites_frame_and_still_works(web: httpx.Client) -> None:
    page = web.get("/")
    assert page.headers["content-security-policy"] == "frame-ancestors 'self'"
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert "<script>" in page.text, "which a stricter policy would stop"


def test_a_files_name_with_a_line_break_is_refused_in_words(web: httpx.Client) -> None:
    refused = web.put("/traffic/files/a%0ab.json", content=b"[{}]")
    assert refused.status_code == 400
    assert "cannot be used: a file's name must hold neither" in refused.json()["error"]


def dropped(web: httpx.Client) -> int:
    """How many messages the master has dropped."""
    lines = web.get("/traffic/metrics").text.splitlines()
    return round(float(next(line for line in lines if line.startswith("traffic_messages_dropped_total ")).split()[1]))


def test_no_frame_ends_the_masters_receive_loop(
    cluster: Cluster, web: httpx.Client, api: FakeApi, tmp_path: Path
) -> None:
    begin_and_hold(cluster, api, tmp_path, Step(delay=0.05), records=120)
    before = dropped(web)
    with stranger(cluster.port, b"stranger") as named, stranger(cluster.port, b"\xff\xfe") as unnamed:
        for parts in ODD:
            named.send_multipart(parts)
            unnamed.send_multipart(parts)
        cluster.until(lambda: dropped(web) - before >= 2 * len(ODD), "all of them are counted")
    assert web.get("/healthz").json() == {"status": "ok"}
    assert "dropped a message from " in cluster.master.log
    assert cluster.await_state("completed")["counts"]["delivered"] == 120
    assert api.count == 120
    assert set(live(web)["status"]["workers"][0]) >= {"id", "state"}
    assert web.get("/stats/requests").json()["user_count"] >= 0
    assert len(cluster.status["workers"]) == 2, "no stranger has become a worker"
