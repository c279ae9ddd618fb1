"""The file of results: whole batches and nothing else, whatever a crash leaves; at its end one frame."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from traffic.core.master.decisions import ResultsReceived
from traffic.core.master.result_book import ResultBook
from traffic.core.protocol import ResultBatch
from traffic.master.results_writer import ResultsWriter
from traffic.runs.journal import KeptRows
from traffic.runs.results_file import BadBatchError, ResultsFile, check_batch, compress, read_rows

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COLUMNS = ("index", "error")
Opened = Callable[..., ResultsFile]


def rows(first: int, count: int) -> bytes:
    return b"".join(b"%d,\r\n" % at for at in range(first, first + count))


def received(worker: str, number: int, first: int, count: int) -> ResultsReceived:
    return ResultsReceived(worker, number, count, compress(rows(first, count)))


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens files of results, and closes them after the test."""
    made: list[ResultsFile] = []

    def opened(path: Path, size: int = 0) -> ResultsFile:
        made.append(ResultsFile(path, COLUMNS, size))
        return made[-1]

    yield opened
    for file in made:
        file.close()


def text(path: Path) -> bytes:
    return b"".join(read_rows(path))


def test_a_file_has_a_header_and_the_rows_that_count_and_ends_as_one_frame(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "runs" / "one" / "results.csv.zst"
    file = opened(path)
    for first in (0, 10, 20):
        file.size = file.add([compress(rows(first, 5)), compress(rows(first + 5, 5))])
    assert text(path) == b"index,error\r\n" + rows(0, 30)
    file.finish()
    assert text(path) == b"index,error\r\n" + rows(0, 30)
    one = zstd.ZstdDecompressor()
    assert one.decompress(path.read_bytes()) == text(path)
    assert (one.eof, one.unused_data) == (True, b""), "readers that stop after the first frame have all"
    assert [other.name for other in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize("junk", [b"", b"\x28\xb5\x2f\xfd torn", compress(rows(90, 5))])
def test_what_a_crash_left_behind_the_last_batch_that_counts_is_cut_off(
    tmp_path: Path, opened: Opened, junk: bytes
) -> None:
    path = tmp_path / "results.csv.zst"
    file = opened(path)
    size = file.add([compress(rows(0, 5))])
    with path.open("ab") as more:
        more.write(junk)
    again = opened(path, size)
    assert not again.begun_anew
    again.size = again.add([compress(rows(5, 5))])
    again.close()
    assert text(path) == b"index,error\r\n" + rows(0, 10)


def test_a_frame_that_is_being_written_ends_what_is_read(tmp_path: Path, opened: Opened) -> None:
    path = tmp_path / "results.csv.zst"
    file = opened(path)
    file.add([compress(rows(0, 5)), compress(rows(5, 5000))[:-7]])
    assert text(path).startswith(b"index,error\r\n" + rows(0, 5))


@pytest.mark.parametrize("left", [None, 3])
def test_a_file_that_is_gone_or_cut_short_is_begun_anew_and_that_is_known(
    tmp_path: Path, opened: Opened, left: int | None
) -> None:
    path = tmp_path / "results.csv.zst"
    file = opened(path)
    size = file.add([compress(rows(0, 5))])
    file.close()
    if left is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:left])
    again = opened(path, size)
    again.size = again.add([compress(rows(5, 5))])
    assert again.begun_anew
    assert text(path) == b"index,error\r\n" + rows(5, 5)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no frame",
        compress(rows(0, 5))[:-1],
        compress(rows(0, 5)) * 2,
        compress(rows(0, 4)),
        compress(rows(0, 5) + b"half"),
        compress(b"x" * (1 << 25) + b"\r\n" * 5),
    ],
)
def test_what_is_no_frame_of_so_many_rows_is_refused(data: bytes) -> None:
    with pytest.raises(BadBatchError):
        check_batch(data, 5)


class Bench:
    """A writer with its account, and a batch of each worker at a time."""

    def __init__(self, path: Path, file: ResultsFile) -> None:
        self.path, self.book = path, ResultBook()
        self.writer = ResultsWriter(file, self.book)
        for worker in ("a", "b"):
            self.book.note_made(worker, 20)

    def write(self, *batches: ResultsReceived) -> list[KeptRows]:
        for one in batches:
            assert self.book.accept(one.worker, ResultBatch("run", one.number, one.rows, one.data))
        return self.writer.write(batches)


@pytest.fixture
def bench(tmp_path: Path, opened: Opened) -> Bench:
    path = tmp_path / "results.csv.zst"
    return Bench(path, opened(path))


def test_rows_count_once_the_journal_has_them(bench: Bench) -> None:
    kept = bench.write(received("a", 1, 0, 5), received("b", 1, 5, 5), received("a", 2, 10, 5))
    assert [one[:3] for one in kept] == [("a", 2, 10), ("b", 1, 5)]
    assert (bench.book.kept, bench.book.confirmed("a")) == (0, 0)
    bench.writer.commit()
    assert (bench.book.kept, bench.book.lost, bench.book.confirmed("a"), bench.book.confirmed("b")) == (15, 25, 2, 1)
    assert {one.size for one in kept} == {bench.writer.file.size}


def test_a_write_that_the_journal_did_not_get_is_done_again_in_its_place(bench: Bench) -> None:
    bench.write(received("a", 1, 0, 5))
    bench.writer.write([received("a", 1, 0, 5)])
    bench.writer.commit()
    assert text(bench.path) == b"index,error\r\n" + rows(0, 5)
    assert bench.book.kept == 5


def test_a_bad_batch_is_lost_said_and_not_sent_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.write(ResultsReceived("a", 1, 5, b"bad"), received("a", 2, 5, 5))
    bench.writer.commit()
    assert (bench.book.kept, bench.book.lost, bench.book.confirmed("a")) == (5, 35, 2)
    assert "dropped 5 rows of results from a: no zstd frame" in caplog.text
    assert text(bench.path) == b"index,error\r\n" + rows(5, 5)


def test_rows_for_which_there_is_no_room_are_lost_and_the_run_goes_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: Any) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ResultsFile, "add", full)
        for number in (1, 2):
            bench.write(received("a", number, 0, 5))
            bench.writer.commit()
    assert caplog.text.count("No space left on device") == 1
    bench.write(received("a", 3, 10, 5))
    bench.writer.commit()
    assert (bench.book.kept, bench.book.lost, bench.book.confirmed("a")) == (5, 35, 3)
    assert text(bench.path) == b"index,error\r\n" + rows(10, 5)


def test_rows_are_awaited_of_workers_that_are_there_alone(bench: Bench) -> None:
    bench.write(received("a", 1, 0, 20))
    bench.writer.commit()
    assert bench.book.awaits(["a", "b"])
    assert not bench.book.awaits(["a", "stranger"])
    bench.book.lose_all()
    assert (bench.book.kept, bench.book.lost) == (0, 40)
