"""Segments: pieces of raw deflate that can be cut, reordered and joined as bytes, and the gzip member around them.

A segment comes from a fresh compressor and ends in a full flush, so it is byte-aligned and refers to nothing
before it (RFC 1951 3.2.4, zlib's Z_FULL_FLUSH). Their CRC-32 combine. docs/format.md says how they make a file.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from isal import isal_zlib
from zlib_ng import zlib_ng

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

GZIP_HEADER: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""RFC 1952 2.3: deflate, no flags, no time, no hint, operating system unknown: the same for every file."""

LAST_BLOCK: Final = b"\x03\x00"
"""An empty deflate block with fixed codes, marked as the last (RFC 1951 3.2.6)."""

TRAILER_BYTES: Final = len(LAST_BLOCK) + 8

FLUSH_MARK: Final = b"\x00\x00\xff\xff"
"""How a full flush ends: an empty stored block (RFC 1951 3.2.4)."""

InflateError = cast("type[Exception]", isal_zlib.error)
"""What the decompressor raises; the binding's stub does not say that it is an exception."""

_RAW_DEFLATE = -15
_MOST_MEMORY = 9
"""zlib's memLevel: longer blocks, so fewer code tables. As fast or faster, and 0.1% smaller."""

INFLATE_PIECE_BYTES: Final = 1024 * 1024
"""At most this much is inflated at once."""

COMPRESS_PIECE_BYTES: Final = 1024 * 1024
"""A compressor gets its input in pieces of just this size: what ISA-L and zlib-ng below level 9 give depends on how
their input is cut, and how a download is cut is chance."""


class DamagedSegmentError(ValueError):
    """A segment's bytes are not what its record says."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A compressor: its name and level, as the ledger names it."""

    name: str
    level: int

    @property
    def label(self) -> str:
        """`zlib-ng-6`."""
        return f"{self.name}-{self.level}"

    def compressor(self) -> Any:
        """A fresh raw deflate compressor."""
        if self.name == "isal":
            return isal_zlib.compressobj(self.level, 8, _RAW_DEFLATE)
        return zlib_ng.compressobj(self.level, zlib_ng.DEFLATED, _RAW_DEFLATE, _MOST_MEMORY)


CODECS: Final[dict[Literal["default", "fast", "small"], Codec]] = {
    "default": Codec("zlib-ng", 7),
    "fast": Codec("isal", 2),
    "small": Codec("zlib-ng", 8),
}
"""What the setting `compression` stands for. Of zlib-ng's levels on CSV, 8 gives the smallest output: 9 searches in
another way, and is slower and larger on all that was tried."""


def crc32(data: bytes, value: int = 0) -> int:
    """CRC-32 of RFC 1952 of `data`, carried on from `value`."""
    return isal_zlib.crc32(data, value)


def combine_crc32(crcs: Iterable[tuple[int, int]]) -> int:
    """CRC-32 of the whole from (CRC-32, bytes) of its pieces in order."""
    total = 0
    for value, size in crcs:
        total = isal_zlib.crc32_combine(total, value, size)
    return total


class SegmentEncoder:
    """Compresses one segment, piece by piece.

    Attributes:
        crc: CRC-32 of what was fed.
        raw_length: Bytes fed.
    """

    def __init__(self, codec: Codec) -> None:
        """Start an empty segment."""
        self.crc = 0
        self.raw_length = 0
        self._compressor = codec.compressor()
        self._waiting = bytearray()

    def feed(self, data: bytes) -> bytes:
        """Compressed bytes that are ready, maybe none."""
        self.crc = crc32(data, self.crc)
        self.raw_length += len(data)
        view = memoryview(data)  # what is not cut is not copied
        ready: list[bytes] = []
        while len(self._waiting) + len(view) >= COMPRESS_PIECE_BYTES:
            missing = COMPRESS_PIECE_BYTES - len(self._waiting)
            piece, view = view[:missing], view[missing:]
            if self._waiting:
                self._waiting += piece
                ready.append(self._compressor.compress(self._waiting))
                self._waiting.clear()
            else:
                ready.append(self._compressor.compress(piece))
        self._waiting += view
        return b"".join(ready)

    def finish(self) -> bytes:
        """The rest, up to the full flush."""
        ready: bytes = self._compressor.compress(self._waiting) if self._waiting else b""
        self._waiting.clear()
        rest: bytes = self._compressor.flush(zlib_ng.Z_FULL_FLUSH)
        return ready + rest


def inflated(member: Any, data: bytes) -> Iterator[bytes]:
    """All that decompressor `member` can give once it has `data`, in pieces of bounded size.

    A decompressor may hold output back after it took its last input; it is asked until it gives no more.
    """
    while True:
        piece: bytes = member.decompress(data, INFLATE_PIECE_BYTES)
        if piece:
            yield piece
        data = member.unconsumed_tail
        if member.eof or not (piece or data):
            return


def inflate(chunks: Iterable[bytes], *, raw_length: int, crc: int) -> Iterator[bytes]:
    """The plain bytes of one segment; the last piece comes only when the whole was found right.

    Args:
        chunks: The segment's compressed bytes.
        raw_length: How many plain bytes it must give; more is never inflated.
        crc: Their CRC-32.

    Raises:
        DamagedSegmentError: It gives something else, or more, or less.
    """
    member = isal_zlib.decompressobj(_RAW_DEFLATE)
    found, found_crc = 0, 0
    held = b""
    try:
        for chunk in chunks:
            for piece in inflated(member, chunk):
                if held:
                    yield held
                found += len(piece)
                found_crc = crc32(piece, found_crc)
                held = piece
                if found > raw_length:
                    break
            if found > raw_length or member.eof:
                break
    except InflateError as error:
        msg = f"not deflate after {found} bytes: {error}"
        raise DamagedSegmentError(msg) from error
    if member.eof or found != raw_length or found_crc != crc:
        msg = f"it gives {found} bytes with CRC-32 {found_crc:08x}, its record says {raw_length} and {crc:08x}"
        raise DamagedSegmentError(msg)
    if held:
        yield held


def trailer(crc: int, raw_length: int) -> bytes:
    """What ends the data member: the last block, CRC-32 and ISIZE of everything in it (RFC 1952 2.3.1)."""
    return LAST_BLOCK + struct.pack("<II", crc, raw_length & 0xFFFFFFFF)
