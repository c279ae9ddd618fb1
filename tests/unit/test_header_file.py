"""Headers that are secrets: read from a file again and again, and never said."""

import logging

import pytest

from traffic.core.outcome import AtLeastOnce, Outcome, judged
from traffic.settings.request_options import RequestOptions
from traffic.users.header_file import EVERY_S, HeaderFile, HeaderFileError
from traffic.users.option_headers import OptionHeaders


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def write(path, text):
    path.write_text(text)
    return path


def test_it_is_read_again_when_it_has_changed(tmp_path, clock):
    path = write(tmp_path / "headers", "Authorization: Bearer one\n")
    file = HeaderFile(path, clock)
    assert (file.fields, file.version) == ((("Authorization", "Bearer one"),), 0)
    write(path, "Authorization: Bearer two\nX-A: b\n")
    file.refresh()
    assert file.version == 0, "it is looked at once a second"
    clock.now += EVERY_S
    file.refresh()
    assert (file.fields[0][1], file.version) == ("Bearer two", 1)
    clock.now += EVERY_S
    file.refresh()
    assert file.version == 1


def test_a_file_that_is_half_written_or_gone_changes_nothing_and_is_told_once_without_its_values(
    tmp_path, clock, caplog
):
    path = write(tmp_path / "headers", "Authorization: Bearer s3cret\n")
    file = HeaderFile(path, clock)
    write(path, "Authorization: Bearer s3cret-too\0")
    for _ in range(2):
        file.refresh(now=True)
    path.unlink()
    file.refresh(now=True)
    assert (file.fields, file.version) == ((("Authorization", "Bearer s3cret"),), 0)
    said = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert len(said) == 2
    assert "holds NUL" in said[0]
    assert "cannot be read (No such file or directory)" in said[1]
    write(path, "Authorization: Bearer next-one\n")
    file.refresh(now=True)
    assert file.version == 1
    assert not any(word in caplog.text for word in ("s3cret", "next-one"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (None, "cannot be read (No such file or directory)"),
        ("", "has no header: write one on each line, Name: value"),
        ("s3cret", "cannot be used: line 1 is no header"),
        ("A: " + "x" * 70_000, "is longer than 64 KiB"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_without_its_values(tmp_path, clock, text, what):
    path = tmp_path / "headers"
    if text is not None:
        write(path, text)
    with pytest.raises(HeaderFileError) as caught:
        HeaderFile(path, clock)
    assert what in str(caught.value)
    assert str(path) in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_after_a_401_the_run_waits_longer_and_longer_until_the_file_is_replaced(tmp_path, clock):
    path = write(tmp_path / "headers", "Authorization: Bearer one\n")
    told = OptionHeaders(RequestOptions(headers=(("X-A", "b"), ("authorization", "plain")), header_file=path), clock)
    assert told.fields == [("X-A", "b"), ("Authorization", "Bearer one")], "the file's take the place of others"
    waits = [told.refused().retry_after for _ in range(6)]
    assert waits == [2, 4, 8, 16, 16, 16]
    write(path, "Authorization: Bearer two\n")
    answer = told.refused()
    assert (answer.retry_after, told.version) == (0.0, 1), "it is tried at once with what is new"
    assert judged(AtLeastOnce(), answer)[1] is Outcome.RETRY
    assert (answer.asks_to_wait, answer.is_no_attempt) == (True, True)
    assert told.refused().retry_after == 2
