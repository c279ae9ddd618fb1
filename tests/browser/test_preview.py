"""What will be sent is shown before Start: the file as it is read, and its first request."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from support.cluster import Cluster
from support.deadlines import until
from support.fake_api import FakeApi
from support.traffic_page import SLOW_MS, TrafficPage, web_cluster

SEMICOLONS = 'name;msg;price\nAna;Hola, Bo;1,50\n;;\nBo;"a ""b""";2\n'


@pytest.fixture(scope="module")
def cluster(api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("preview")
    secret = folder / "headers"
    secret.write_text("Authorization: Bearer t0ken\n")
    with web_cluster(folder, api.url, TRAFFIC_HEADER_FILE=secret) as made:
        yield made


@pytest.fixture
def traffic(api: FakeApi, cluster: Cluster, page: Page) -> TrafficPage:
    cluster.await_startable()
    api.forget()
    return TrafficPage(page, cluster.web).open()


def test_a_csv_with_semicolons_is_shown_as_its_first_request_and_is_delivered_so(
    traffic: TrafficPage, cluster: Cluster, api: FakeApi
) -> None:
    (cluster.folder / "data" / "excel.csv").write_text(SEMICOLONS)
    page = traffic.open().page
    page.locator("#file").select_option(str(cluster.folder / "data" / "excel.csv"))
    facts, request = page.locator("#preview-facts"), page.locator("#preview-text")
    expect(facts).to_contain_text("2 records, CSV with a header, semicolons, last written", timeout=SLOW_MS)
    expect(page.locator("#preview-notes")).to_contain_text("1 row is empty in every field, and left out")
    expect(request).to_contain_text(f"POST {api.url}/")
    expect(request).to_contain_text('{"name":"Ana","msg":"Hola, Bo","price":"1,50"}')
    expect(request).to_contain_text(f"(and the headers of {cluster.folder / 'headers'}, which each worker reads)")
    traffic.section("Start a run").get_by_text("More", exact=True).click()
    page.get_by_label("Headers", exact=True).fill("X-Tenant: 7\nX-Api-Key: s3cret")
    page.get_by_label("Headers", exact=True).blur()
    expect(request).to_contain_text("X-Tenant: 7", timeout=SLOW_MS)
    expect(request).to_contain_text("X-Api-Key: •••")
    page.get_by_label("Offset", exact=True).fill("1")
    page.get_by_label("Offset", exact=True).blur()
    expect(request).to_contain_text('{"name":"Bo","msg":"a \\"b\\"","price":"2"}', timeout=SLOW_MS)
    page.get_by_label("Offset", exact=True).fill("0")
    page.get_by_label("Types of CSV's columns", exact=True).fill("price=number")
    page.get_by_label("Types of CSV's columns", exact=True).blur()
    expect(facts).to_contain_text("has '1,50', which is no number as JSON has it", timeout=SLOW_MS)
    expect(request).to_be_hidden()
    page.get_by_label("Types of CSV's columns", exact=True).fill("")
    page.get_by_label("Types of CSV's columns", exact=True).blur()
    expect(request).to_be_visible(timeout=SLOW_MS)
    traffic.assert_no_violation()
    traffic.begin(users=2)
    traffic.await_state("completed")
    bodies = sorted(post.body for post in api.posts())
    assert bodies == [
        '{"name":"Ana","msg":"Hola, Bo","price":"1,50"}',
        '{"name":"Bo","msg":"a \\"b\\"","price":"2"}',
    ]
    assert traffic.alarms == []


def test_nothing_moves_under_a_persons_hand_when_the_preview_comes(traffic: TrafficPage) -> None:
    page = traffic.page
    held: list[Route] = []
    holding = True
    # The page may ask for more than one, and for another once these have gone on.
    page.route("**/traffic/preview", lambda route: held.append(route) if holding else route.continue_())
    traffic.open()
    expect(page.locator("#file option").nth(1)).to_be_attached()
    until(lambda: (page.wait_for_timeout(50), held)[1], "the preview is asked for")
    before = traffic.button("Start").bounding_box()
    holding = False
    for route in held:
        route.continue_()
    expect(page.locator("#preview-request")).to_be_visible(timeout=SLOW_MS)
    assert traffic.button("Start").bounding_box() == before


@pytest.mark.parametrize(
    "lost", [1, 3], ids=["by a network that changes", "for longer, until the master answers again"]
)
def test_a_preview_whose_request_is_lost_is_asked_for_again(traffic: TrafficPage, lost: int) -> None:
    tries: list[Route] = []

    def answer(route: Route) -> None:
        tries.append(route)
        route.abort() if len(tries) <= lost else route.continue_()

    traffic.page.route("**/traffic/preview", answer)
    expect(traffic.open().page.locator("#preview-request")).to_be_visible(timeout=SLOW_MS)
    assert len(tries) > lost


def test_a_file_that_cannot_be_read_is_said_so_before_start(traffic: TrafficPage, cluster: Cluster) -> None:
    path = cluster.folder / "data" / "ambiguous.csv"
    path.write_text("a,b;c\n1,2;3\n")
    page = traffic.open().page
    page.locator("#file").select_option(str(path))
    facts = page.locator("#preview-facts")
    expect(facts).to_contain_text("the file can be read as CSV in two ways", timeout=SLOW_MS)
    traffic.section("Start a run").get_by_text("More", exact=True).click()
    page.get_by_label("Delimiter of CSV", exact=True).select_option("semicolon")
    expect(facts).to_contain_text("1 record, CSV with a header, semicolons", timeout=SLOW_MS)
    traffic.assert_fits()
