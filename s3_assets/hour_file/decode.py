"""A source object's stored bytes to plain CSV bytes: gzip by its magic, byte order marks, what can't be CSV.

RFC 1952 for gzip: several members are one after another, zero padding after a member is skipped.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from isal import isal_zlib

from s3_assets.hour_file.segments import InflateError, inflated

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BOMB_RATIO = 200
BOMB_FLOOR_BYTES = 64 * 1024 * 1024
"""A gzip that gives more than this, and more than `BOMB_RATIO` times what was read, is a decompression bomb."""

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_UTF8_BOM = b"\xef\xbb\xbf"
_WIDE_BOMS = (b"\xff\xfe", b"\xfe\xff")
_LOOK_BYTES = 1024
_SLICE_BYTES = 64 * 1024


class UndecodableError(ValueError):
    """The bytes are not CSV in any form that is taken; the message says why.

    Attributes:
        reason: Short name of the kind.
    """

    def __init__(self, reason: str, detail: str) -> None:
        """Keep the kind apart from the sentence."""
        self.reason = reason
        super().__init__(detail)


def plain_csv(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The CSV bytes in a source object's stored bytes, without byte order marks.

    Raises:
        UndecodableError: A damaged gzip, a decompression bomb, UTF-16 or other bytes that are no text.
    """
    return _text(_plain(_at_least(chunks, len(_GZIP_MAGIC))))


def most_plain_bytes(stored: bytes) -> int:
    """How many plain bytes a source's stored bytes give at most."""
    return _most_inflated(len(stored)) if stored.startswith(_GZIP_MAGIC) else len(stored)


def _most_inflated(size: int) -> int:
    return max(BOMB_FLOOR_BYTES, BOMB_RATIO * size)


def _at_least(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The same bytes, the first piece of at least `size` if there are so many."""
    head = b""
    iterator = iter(chunks)
    for chunk in iterator:
        head += chunk
        if len(head) >= size:
            break
    if head:
        yield head
    yield from iterator


def _plain(chunks: Iterator[bytes]) -> Iterator[bytes]:
    first = next(chunks, b"")
    if first.startswith(_GZIP_MAGIC):
        slices = _slices(chain([first], chunks))
        yield from _gunzip(next(slices), slices)
    else:
        yield first
        yield from chunks


def _slices(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes in small pieces: what is left after each of many tiny members is copied."""
    for chunk in chunks:
        for start in range(0, len(chunk), _SLICE_BYTES):
            yield chunk[start : start + _SLICE_BYTES]


def _gunzip(first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    taken, given = len(first), 0
    member = isal_zlib.decompressobj(_GZIP_WINDOW)
    data = first
    while True:
        while data:
            if member.eof:
                data = data.lstrip(b"\0")
                if not data:
                    break
                if not data.startswith(_GZIP_MAGIC[: len(data)]):
                    detail = f"{len(data)} bytes after the gzip's end that are no gzip"
                    raise UndecodableError("damaged gzip", detail)
                member = isal_zlib.decompressobj(_GZIP_WINDOW)
            try:
                for piece in inflated(member, data):
                    given += len(piece)
                    if given > _most_inflated(taken):
                        detail = f"{taken} bytes of gzip give more than {given} bytes: a decompression bomb"
                        raise UndecodableError("decompression bomb", detail)
                    yield piece
            except InflateError as error:
                detail = f"damaged gzip after {given} plain bytes: {error}"
                raise UndecodableError("damaged gzip", detail) from error
            data = member.unused_data if member.eof else b""
        chunk = next(chunks, None)
        if chunk is None:
            break
        taken += len(chunk)
        data += chunk
    if not member.eof:
        detail = f"the gzip ends in the middle, after {given} plain bytes"
        raise UndecodableError("damaged gzip", detail)


def _text(chunks: Iterator[bytes]) -> Iterator[bytes]:
    pieces = _at_least(chunks, _LOOK_BYTES)
    first = next(pieces, b"")
    if first.startswith(_WIDE_BOMS):
        raise UndecodableError("UTF-16", "a UTF-16 byte order mark: only ASCII-compatible encodings are taken")
    if b"\0" in first[:_LOOK_BYTES]:
        raise UndecodableError("not text", "NUL bytes at the start: UTF-16 without a mark, or no text at all")
    while first.startswith(_UTF8_BOM):  # some tools write one before one that is there
        first = first.removeprefix(_UTF8_BOM)
    yield first
    yield from pieces
