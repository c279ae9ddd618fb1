"""A journal that cannot be used is refused with a clear word; one that cannot be written pauses the run."""

import os
import shutil
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster, records_file
from support.fake_api import FakeApi, Step
from support.small_disk import fill, small_disk

pytestmark = pytest.mark.timeout(180)

RECORDS = 400
SLOWLY, AT_ONCE = Step(delay=0.1), Step()


@pytest.fixture
def api(shared_api: FakeApi) -> FakeApi:
    shared_api.forget()
    shared_api.always(SLOWLY)
    return shared_api


@dataclass(frozen=True)
class CutOff:
    """What a run left whose processes were all killed at once."""

    run: str
    file: Path
    state: Path

    def copy_to(self, folder: Path) -> "CutOff":
        """A copy that a test may spoil."""
        file = Path(shutil.copy(self.file, folder / self.file.name))
        return CutOff(self.run, file, Path(shutil.copytree(self.state, folder / "state")))

    @property
    def journal(self) -> Path:
        """Its journal."""
        return self.state / "runs" / self.run / "journal.sqlite"

    @property
    def files(self) -> dict[str, bytes]:
        """Everything that is kept of the run."""
        return {str(path): path.read_bytes() for path in self.journal.parent.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def left_behind(shared_api: FakeApi, tmp_path_factory: pytest.TempPathFactory) -> CutOff:
    folder = tmp_path_factory.mktemp("cut-off")
    file = records_file(folder, RECORDS)
    shared_api.forget()
    shared_api.always(SLOWLY)
    with Cluster(folder, shared_api.url, workers=2, TRAFFIC_FILE=file) as cluster:
        cluster.until(lambda: shared_api.count >= 60, "records are sent")
        for process in (cluster.master, *cluster.workers):
            process.kill()
    (run,) = (path.name for path in (folder / "state" / "runs").iterdir())
    made = CutOff(run, file, folder / "state")
    # Whoever reads it first takes back what the kill may have cut off; a test is to see its own harm alone.
    with closing(sqlite3.connect(made.journal)) as database:
        assert database.execute("SELECT count(*) FROM entry").fetchone()[0] > 0
    return made


@pytest.fixture
def cut_off(left_behind: CutOff, tmp_path: Path) -> CutOff:
    return left_behind.copy_to(tmp_path)


def cut_short(cut_off: CutOff) -> None:
    size = cut_off.journal.stat().st_size
    os.truncate(cut_off.journal, size // 2)


def lose_an_entry(cut_off: CutOff) -> None:
    with closing(sqlite3.connect(cut_off.journal)) as database, database:
        database.execute("DELETE FROM entry WHERE number = 3")


def change_an_entry(cut_off: CutOff) -> None:
    with closing(sqlite3.connect(cut_off.journal)) as database, database:
        database.execute("UPDATE entry SET body = replace(body, '[0,', '[1,')")


def be_of_another_version(cut_off: CutOff) -> None:
    with closing(sqlite3.connect(cut_off.journal)) as database, database:
        database.execute("PRAGMA user_version = 99")


def be_no_journal(cut_off: CutOff) -> None:
    cut_off.journal.write_text("what a person thought was a note\n" * 200)


def have_another_dataset(cut_off: CutOff) -> None:
    cut_off.file.write_text(cut_off.file.read_text().replace("n17", "N17"))


SPOILED: dict[Callable[[CutOff], None], str] = {
    cut_short: "journal.sqlite is damaged",
    lose_an_entry: "journal.sqlite is damaged",
    change_an_entry: "journal.sqlite is damaged",
    be_no_journal: "journal.sqlite is damaged or cannot be read (file is not a database)",
    be_of_another_version: "journal.sqlite is of version 99, and this release knows versions 1 to 4",
    have_another_dataset: "is not the file that run",
}


@pytest.mark.parametrize("spoil", SPOILED, ids=lambda spoil: spoil.__name__)
def test_a_run_is_not_resumed_from(
    spoil: Callable[[CutOff], None], cut_off: CutOff, api: FakeApi, tmp_path: Path
) -> None:
    spoil(cut_off)
    before = cut_off.files
    with Cluster(tmp_path, api.url, workers=1, TRAFFIC_FILE=cut_off.file) as cluster:
        assert cluster.wait() == 4
        (told,) = (line for line in cluster.master.log.splitlines() if "refused to start: " in line)
        assert "Traceback" not in cluster.master.log
    assert SPOILED[spoil] in told
    assert "--traffic-resume no" in told
    assert api.count == 0
    assert cut_off.files == before, "a person may want to look at it"


def test_a_damaged_journal_can_be_left_behind_and_is_kept(cut_off: CutOff, api: FakeApi, tmp_path: Path) -> None:
    cut_short(cut_off)
    api.always(AT_ONCE)
    with Cluster(tmp_path, api.url, workers=1, TRAFFIC_FILE=cut_off.file, TRAFFIC_RESUME="no") as cluster:
        assert cluster.wait() == 0
        assert cluster.report["run"] != cut_off.run
    assert not cut_off.journal.exists()
    assert (cut_off.journal.parent / "journal.unusable").exists()


@pytest.fixture
def edited_file(left_behind: CutOff) -> Iterator[Path]:
    """The run's own file, with one record changed; for the length of a test."""
    text = left_behind.file.read_text()
    left_behind.file.write_text(text.replace("n17", "N17"))
    yield left_behind.file
    left_behind.file.write_text(text)


def test_the_page_tells_why_a_run_is_not_resumed_and_starts_no_other_instead(
    cut_off: CutOff, edited_file: Path, api: FakeApi, tmp_path: Path
) -> None:
    with Cluster(tmp_path, api.url, workers=1, web=True, TRAFFIC_FILE=cut_off.file) as cluster:
        cluster.await_web(1)
        why = f"{edited_file} is not the file that run {cut_off.run} began with"
        status = cluster.until(lambda: why in (cluster.status["reason"] or "") and cluster.status, "the page says why")
        assert status["state"] == "ready"
        assert f"run {cut_off.run} was cut off" in cluster.swarm(2)["message"]
        assert api.count == 0
        assert not cluster.swarm(2, traffic_resume="last")["success"]
        assert api.count == 0


def test_two_masters_cannot_deliver_one_run(api: FakeApi, tmp_path: Path) -> None:
    file = records_file(tmp_path, RECORDS)
    with Cluster(tmp_path, api.url, workers=1, TRAFFIC_FILE=file) as first:
        first.until(lambda: api.count >= 10, "records are sent")
        other = tmp_path / "other"
        with Cluster(other, api.url, workers=1, TRAFFIC_FILE=file, TRAFFIC_STATE_DIR=first.state) as second:
            assert second.wait() == 4
            assert "is in use: another master delivers this run" in second.master.log
        api.always(AT_ONCE)
        assert first.wait() == 0
    assert set(Counter(post.index for post in api.posts()).values()) == {1}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", "1m") as made:
        yield made


def test_a_full_disk_pauses_the_run_until_there_is_room(disk: Path, api: FakeApi, tmp_path: Path) -> None:
    file = records_file(tmp_path, RECORDS)
    # Longer leases than a busy machine takes to see all this: a worker that is not answered for one begins anew.
    more: dict[str, Any] = {"TRAFFIC_FILE": file, "TRAFFIC_STATE_DIR": disk, "TRAFFIC_LEASE": 30}
    with Cluster(tmp_path, api.url, workers=2, web=True, **more) as cluster:
        cluster.await_web(2)
        assert cluster.swarm(8)["success"]
        cluster.until(lambda: api.count >= 60, "records are sent")
        filler = fill(disk)
        paused = cluster.await_state("paused")
        assert paused["reason"] == "the journal cannot be written: the disk is full"
        counts = paused["counts"]
        settled = cluster.until(lambda: api.count == (seen := api.count) and seen, "nothing is sent any more")
        assert settled < RECORDS
        assert counts["delivered"] <= settled
        filler.unlink()
        api.always(AT_ONCE)
        cluster.await_state("completed")
        assert cluster.report_in(disk)["counts"]["delivered"] == RECORDS
    assert set(Counter(post.index for post in api.posts()).values()) == {1}


def test_what_was_journaled_before_the_disk_was_full_is_there_after_a_kill(
    disk: Path, api: FakeApi, tmp_path: Path
) -> None:
    file = records_file(tmp_path, RECORDS)
    with Cluster(tmp_path, api.url, workers=2, TRAFFIC_FILE=file, TRAFFIC_STATE_DIR=disk) as cluster:
        cluster.until(lambda: api.count >= 60, "records are sent")
        filler = fill(disk)
        cluster.await_log("the disk is full")
        cluster.master.send(signal.SIGKILL)
        cluster.master.wait()
        filler.unlink()
        api.always(AT_ONCE)
        cluster.restart_master()
        assert cluster.wait() == 0
        assert cluster.report_in(disk)["resumed"][0]["settled"] > 0
    assert set(Counter(post.index for post in api.posts()).values()) == {1}
