"""The quick opinion of msgspec on many records at once; docs/adr/0005 has what was measured."""

import msgspec

_DECODER = msgspec.json.Decoder(list[msgspec.Raw])


def lengths(text: bytes) -> list[int] | None:
    """The lengths in bytes of an array's elements, None where msgspec does not take the text for an array.

    It refuses what RFC 8259 does, and lone surrogates, which the RFC lets pass; it does not look whether strings are
    UTF-8.
    """
    try:
        return list(map(len, _DECODER.decode(text)))
    except (msgspec.DecodeError, RecursionError):
        return None
