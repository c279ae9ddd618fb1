"""A journal returns exactly what was written, or an error, and never other entries, whatever the damage."""

import re
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from traffic.core.master.decisions import Entry, Leased, LeaseReturned, OutcomesRecorded, Reopened
from traffic.core.protocol import RunConfig
from traffic.core.ranges import RangeSet
from traffic.core.record_state import Cause, DeadLetterGroup, RecordState
from traffic.core.wire import MOST
from traffic.runs.journal import Journal, JournalError
from traffic.runs.run_metadata import Resumption, RunMetadata
from unit.test_journal import METADATA, group, read

PAGE = 4096
# With lone surrogates, which a file's name or a reason may have, and with NUL.
text = st.text(st.characters(), max_size=20)
number = st.integers(0, 2**60)
seconds = st.floats(0, 1e9)
ranges = st.builds(
    lambda pairs: RangeSet((start, start + size) for start, size in pairs),
    st.lists(st.tuples(number, st.integers(1, 1000)), max_size=4),
)
causes = st.builds(Cause, st.sampled_from([RecordState.REJECTED, RecordState.IN_DOUBT]), number, number, text, text)
letters = st.builds(DeadLetterGroup, ranges, causes)
entries = st.one_of(
    st.builds(Leased, number, text, ranges),
    st.builds(LeaseReturned, number, text, ranges),
    st.builds(Reopened, ranges),
    st.builds(OutcomesRecorded, text, ranges, st.lists(letters, max_size=3).map(tuple), number, number),
)
terms = st.builds(RunConfig, text, text, text, st.tuples(seconds, seconds), st.integers(0, MOST), text)
metadata = st.builds(
    RunMetadata,
    terms=terms,
    file=text,
    records=number,
    digest=text,
    order=st.sampled_from(["random", "file"]),
    seed=number,
    give_up_s=number,
    host=text,
    started=text,
    first_session=number,
    users=number,
    spawn_rate=seconds,
    state=text,
    ended=st.none() | text,
    resumed=st.lists(st.builds(Resumption, text, number, number), max_size=3).map(tuple),
    told=st.booleans(),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("journals")


@given(first=metadata, writes=st.lists(st.tuples(st.lists(entries, max_size=4), st.none() | metadata), max_size=3))
@example(first=METADATA, writes=[([Leased(1, "\ud800\0\udfff", RangeSet([(2**60, 2**60 + 9)]))], None)])
@settings(max_examples=60)
def test_whatever_is_written_is_read(folder, first, writes):
    path = folder / "any.sqlite"
    with closing(Journal.create(path, first)) as journal:
        for made, changed in writes:
            journal.write(made, changed)
    try:
        last = [first, *(changed for _, changed in writes if changed is not None)][-1]
        assert read(path) == ([entry for made, _ in writes for entry in made], last)
    finally:
        path.unlink()


@pytest.fixture(scope="module")
def whole(folder) -> tuple[bytes, tuple[list[Entry], RunMetadata]]:
    """Return a journal's file and its contents; one letter is so long that it needs several pages."""
    path = folder / "whole.sqlite"
    with closing(Journal.create(path, METADATA)) as journal:
        for nth in range(40):
            journal.write(group(nth, 3 * PAGE if nth == 20 else 0))
    return path.read_bytes(), read(path)


def is_the_same_or_refused(folder: Path, data: bytes, meant: tuple[list[Entry], RunMetadata]) -> bool:
    """Return whether a journal with the bytes `data` reads as `meant`; False if it is refused with a JournalError."""
    path = folder / "damaged.sqlite"
    for beside in folder.glob("damaged.sqlite-*"):
        beside.unlink()
    path.write_bytes(data)
    try:
        found = read(path)
    except JournalError as error:
        said = str(error)
    else:
        assert found == meant
        return True
    assert str(path) in said
    assert "--traffic-resume no" in said
    return False


def test_a_journal_without_its_last_pages_is_refused(folder, whole):
    data, meant = whole
    assert is_the_same_or_refused(folder, data, meant)
    for size in range(0, len(data), PAGE):
        assert not is_the_same_or_refused(folder, data[:size], meant), f"{size} of {len(data)} bytes"


def test_a_page_of_zeros_is_noticed(folder, whole):
    """A disk confirmed a page that it did not write."""
    data, meant = whole
    for at in range(0, len(data), PAGE):
        assert not is_the_same_or_refused(folder, data[:at] + bytes(PAGE) + data[at + PAGE :], meant), f"page at {at}"


@given(share=st.floats(0, 1, exclude_max=True))
def test_a_journal_that_ends_anywhere_is_refused(folder, whole, share):
    data, meant = whole
    assert not is_the_same_or_refused(folder, data[: int(share * len(data))], meant)


@given(share=st.floats(0, 1, exclude_max=True), bits=st.integers(1, 255))
@settings(max_examples=200)
def test_a_letter_that_changed_is_noticed(folder, whole, share, bits):
    data, meant = bytearray(whole[0]), whole[1]
    places = [at for text in re.finditer(rb'\{"[ -~]{20,}\}', whole[0]) for at in range(*text.span())]
    data[places[int(share * len(places))]] ^= bits
    assert not is_the_same_or_refused(folder, bytes(data), meant)


@given(flips=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=3))
@settings(max_examples=500)
def test_a_byte_that_changed_is_noticed_or_makes_no_difference(folder, whole, flips):
    data, meant = bytearray(whole[0]), whole[1]
    for share, bits in flips:
        data[int(share * len(data))] ^= bits
    is_the_same_or_refused(folder, bytes(data), meant)
