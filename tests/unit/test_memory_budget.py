"""Memory and disk: a file that needs more than there is gets refused in words, before either is used up."""

import gzip
import os
import re
import subprocess
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from traffic.dataset import memory_budget, record_writer, scan
from traffic.dataset.available import disk_left, memory_left
from traffic.dataset.cache import Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.from_csv import convert
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.memory_budget import (
    DISK_MARGIN,
    INDEX_BYTES,
    MEMORY_MARGIN,
    RUN_BYTES,
    STEP,
    Budget,
    Left,
    values_cost,
)
from traffic.dataset.schema import Schema
from unit.traffic_file import written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

MEGA = 1 << 20
MEMORY = "Give the master more memory (mem_limit in docker-compose.yml)"


def left(size: int, total: int = 1 << 40) -> Left:
    return Left(size, total, "the container's memory limit", MEMORY)


def with_memory(size: int) -> Budget:
    """So much memory, beside the margin."""
    return Budget(memory=lambda: left(MEMORY_MARGIN + size))


def with_disk(folder: Path, size: int) -> Budget:
    """A disk on which so much fits beside the margin."""

    def used() -> int:
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    return Budget(disk=lambda: Left(DISK_MARGIN + size - used(), 1 << 40, "the state folder's disk", "Make room there"))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "state" / "cache")


def refused(path: Path, cache: Cache, budget: Budget, schema: Schema | None = None) -> DatasetError:
    with pytest.raises(DatasetError) as caught:
        DatasetLoader(path, cache, budget=budget).open(schema)
    return caught.value


# Records.


@pytest.mark.parametrize("data", [b"{}\n" * 5000, b"[" + b",".join([b"{}"] * 5000) + b"]", b"a,b\n" + b"1,\n" * 5000])
@pytest.mark.parametrize("packer", [bytes, gzip.compress, zstd.compress])
def test_an_index_that_does_not_fit_is_refused_while_it_grows(tmp_path, cache, monkeypatch, data, packer):
    monkeypatch.setattr(memory_budget, "STEP", 100)
    monkeypatch.setattr(scan, "STEP", 100)
    monkeypatch.setattr(record_writer, "STEP", 100)
    monkeypatch.setattr(convert, "_BATCH", 50)
    monkeypatch.setattr(scan, "WINDOW", 300)
    asked: list[Any] = []

    def memory() -> Left:
        asked.append(None)
        return left(MEMORY_MARGIN + 20_000 - len(asked) * 100 * INDEX_BYTES)

    error = refused(written(tmp_path, packer(data), "bomb.csv"), cache, Budget(memory))
    assert error.what.startswith("the file has about 5,0")
    assert (
        "records, by its size: they need 0.1 MB of memory, and there are 0.0 MB for it, of the container's"
        in error.what
    )
    assert error.remedy == f"{MEMORY}, or split the file."
    assert len(asked) < 20, "it is refused before the memory is used up"
    assert not list(cache.folder.glob("*")), "nothing half made is left"


def test_what_is_needed_and_what_there_is_stand_in_the_refusal():
    tight = with_memory(50 * MEGA)
    with pytest.raises(DatasetError) as caught:
        tight.check_records(Path("bomb.gz"), 20_000_000, 60_000_000, 300_000_000)
    needed = 100_000_000 * (INDEX_BYTES + RUN_BYTES) // 1_000_000
    there = (50 * MEGA + 20_000_000 * INDEX_BYTES) // 1_000_000
    assert caught.value.what == (
        f"the file has about 100,000,000 records, by its size: they need {needed:,} MB of memory, "
        f"and there are {there} MB for it, of the container's memory limit of 1,099,511 MB"
    )


def test_ten_million_records_pass_if_compose_limits_the_master():
    # docs/benchmarks-dataset.md: the master has 75 MB without a file.
    total = 1 << 30
    for records in range(0, 10_000_000, STEP):
        used = (75 << 20) + records * INDEX_BYTES
        Budget(memory=partial(left, total - used, total)).check_records(Path("x"), records, 1, 1)


@pytest.mark.parametrize("total", [128 * MEGA, 1 << 30])
def test_a_usual_file_passes_in_little_memory(tmp_path, cache, total):
    data = b"".join(b'{"n": %d}\n' % nth for nth in range(60_000))
    little = Budget(memory=lambda: left(total // 8 + 1, total))
    DatasetLoader(written(tmp_path, gzip.compress(data)), cache, budget=little).open().close()


def test_an_index_of_the_cache_that_does_not_fit_any_more_is_refused(tmp_path, cache):
    path = written(tmp_path, b"{}\n" * 100_000, "many.jsonl")
    os.utime(path, (1, 1))
    DatasetLoader(path, cache).open().close()
    error = refused(path, cache, with_memory(100_000))
    assert error.what.startswith(
        "the file has 100,000 records: they need 1.4 MB of memory, and there are 0.1 MB for it"
    )


# Values.

LONG = 2 * MEGA
DENSE = {
    "objects": "{}",
    "objects with a field": '{"a":1}',
    "objects with fields": '{"ab":10,"cd":20}',
    "arrays": "[]",
    "arrays with a number": "[10]",
    "deep arrays": "[" * 13 + "10" + "]" * 13,
    "deep objects": '{"":' * 13 + "0" + "}" * 13,
    "numbers": "10",
    "texts": '"ab"',
    "wide texts": '"\U0001f642"',
}


@pytest.mark.parametrize("name", DENSE)
def test_the_memory_that_values_take_is_bounded_by_what_is_reckoned(name):
    text = '{"a":[' + ",".join([DENSE[name]] * (100_000 // len(DENSE[name]))) + "]}"
    tracemalloc.start()
    try:
        kept = scan.DECODER.raw_decode(text)
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept
    assert taken <= values_cost(text.encode())


@pytest.mark.parametrize(
    ("name", "before", "value", "after"),
    [
        ("x.json", '[{"a":[[]', ",{}", "]},{}]"),
        ("x.jsonl", '{"a":[[]', ",{}", "]}\n{}\n"),
        ("x.csv", "a,b\n1,", "xxx", "\n"),
        ("header.csv", "a,", "xxx", ",b\n"),
    ],
)
def test_a_record_whose_values_do_not_fit_is_refused(tmp_path, cache, name, before, value, after):
    path = written(tmp_path, before + value * (LONG // 3) + after, name)
    error = refused(path, cache, with_memory(3 * MEGA))
    assert error.record == 0
    assert re.match(r"takes up to \d+ MB of memory to be checked, and there are 3.1 MB for it, of the con", error.what)
    assert error.remedy == f"{MEMORY}, or make the records smaller."


def test_a_record_that_does_not_fit_once_more_is_refused_by_the_schema(tmp_path, cache):
    path = written(tmp_path, b'{"a":"' + b"x" * LONG + b'"}\n{}\n', "long.jsonl")
    DatasetLoader(path, cache, budget=with_memory(10 * MEGA)).open().close()
    rules = Schema(written(tmp_path, b"{}", "schema.json"))
    assert refused(path, cache, with_memory(10 * MEGA), rules).record == 0


def test_the_records_that_are_held_against_a_schema_at_once_are_bounded_in_bytes(tmp_path, cache, monkeypatch):
    path = written(tmp_path, b'{"a":"' + b"x" * 400_000 + b'"}\n', "x.jsonl")
    path.write_bytes(path.read_bytes() * 7)
    dataset = DatasetLoader(path, cache).open()
    sizes, bodies = [], dataset.bodies
    monkeypatch.setattr(dataset, "bodies", lambda indexes: sizes.append(len(indexes)) or bodies(indexes))
    Schema(written(tmp_path, b"{}", "schema.json")).check(dataset, lambda _done, _of: None, Budget())
    dataset.close()
    assert sizes == [2, 2, 2, 1]


# CSV.


@pytest.mark.parametrize("text", ['"a\n",' * 400, '"' + "x\n" * 900, "x," * 900, '"' + "x" * 1900 + '"'])
@pytest.mark.parametrize("size", [64, 1 << 20])
def test_a_row_that_is_longer_than_a_record_may_be_is_refused_at_its_beginning(
    tmp_path, cache, monkeypatch, text, size
):
    monkeypatch.setattr(scan, "MAX_RECORD", 1000)
    monkeypatch.setattr(scan, "WINDOW", size)
    error = refused(written(tmp_path, "a,b\n1,2\n" + text, "x.csv"), cache, Budget())
    assert error.what == "is longer than 0 MiB, or a quote in it is never closed"
    assert (error.record, error.line, error.column) == (1, 3, 1)


def test_rows_are_handed_on_before_they_are_many_bytes(tmp_path, cache, monkeypatch):
    pieces = []
    monkeypatch.setattr(Budget, "check_disk", lambda _self, _file, _made, more: pieces.append(more))
    path = written(tmp_path, "a,b\n" + ("1," + "x" * 300_000 + "\n") * 8, "x.csv")
    DatasetLoader(path, cache).open().close()
    assert [piece // 300_000 for piece in pieces if piece] == [4, 4]


def test_a_million_columns_are_looked_through_once(tmp_path, cache):
    header = ",".join(map(str, range(300_000)))
    error = refused(written(tmp_path, f"{header},7\n", "x.csv"), cache, Budget())
    assert error.what == "the header has the name '7' twice"


# Disk.


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.json.gz", gzip.compress(b"[{}" + b" " * 8 * MEGA + b"]")),
        ("x.json.zst", zstd.compress(b"[{}" + b" " * 8 * MEGA + b"]")),
        ("x.csv", b"a,b\n" + (b"x" * 40 + b",\n") * 100_000),
        ("x.csv.gz", gzip.compress(b"a,b\n" + (b"x" * 40 + b",\n") * 100_000)),
    ],
)
def test_a_file_that_does_not_fit_onto_the_disk_is_refused_before_that_is_full(tmp_path, cache, name, data):
    state = cache.folder.parent
    error = refused(written(tmp_path, data, name), cache, with_disk(state, 4 * MEGA))
    assert re.fullmatch(
        r"the file needs more than \d\.\d MB of disk once it is unpacked or converted, "
        r"and there are \d\.\d MB for it, of the state folder's disk of 1,099,511 MB",
        error.what,
    )
    assert error.remedy == "Make room there, or split the file."
    assert not list(cache.folder.glob("*")), "nothing half made is left"


def test_an_index_for_which_there_is_no_room_is_not_kept_and_a_note_says_so(tmp_path, cache):
    path = written(tmp_path, b"{}\n" * 100_000, "many.jsonl")
    attempt = DatasetLoader(path, cache, budget=with_disk(tmp_path / "state", 100_000))
    attempt.open().close()
    assert "the next start has to read it again: No space left on device" in attempt.notes[0]
    assert not cache.folder.exists()


# Packed in odd ways.


def test_a_window_of_zstd_that_does_not_fit_is_named(tmp_path, cache):
    window: dict[int, int] = {
        zstd.CompressionParameter.window_log: 27,
        zstd.CompressionParameter.enable_long_distance_matching: 1,
    }
    stream = zstd.ZstdCompressor(options=window)
    path = written(tmp_path, stream.compress(b"[{}]") + stream.flush(), "x.json.zst")
    DatasetLoader(path, cache, budget=with_memory(200 * MEGA)).open().close()
    error = refused(path, Cache(tmp_path / "another"), with_memory(20 * MEGA))
    assert error.what == "the file needs more memory to be unpacked than 16,777,216 bytes"
    assert error.remedy == "Compress it without --long or --ultra."


# What there is.


def machine(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = "MemTotal:       4000 kB\nMemFree:   10 kB\nMemAvailable:   3000 kB\n"


def group(root: Path, folder: str, limit: str, used: int, cached: int = 0) -> None:
    place = root / "sys/fs/cgroup" / folder
    place.mkdir(parents=True, exist_ok=True)
    version_1 = folder.startswith("memory")
    names = ("memory.limit_in_bytes", "memory.usage_in_bytes") if version_1 else ("memory.max", "memory.current")
    prefix = "total_" if version_1 else ""
    (place / names[0]).write_text(f"{limit}\n")
    (place / names[1]).write_text(f"{used}\n")
    (place / "memory.stat").write_text(f"anon 5\n{prefix}inactive_file {cached}\n{prefix}active_file 1\n")


def test_the_machines_memory_is_what_is_left_without_a_container(tmp_path):
    seen = memory_left(machine(tmp_path, proc__meminfo=MEMINFO))
    assert seen is not None
    assert (seen.size, seen.total, seen.of) == (3000 << 10, 4000 << 10, "this machine's memory")


def test_nothing_is_known_if_nothing_can_be_read(tmp_path):
    assert memory_left(tmp_path) is None


def test_a_containers_limit_counts_without_the_files_pages(tmp_path):
    machine(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/\n")
    group(tmp_path, ".", "1000000", 700_000, 299_999)
    seen = memory_left(tmp_path)
    assert seen == Left(600_000, 1_000_000, "the container's memory limit", MEMORY)


@pytest.mark.parametrize("outer", ["500000", "max"])
def test_the_closest_of_nested_limits_counts(tmp_path, outer):
    machine(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/a/b\n")
    group(tmp_path, "a", outer, 400_000)
    group(tmp_path, "a/b", "800000", 300_000)
    seen = memory_left(tmp_path)
    assert seen is not None
    assert seen.size == (100_001 if outer != "max" else 500_001)


def test_version_1_is_read_at_the_mount_if_the_path_is_the_hosts(tmp_path):
    lines = "9:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n"
    machine(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup=lines)
    group(tmp_path, "memory", "900000", 100_000, 50_000)
    seen = memory_left(tmp_path)
    assert seen is not None
    assert (seen.size, seen.total) == (850_001, 900_000)


def test_the_disk_of_a_folder_that_is_not_there_yet_is_that_above_it(tmp_path):
    there, not_yet = disk_left(tmp_path), disk_left(tmp_path / "a" / "b")
    assert there is not None
    assert not_yet is not None
    assert not_yet.total == there.total > 0


LIMITED = """
import resource, sys
from pathlib import Path
from traffic.dataset.dataset import DatasetError
from traffic.dataset import schema
from traffic.dataset import record_copy
from traffic.dataset.cache import Cache
from traffic.dataset.loader import DatasetLoader
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
limit = used + (120 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    DatasetLoader(Path(sys.argv[1]), Cache(Path(sys.argv[2]))).open()
except DatasetError as error:
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10, error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_bomb_is_refused_by_a_process_that_has_little_memory(tmp_path):
    bomb = written(tmp_path, gzip.compress(b"{}\n" * 8_000_000, 1), "bomb.json.gz")
    ended = subprocess.run(
        [sys.executable, "-c", LIMITED, bomb, tmp_path / "cache"],
        env={**os.environ, "PYTHONPATH": str(Path(memory_budget.__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    grown, _, said = ended.stdout.partition(" ")
    assert "the file has about 8,000,000 records, by its size: they need 113 MB of memory" in said
    assert "of this process's own memory limit" in said
    assert int(grown) < 100, "MB"
    assert list((tmp_path / "cache").iterdir()) == []
