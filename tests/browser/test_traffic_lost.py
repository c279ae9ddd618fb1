"""What the Traffic page says while its master does not answer, and that it heals by itself."""

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from support.fake_api import Step, fake_api
from support.traffic_page import SLOW_MS, TrafficPage, web_cluster


def test_a_lost_master_is_said_nothing_is_shown_as_live_and_it_heals(tmp_path: Path, page: Page) -> None:
    with fake_api() as api, web_cluster(tmp_path, api.url, 40) as cluster:
        api.always(Step(delay=0.5))
        traffic = TrafficPage(page, cluster.web).open()
        traffic.begin(users=2)
        traffic.await_some("delivered")
        cluster.master.kill()
        said = page.get_by_text(re.compile(r"No answer from the master for \d+ seconds?; trying again"))
        expect(said).to_be_visible(timeout=SLOW_MS)
        expect(page.get_by_text(re.compile(r"^not live: as of [\d:]+$"))).to_be_visible()
        expect(said).to_contain_text(re.compile(r"for [2-9] seconds"), timeout=SLOW_MS)
        traffic.assert_no_violation()
        api.always(Step())
        cluster.restart_master()
        expect(said).to_be_hidden(timeout=SLOW_MS)
        expect(page.get_by_text("not live")).to_be_hidden()
        traffic.await_state("completed")
        expect(traffic.count("delivered")).to_have_text("40")
        expect(page.get_by_text(re.compile(r"^Resumed at"))).to_be_visible()
