"""The fast path: let msgspec read many records at once. docs/adr/0005 has what was measured."""

import msgspec

_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


def element_lengths(text: bytes) -> list[int] | None:
    """Return the lengths in bytes of an array's elements; None if msgspec does not accept the text as an array.

    It refuses what RFC 8259 does, and lone surrogates, which the RFC allows; it does not check that strings are UTF-8.
    """
    try:
        return list(map(len, _DECODER.decode(text)))
    except (msgspec.DecodeError, RecursionError):
        return None
