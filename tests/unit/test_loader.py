"""Opening files: decompressed once, recognized without being read, and noticed if they change."""

import gzip
import hashlib
import json
import os
import sys
import time
import zlib

import pytest

from traffic.dataset import formats, loader
from traffic.dataset.cache import KEPT, SETTLED_S, Cache
from traffic.dataset.dataset import DatasetError
from traffic.dataset.fault_list import ManyFaultsError
from traffic.dataset.loader import DatasetLoader
from traffic.dataset.schema import Schema, SchemaError
from unit.traffic_file import all_bodies, written

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

RECORDS = [b'{"name": "Ana", "msg": "\xc2\xa1Hola!"}', b"{}", b'{"b": [1, {"c": "}{"}]}']
ARRAY = b"[" + b",\n ".join(RECORDS) + b"]"
LINES = b"\n".join(RECORDS)
CSV = b'name,msg\nAna,"a\nb"\n'
OLD = 1_000_000_000


def two_members(data):
    return gzip.compress(data[:7]) + gzip.compress(data[7:]) + bytes(100)


def two_frames(data):
    return zstd.compress(data[:7]) + zstd.compress(data[7:])


PACKERS = {"gzip": gzip.compress, "gzip in members": two_members, "zstd": zstd.compress, "zstd in frames": two_frames}
KINDS = {
    formats.ARRAY: (ARRAY, RECORDS),
    formats.LINES: (LINES, RECORDS),
    formats.CSV: (CSV, [b'{"name":"Ana","msg":"a\\nb"}']),
}


@pytest.fixture
def cache(tmp_path):
    return Cache(tmp_path / "state" / "cache")


@pytest.fixture
def reads(monkeypatch):
    """How often a file was read for its index since."""
    made = []
    build = vars(loader)["build_index"]
    monkeypatch.setattr(loader, "build_index", lambda *args: made.append(args) or build(*args))
    return made


def old(path):
    """Make a file one that was written long ago, as far as its writer can say so."""
    os.utime(path, (OLD, OLD))
    return path


def read(path, cache, schema=None, later=SETTLED_S + 1):
    """What a start finds that comes some seconds after the latest write."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(time, "time", lambda: path.stat().st_ctime + later)
        dataset = DatasetLoader(path, cache).open(schema)
    try:
        return dataset.format, dataset.digest, all_bodies(dataset)
    finally:
        dataset.close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize("name", ["traffic.json", "traffic.csv.gz", "traffic"])
def test_a_compressed_file_is_read_as_what_is_in_it_under_any_name(tmp_path, cache, kind, packer, name):
    data, wanted = KINDS[kind]
    packed = PACKERS[packer](data)
    path = written(tmp_path, packed, name)
    for _ in range(2):
        assert read(path, cache) == (kind, hashlib.sha256(packed).hexdigest(), wanted)


@pytest.mark.parametrize("packer", ["gzip", "zstd"])
@pytest.mark.parametrize("piece", [1, 3, 1 << 20])
def test_a_packed_file_that_is_cut_or_damaged_is_refused(tmp_path, cache, monkeypatch, packer, piece):
    monkeypatch.setattr("traffic.dataset.decompress.PIECE", piece)
    packed = PACKERS[packer](LINES * 20)
    for stop in range(5, len(packed), 3):
        with pytest.raises(DatasetError, match=rf"(ends before its {packer} data does|cannot be unpacked by {packer})"):
            DatasetLoader(written(tmp_path, packed[:stop]), cache).open()
    with pytest.raises(DatasetError, match=f"cannot be unpacked by {packer}"):
        DatasetLoader(written(tmp_path, packed + b"more"), cache).open()
    assert not list(cache.folder.glob("*")), "nothing half made is left"


def test_much_that_was_packed_into_little_comes_out_in_pieces(tmp_path, cache, monkeypatch):
    monkeypatch.setattr("traffic.dataset.decompress.PIECE", 1000)
    body = b'{"a": "' + b"x" * 50_000 + b'"}'
    for packer in PACKERS.values():
        assert read(written(tmp_path, packer(b"[" + body + b"]")), cache)[2] == [body]


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_in_a_packed_file_has_its_place_in_what_was_packed(tmp_path, cache, kind):
    data = {formats.ARRAY: b"[{},\n{},\n 1]", formats.LINES: b"{}\n{}\n 1", formats.CSV: b"a,b\n1,2\n1"}[kind]
    path = written(tmp_path, gzip.compress(data))
    with pytest.raises(DatasetError) as caught:
        DatasetLoader(path, cache).open()
    assert (caught.value.file, caught.value.line) == (path, 3)


@pytest.mark.parametrize(
    ("data", "what"), [(b"PK\x03\x04abc", "a ZIP archive"), (b"BZh91AY", "bzip2"), (b"\xfd7zXZ\0\0", "xz")]
)
def test_other_packers_are_named(tmp_path, cache, data, what):
    with pytest.raises(DatasetError, match=what):
        DatasetLoader(written(tmp_path, data), cache).open()


# Known again.


@pytest.mark.parametrize("packer", [None, *PACKERS])
def test_a_second_start_does_not_read_the_file(tmp_path, cache, reads, packer):
    path = written(tmp_path, PACKERS[packer](ARRAY) if packer else ARRAY)
    first = read(path, cache)
    assert read(path, cache) == first
    assert len(reads) == 1


def test_a_file_that_was_written_just_now_is_known_by_its_digest_alone(tmp_path, cache, reads):
    path = written(tmp_path, ARRAY)
    read(path, cache, later=0.0)
    assert not list(cache.folder.glob("*.seen"))
    assert read(path, cache)[2] == RECORDS
    assert len(reads) == 1
    assert list(cache.folder.glob("*.seen"))


def test_a_copy_is_known_by_its_digest(tmp_path, cache, reads):
    read(written(tmp_path, ARRAY), cache)
    assert read(written(tmp_path, ARRAY, "copy.json"), cache)[2] == RECORDS
    assert len(reads) == 1


def test_a_copy_whose_name_says_something_else_is_read_anew(tmp_path, cache):
    assert read(written(tmp_path, "{}", "one.jsonl"), cache)[2] == [b"{}"]
    with pytest.raises(DatasetError, match="begins with an object"):
        DatasetLoader(written(tmp_path, "{}", "one.json"), cache).open()


@pytest.mark.parametrize("keep_times", [False, True])
def test_a_changed_file_of_the_same_size_is_noticed(tmp_path, cache, keep_times):
    path = old(written(tmp_path, '[{"a":1}]'))
    assert read(path, cache)[2] == [b'{"a":1}']
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:  # the file system's clock goes in ticks
        path.write_text('[{"a":2}]')
        if keep_times:
            old(path)
    assert read(path, cache)[2] == [b'{"a":2}']


def spoil(path):
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)


SPOILERS = {
    "a changed byte": spoil,
    "a cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "nothing in it": lambda path: path.write_bytes(b""),
    "another version": lambda path: path.write_bytes(path.read_bytes().replace(b"index 1", b"index 0")),
    "no JSON": lambda path: path.write_bytes(b"traffic index 1\n{]\n"),
    "gone": os.unlink,
}


@pytest.mark.parametrize("spoiler", SPOILERS)
@pytest.mark.parametrize("suffix", [".index", ".records", ".seen"])
def test_what_was_spoilt_in_the_cache_is_made_anew(tmp_path, cache, spoiler, suffix):
    path = written(tmp_path, gzip.compress(ARRAY))
    read(path, cache)
    (kept,) = cache.folder.glob(f"*{suffix}")
    SPOILERS[spoiler](kept)
    assert read(path, cache)[2] == RECORDS


def test_a_cache_that_cannot_be_written_costs_a_plain_file_nothing_but_time(tmp_path):
    (tmp_path / "cache").write_text("a file")
    attempt = DatasetLoader(written(tmp_path, ARRAY), Cache(tmp_path / "cache"))
    attempt.open().close()
    assert "has to read it again" in attempt.notes[0]


def test_a_packed_file_needs_the_room_to_unpack_it(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DatasetError, match="cannot be unpacked into the state folder"):
        DatasetLoader(written(tmp_path, gzip.compress(ARRAY)), Cache(tmp_path / "cache")).open()


def test_files_beyond_the_latest_are_forgotten(tmp_path, cache):
    for nth in range(KEPT + 3):
        read(written(tmp_path, gzip.compress(b'[{"n":%d}]' % nth, mtime=nth), f"{nth}.json"), cache)
    for suffix in (".index", ".records"):
        assert len(list(cache.folder.glob(f"*{suffix}"))) == KEPT


def test_progress_goes_from_the_first_byte_to_the_last(tmp_path, cache):
    seen = []
    DatasetLoader(written(tmp_path, LINES), cache, lambda done, of: seen.append((done, of))).open().close()
    assert seen[-1] == (len(LINES), len(LINES))
    assert seen == sorted(seen)


# Schemas.


def schema(tmp_path, **rules):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"type": "object", **rules}))
    return Schema(path)


def test_records_that_break_the_schema_are_reported_with_place_and_rule(tmp_path, cache):
    rules = schema(tmp_path, required=["name"], properties={"name": {"maxLength": 2}})
    with pytest.raises(DatasetError) as caught:
        DatasetLoader(written(tmp_path, '[{"name": "Bo"},\n {"name": "Ana"}, {}]'), cache).open(rules)
    assert isinstance(caught.value, ManyFaultsError)
    first, second = caught.value.listed
    assert (first.record, first.line, first.column) == (1, 2, 2)
    assert (
        first.what == 'breaks the schema\'s rule properties/name/maxLength at /name: "Ana" is longer than 2 characters'
    )
    assert (second.record, second.line, second.column) == (2, 2, 19)
    assert '"name" is a required property' in second.what
    assert first.remedy == f"Correct the record, or the schema {rules.file}."


def test_records_that_passed_a_schema_are_not_held_against_it_again(tmp_path, cache, monkeypatch):
    path, rules = written(tmp_path, ARRAY), schema(tmp_path)
    assert read(path, cache, rules)[2] == RECORDS
    monkeypatch.setattr(Schema, "check", None)
    assert read(path, cache, rules)[2] == RECORDS
    stricter = schema(tmp_path, required=["x"])
    with pytest.raises(TypeError):
        read(path, cache, stricter)


DRAFTS = {
    "draft-04": "http://json-schema.org/draft-04/schema#",
    "draft-06": "http://json-schema.org/draft-06/schema#",
    "draft-07": "http://json-schema.org/draft-07/schema#",
    "2019-09": "https://json-schema.org/draft/2019-09/schema",
    "2020-12": "https://json-schema.org/draft/2020-12/schema",
}


@pytest.mark.parametrize("draft", [None, *DRAFTS])
@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [("email", "ana@example.org", "ana"), ("date-time", "2024-02-29T12:00:00Z", "2023-02-29T12:00:00Z")],
)
def test_a_format_is_checked_in_every_draft(tmp_path, cache, draft, rule, good, bad):
    rules = schema(tmp_path, properties={"a": {"format": rule}}, **({"$schema": DRAFTS[draft]} if draft else {}))
    path = written(tmp_path, json.dumps([{"a": good}]))
    read(path, cache, rules)
    path.write_text(json.dumps([{"a": good}, {"a": bad}]))
    with pytest.raises(DatasetError) as caught:
        read(path, cache, rules)
    assert caught.value.record == 1
    assert caught.value.what.startswith("breaks the schema's rule properties/a/format at /a: ")


def test_a_mark_of_a_release_that_checked_no_formats_is_not_trusted(tmp_path, cache):
    rules = schema(tmp_path, properties={"a": {"format": "email"}})
    path = written(tmp_path, '[{"a": "no address"}]')
    digest = read(path, cache)[1]
    cache.remember_passed(digest, hashlib.sha256((tmp_path / "schema.json").read_bytes()).hexdigest())
    with pytest.raises(DatasetError, match="properties/a/format"):
        read(path, cache, rules)


def test_a_lone_surrogate_is_held_against_the_schema_as_a_question_mark(tmp_path, cache):
    rules = schema(tmp_path, properties={"a": {"const": "?"}})
    assert read(written(tmp_path, r'[{"a": "\ud800"}]'), cache, rules)[2] == [rb'{"a": "\ud800"}']


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"type": "objekt"}', '{"$ref": "#/nowhere"}', '{"$ref": "http://127.0.0.1:1/x"}', "\ud800"],
)
def test_what_is_no_schema_is_refused(tmp_path, text):
    path = tmp_path / "schema.json"
    path.write_bytes(text.encode(errors="surrogatepass"))
    with pytest.raises(SchemaError, match="is no JSON Schema"):
        Schema(path)


def test_a_schema_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SchemaError, match=r"cannot be read .*--traffic-schema"):
        Schema(tmp_path / "nowhere.json")


def test_the_packers_of_the_tests_are_what_they_seem():
    assert zlib.decompress(two_members(LINES), 31) == LINES[:7]
