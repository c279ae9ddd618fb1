"""An API that refuses nearly everything stops the run before the file is spent; what was refused is sent again."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import plain_http
from support.cluster import Cluster, records_file, slow_but
from support.fake_api import FakeApi, Step, fake_api

pytestmark = pytest.mark.timeout(180)

RECORDS, LOOKED_AT, USERS, WORKERS = 600, 20, 4, 2
EXPIRED = Step(401, body='{"error": "token expired"}')
# Each worker's latest answers, and what its users had sent by then.
MOST_REFUSED = WORKERS * (LOOKED_AT + USERS)


@pytest.fixture
def api() -> Iterator[FakeApi]:
    with fake_api() as api:
        yield api


def begin(folder: Path, api: FakeApi, **more: Any) -> Cluster:
    given: dict[str, Any] = {"TRAFFIC_FILE": records_file(folder, RECORDS), "TRAFFIC_BRAKE": LOOKED_AT}
    return Cluster(folder, api.url, users=USERS, workers=WORKERS, **given | more)


def test_a_token_that_expires_pauses_the_run_and_a_corrected_api_gets_everything(tmp_path: Path, api: FakeApi) -> None:
    with begin(tmp_path, api, web=True, TRAFFIC_WAIT="0.01-0.02") as cluster:
        cluster.await_web(WORKERS)
        assert cluster.swarm(USERS)["success"]
        cluster.until(lambda: api.count > 50, "records are delivered")
        api.always(EXPIRED)
        reason = cluster.await_state("paused")["reason"]
        assert reason.startswith('the API refuses nearly all records with status 401: {"error": "token expired"} (')
        assert "Renew the credentials" in reason
        assert cluster.status["paused_by_person"] is True
        cluster.master.kill()
        cluster.restart_master()
        cluster.await_log("is resumed: ")
        # If the pause was not in the journal yet, the workers tell this master, too.
        cluster.until(lambda: "status 401" in cluster.status["reason"], "the run is stopped for that reason")
        assert cluster.status["state"] == "paused"
        refused = sum(post.status == 401 for post in api.posts())
        assert 0.9 * LOOKED_AT <= refused <= MOST_REFUSED
        cluster.until(lambda: cluster.status["counts"]["rejected"] == refused, "every outcome is known")
        api.always(Step())
        assert plain_http.post(f"{cluster.web}/traffic/go-on").status_code == 200
        run = cluster.await_state("completed")["run"]
        counts = cluster.report["counts"]
        assert (counts["delivered"], counts["rejected"]) == (RECORDS - refused, refused)
        assert sum(post.status == 401 for post in api.posts()) == refused
        cluster.await_web(WORKERS)
        assert cluster.swarm(USERS, traffic_resume=run, traffic_resend="401")["success"]
        cluster.until(lambda: cluster.status["counts"]["delivered"] == RECORDS, "the refused ones are sent again")
    assert Counter(post.index for post in api.posts() if post.status == 201) == Counter(range(RECORDS))


# The unit tests have what each kind of user makes of an answer.
@pytest.mark.parametrize("locustfile", slow_but("ReplayUser"))
def test_without_a_page_the_run_ends_with_what_to_do_and_is_resumed(
    tmp_path: Path, api: FakeApi, locustfile: str
) -> None:
    api.always(Step(308, location="https://api.example/v2/", body=""))
    with begin(tmp_path, api, locustfile=locustfile) as cluster:
        assert cluster.wait() == 3, cluster.master.log[-3000:]
        log, report = cluster.master.log, cluster.report
    assert report["state"] == "failed"
    assert "refuses nearly all records with status 308: Location: https://api.example/v2/ (" in report["reason"]
    assert f"--traffic-resume {report['run']} --traffic-resend 308" in log
    assert report["counts"]["rejected"] <= MOST_REFUSED
    assert report["counts"]["unsent"] >= RECORDS - MOST_REFUSED
    api.always(Step())
    again = ("--traffic-resume", report["run"], "--traffic-resend", "308")
    with begin(tmp_path, api, locustfile=locustfile, options=again) as cluster:
        assert cluster.wait() == 0, cluster.master.log[-3000:]
    assert Counter(post.index for post in api.posts() if post.status == 201) == Counter(range(RECORDS))


def test_a_person_who_lets_it_go_on_is_not_asked_again_and_off_is_off(tmp_path: Path, api: FakeApi) -> None:
    api.always(Step(422, body=json.dumps({"error": "no"})))
    with begin(tmp_path, api, web=True) as cluster:
        cluster.await_web(WORKERS)
        assert cluster.swarm(USERS)["success"]
        cluster.await_state("paused")
        assert plain_http.post(f"{cluster.web}/traffic/go-on").status_code == 200
        cluster.await_state("completed")
        assert cluster.report["counts"]["rejected"] == RECORDS
        cluster.await_web(WORKERS)
        assert cluster.swarm(USERS, traffic_brake="off")["success"]
        cluster.until(lambda: api.count == 2 * RECORDS, "all of it is sent")
        cluster.await_state("completed")
