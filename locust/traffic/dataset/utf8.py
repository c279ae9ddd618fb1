"""Checks whether bytes are UTF-8 (RFC 3629), and finds the first that are not.

Python's decoder makes a text, which takes longer than all other checks of a file in many scripts. So numpy checks the
bytes first, and Python's decoder is used only to find the place of a fault.
"""

import codecs
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
Flags = npt.NDArray[np.bool_]

# Shorter data is decoded at once; longer data is checked in blocks that stay in the processor's cache.
_SMALL, _BLOCK = 4096, 1 << 17
_LEAD_OF_2, _LEAD_OF_3, _LEAD_OF_4, _LAST_LEAD = 0xC0, 0xE0, 0xF0, 0xF4
_NO_LEADS = (0xC0, 0xC1)
_MOST_BEHIND_A_LEAD = 3
_CONTINUATION, _CONTINUATION_MASK = 0x80, 0xC0
# Continuation bytes, and no others, are below this as signed bytes.
_SIGNED_ABOVE_CONTINUATION = -64
# Bounds of the second byte after these leads: below is an overlong form, above a surrogate or beyond U+10FFFF.
_AT_LEAST = {0xE0: 0xA0, 0xF0: 0x90}
_AT_MOST = {0xED: 0x9F, 0xF4: 0x8F}


def not_utf8(data: bytes, *, final: bool) -> UnicodeDecodeError | None:
    """Return the first bytes of `data` that are not UTF-8. If it is not `final`, its last character may be cut."""
    if len(data) >= _SMALL and is_utf8(data):
        return None
    try:
        data.decode()
    except UnicodeDecodeError as error:
        if final:
            return error
    else:
        return None
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final)
    except UnicodeDecodeError as error:
        return error
    return None


def is_utf8(data: bytes, block: int = _BLOCK) -> bool:
    """Whether all of `data` is UTF-8, its last character complete. `block` bytes are checked at a time, 4 at least."""
    if data.isascii():
        return True
    seen = np.frombuffer(data, np.uint8)
    if any(lead in data for lead in _NO_LEADS) or seen.max() > _LAST_LEAD:
        return False
    due = np.empty(min(block, len(data)) + _MOST_BEHIND_A_LEAD, np.bool_)
    some = np.empty_like(due)
    special = [lead for lead in (*_AT_LEAST, *_AT_MOST) if lead in data]
    start = 0
    while start < len(data):
        stop = _boundary(data, start + block)
        if not _whole(seen[start:stop], due, some) or not _seconds(seen[start:stop], special, due, some):
            return False
        start = stop
    return True


def _boundary(data: bytes, at: int) -> int:
    """Return where a character begins, at `at` or close before; the end of `data` if that comes first."""
    if at >= len(data):
        return len(data)
    for back in range(_MOST_BEHIND_A_LEAD + 1):
        if data[at - back] & _CONTINUATION_MASK != _CONTINUATION:
            return at - back
    return at  # no character is that long: the next block begins with a byte that cannot begin one


def _whole(block: Bytes, due: Flags, some: Flags) -> bool:
    """Whether a continuation byte is wherever a lead requires one, also at the end, and nowhere else."""
    size = len(block)
    due, some = due[: size + _MOST_BEHIND_A_LEAD], some[: size + _MOST_BEHIND_A_LEAD]
    due[0] = False
    due[size:] = False
    np.greater_equal(block, _LEAD_OF_2, out=due[1 : size + 1])
    for behind, lead in ((2, _LEAD_OF_3), (3, _LEAD_OF_4)):
        due[behind : size + behind] |= np.greater_equal(block, lead, out=some[:size])
    np.less(block.view(np.int8), _SIGNED_ABOVE_CONTINUATION, out=some[:size])
    some[size:] = False
    return np.array_equal(due, some)


def _seconds(block: Bytes, special: list[int], found: Flags, bad: Flags) -> bool:
    """Whether the byte behind each lead that is `special` may be there."""
    leads, seconds = block[:-1], block[1:]
    found, bad = found[: len(leads)], bad[: len(leads)]
    for lead in special:
        np.equal(leads, lead, out=found)
        if lead in _AT_LEAST:
            np.less(seconds, _AT_LEAST[lead], out=bad)
        else:
            np.greater(seconds, _AT_MOST[lead], out=bad)
        if np.logical_and(found, bad, out=bad).any():
            return False
    return True
