"""Decompress gzip and zstd, piece by piece, and without more memory than a piece and a window take."""

import zlib
from collections.abc import Iterator
from typing import Any

from traffic.zstd import zstd

PIECE = 1 << 20
# What a damaged file raises.
ERRORS = (zlib.error, zstd.ZstdError)
# A member or a frame begins with a small piece, since what lies behind its end is copied.
_FIRST_PIECE = 1 << 12
_GZIP_WINDOW = 16 + zlib.MAX_WBITS


def gunzip(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the content of a gzip file (RFC 1952), member by member; zeros behind the last are padding.

    zlib.error if it is damaged, EOFError if it ends too early.
    """
    stream: Any = None
    step = _FIRST_PIECE
    for given in pieces:
        at = 0
        while at < len(given):
            piece = given[at : at + step]
            if stream is None:
                padding = len(piece) - len(piece.lstrip(b"\0"))
                at += padding
                stream = zlib.decompressobj(_GZIP_WINDOW) if padding < len(piece) else None
                continue
            yield from _inflate(stream, piece)
            at += len(piece) - len(stream.unused_data)
            stream, step = (None, _FIRST_PIECE) if stream.eof else (stream, min(2 * step, PIECE))
    if stream is not None:
        raise EOFError


def _inflate(stream: Any, piece: bytes) -> Iterator[bytes]:
    while True:
        made = stream.decompress(piece, PIECE)
        if made:
            yield made
        piece = stream.unconsumed_tail
        if stream.eof or (not piece and len(made) < PIECE):
            return


def unzstd(pieces: Iterator[bytes], window_log: int) -> Iterator[bytes]:
    """Yield the content of a zstd file (RFC 8878), frame by frame; zstd.ZstdError and EOFError as for `gunzip`.

    A frame may need a window of up to 2^`window_log` bytes.
    """
    stream: Any = None
    step = _FIRST_PIECE
    for given in pieces:
        at = 0
        while at < len(given):
            piece = given[at : at + step]
            stream = stream or zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: window_log})
            at += len(piece)
            while True:
                made = stream.decompress(piece, PIECE)
                if made:
                    yield made
                piece = b""
                if stream.eof or stream.needs_input:
                    break
            step = min(2 * step, PIECE)
            if stream.eof:
                at -= len(stream.unused_data)
                stream, step = None, _FIRST_PIECE
    if stream is not None:
        raise EOFError
