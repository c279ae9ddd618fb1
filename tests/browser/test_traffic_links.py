"""From Locust's own page to the Traffic page and back, in every state of a run, and behind a base path or a login."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from support.browser import fill, press_start
from support.cluster import LOCUSTFILE, Cluster
from support.fake_api import FakeApi, Step
from support.traffic_page import PHONE, SLOW_MS, TrafficPage, web_cluster

BASE = "/load/test"
LOGIN = """
from flask import redirect, session
from flask_login import UserMixin, login_user, logout_user
from locust import events

class Person(UserMixin):
    id = "somebody"

@events.init.add_listener
def _with_login(environment, **_):
    if environment.web_ui is None:
        return
    app = environment.web_ui.app
    app.secret_key = "a secret of this test"
    environment.web_ui.login_manager.user_loader(lambda _: Person())
    app.add_url_rule("/come-in", "come_in", lambda: (login_user(Person()), redirect("/traffic"))[1])
    app.add_url_rule("/go-away", "go_away", lambda: (logout_user(), "")[1])
"""


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("links")
    with web_cluster(folder, api.url, 40, options=("--web-base-path", BASE)) as made:
        yield made


def link(page: Page) -> Locator:
    return page.locator("#traffic-link")


def test_locusts_page_has_the_link_before_during_and_after_a_run(cluster: Cluster, api: FakeApi, page: Page) -> None:
    api.always(Step(delay=0.3))
    page.goto(f"{cluster.web}/")
    expect(page.locator("header").get_by_role("link", name="Traffic")).to_be_visible()
    fill(page)
    press_start(page)
    tab = page.get_by_role("tablist").get_by_role("tab", name="Traffic")
    expect(tab).to_be_visible()
    expect(page.locator("header").get_by_role("link", name="Traffic")).to_have_count(0)
    for other in ("Charts", "Workers", "Statistics"):  # React draws the page anew each time
        page.get_by_role("tab", name=other, exact=True).click()
        expect(tab).to_be_visible()
    expect(page.get_by_role("button", name="New", exact=True)).to_be_visible(timeout=SLOW_MS)
    expect(link(page)).to_have_count(1)
    expect(tab).to_be_visible()
    tab.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{cluster.web}/traffic")
    expect(page.locator("#run-state")).to_have_text("completed")
    page.get_by_role("link", name="Locust", exact=True).click()
    expect(page).to_have_url(f"{cluster.web}/")
    expect(link(page)).to_be_visible()


def test_the_link_is_put_back_where_react_takes_it_away(cluster: Cluster, page: Page) -> None:
    page.goto(f"{cluster.web}/")
    expect(link(page)).to_be_visible()
    link(page).evaluate("link => link.remove()")
    expect(link(page)).to_be_visible()


def test_on_a_phone_the_link_fits_beside_the_logo(cluster: Cluster, page: Page) -> None:
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    page.goto(f"{cluster.web}/")
    expect(link(page)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


@pytest.mark.parametrize("system", ["light", pytest.param("dark", marks=pytest.mark.slow)])
def test_the_theme_is_the_systems_until_a_person_chooses_one_for_both_pages(
    cluster: Cluster, page: Page, system: str
) -> None:
    other = {"light": "dark", "dark": "light"}[system]
    page.emulate_media(color_scheme=system)  # type: ignore[arg-type]
    traffic = TrafficPage(page, cluster.web).open()
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", system)
    traffic.assert_no_violation()
    page.get_by_role("button", name="Dark theme").click()
    expect(html).to_have_attribute("data-theme", other)
    page.goto(f"{cluster.web}/")
    grounds = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}
    expect(page.locator("body")).to_have_css("background-color", grounds[other])
    page.goto(traffic.address)
    expect(html).to_have_attribute("data-theme", other)


def test_a_session_that_has_ended_is_said_with_a_link_to_the_login(api: FakeApi, tmp_path: Path, page: Page) -> None:
    with Cluster(tmp_path, api.url, web=True, locustfile=LOGIN + LOCUSTFILE, options=("--web-login",)) as cluster:
        cluster.await_page()
        cluster.await_log("2 workers connected")
        page.goto(f"{cluster.web}/traffic")
        expect(page).to_have_url(f"{cluster.web}/login?next=%2Ftraffic")
        page.goto(f"{cluster.web}/come-in")
        state = page.locator("#run-state")
        expect(state).to_have_text("ready")
        page.context.request.get(f"{cluster.web}/go-away")
        expect(page.get_by_text("Your session has ended; what is shown is from before.")).to_be_visible()
        page.get_by_role("link", name="Log in again").click()
        expect(page).to_have_url(f"{cluster.web}/login?next=%2Ftraffic")
