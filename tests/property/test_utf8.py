"""What is UTF-8 is what Python's decoder takes for it, in blocks of any size and with a fault anywhere."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from traffic.dataset.utf8 import is_utf8, not_utf8

blocks = st.sampled_from([4, 5, 7, 64, 1 << 17])
# The bytes at the edges of what each place of a character may hold.
EDGES = b"\x00\x7f\x80\x8f\x90\x9f\xa0\xbf\xc0\xc1\xc2\xdf\xe0\xe1\xec\xed\xee\xef\xf0\xf1\xf3\xf4\xf5\xff"
edges = st.lists(st.sampled_from(EDGES), max_size=6).map(bytes)
texts = st.text(max_size=20).map(str.encode)
LONG = "a ñ 漢 😀 ".encode() * 1000


def decodes(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


@given(st.lists(texts | edges | st.binary(max_size=4), max_size=8).map(b"".join), blocks)
@example(b"\xf0\x9f\x98\x80"[:3], 4)
@example(b"aaa\xf0\x9f\x98\x80", 4)
def test_it_is_utf8_if_the_decoder_takes_it(data, block):
    assert is_utf8(data, block) == decodes(data)


@given(texts.filter(bool), edges, st.integers(0, 40), blocks)
def test_a_byte_put_anywhere_is_judged_as_the_decoder_does(text, put, at, block):
    data = text[:at] + put + text[at:]
    assert is_utf8(data, block) == decodes(data)


def test_every_pair_of_bytes_is_judged_as_the_decoder_does():
    for first in range(0xC0, 0x100):
        for second in range(0x100):
            for tail in (b"", b"\x80", b"\x80\x80"):
                data = bytes((first, second)) + tail
                assert is_utf8(data) == decodes(data), data


@given(st.sampled_from([bytes((byte,)) for byte in EDGES]), st.integers(0, len(LONG)), st.booleans())
def test_in_what_is_long_the_first_fault_has_the_decoders_place_and_words(put, at, final):
    data = LONG[:at] + put + LONG[at:]
    found = not_utf8(data, final=True)
    if decodes(data):
        assert found is None
        assert not_utf8(data, final=final) is None
    else:
        with pytest.raises(UnicodeDecodeError) as raised:
            data.decode()
        assert found is not None
        assert (found.start, found.reason) == (raised.value.start, raised.value.reason)


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_last_character_that_is_cut_is_a_fault_only_at_the_end(cut):
    data = LONG + "😀".encode()[:-cut]
    assert not_utf8(data, final=False) is None
    assert not_utf8(data, final=True) is not None
