"""The Traffic page as a person has it before them, and what axe finds in it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from support.cluster import Cluster, records_file
from support.deadlines import USUAL_S, stretched

SLOW_MS = 1000 * stretched(USUAL_S)
RUN = r"\d{8}-\d{6}-[0-9a-f]{6}"
PHONE = {"width": 375, "height": 740}


@contextmanager
def web_cluster(folder: Path, host: str, records: int = 60, workers: int = 2, **more: Any) -> Iterator[Cluster]:
    """A master with the web UI, its file of so many records in a folder of its own, and ready workers."""
    data = folder / "data"
    data.mkdir(parents=True)
    file = records_file(data, records)
    with Cluster(folder, host, workers=workers, web=True, TRAFFIC_FILE=file, **more) as made:
        made.await_web(workers)
        yield made


class TrafficPage:
    """The page, with the names that its parts have for a person."""

    def __init__(self, page: Page, web: str) -> None:
        self.page, self.address = page, f"{web}/traffic"
        self.alarms: list[str] = []
        page.on("pageerror", lambda error: self.alarms.append(str(error)))
        page.on("dialog", lambda dialog: self.alarms.append(dialog.message))
        page.on("console", lambda said: self.alarms.append(said.text) if "Security Policy" in said.text else None)

    def open(self) -> "TrafficPage":
        """Go there, and wait until the master has answered."""
        self.page.goto(self.address)
        expect(self.state).not_to_have_text("…")
        return self

    @property
    def state(self) -> Locator:
        """The state of the run, beside its heading."""
        return self.page.locator("#run-state")

    def button(self, name: str) -> Locator:
        """A button by its name."""
        return self.page.get_by_role("button", name=name, exact=True)

    def section(self, name: str) -> Locator:
        """A part of the page by its heading."""
        heading = self.page.get_by_role("heading", name=name, exact=True)
        return self.page.locator("section").filter(has=heading)

    def await_state(self, state: str) -> None:
        """Wait until the run is in this state, and the page says it: "completed", "completed, 2 rejected"."""
        expect(self.state).to_have_attribute("data-state", state, timeout=SLOW_MS)
        expect(self.state).to_have_text(re.compile(f"^{state}(,|$)"))

    def start(self, users: int = 8, **more: str) -> None:
        """Fill the form, and press Start. The form offers what the last start said, so a rate is said or taken away."""
        expect(self.page.locator("#file option").nth(1)).to_be_attached()
        form = self.section("Start a run")
        form.get_by_label("Users (in all)").fill(str(users))
        form.get_by_label("Users started a second").fill("100")
        for label, value in {"Rate": "", **more}.items():
            field = form.get_by_label(label, exact=True)
            if not field.is_visible():
                form.get_by_text("More", exact=True).press("Enter")
            field.fill(value)
        self.button("Start").click()

    def begin(self, users: int = 8, **more: str) -> None:
        """As `start`, and wait until the page shows the new run: until then it shows how the last one ended."""
        facts = self.page.locator("#facts")
        before = re.search(RUN, facts.text_content() or "")
        self.start(users, **more)
        expect(facts).to_contain_text(re.compile(RUN), timeout=SLOW_MS)
        if before is not None:
            expect(facts).not_to_contain_text(before[0], timeout=SLOW_MS)

    def count(self, fate: str) -> Locator:
        """The number of the records that are of one fate, in the legend of the bar."""
        return self.page.locator(f"#legend .{fate} dd")

    def await_some(self, fate: str) -> None:
        """Wait until a record is of this fate."""
        expect(self.count(fate)).to_have_text(re.compile("^[1-9]"), timeout=SLOW_MS)

    def widths(self) -> dict[str, float]:
        """How long the bar's segments are, as shares of all that there is to see."""
        script = "bar => Object.fromEntries([...bar.children].map(s => [s.className.split(' ')[1], +s.style.flexGrow]))"
        return dict(self.page.locator("#progress").evaluate(script))

    def events(self) -> Locator:
        """The lines of the log of events."""
        return self.section("Events").get_by_role("listitem")

    def assert_no_violation(self) -> None:
        """Nothing that axe calls serious or critical."""
        grave = [
            f"{found['id']}: {found['help']}: {[node['target'] for node in found['nodes']][:3]}"
            for found in Axe().run(self.page).response["violations"]
            if found["impact"] in ("serious", "critical")
        ]
        assert grave == []

    def assert_fits(self) -> None:
        """The page needs no pushing sideways, once its charts have taken notice of their width."""
        width = self.page.viewport_size["width"]  # type: ignore[index]
        self.page.wait_for_function("width => document.documentElement.scrollWidth <= width", arg=width)
