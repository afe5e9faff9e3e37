"""The ledger: which source objects an hour file holds, and where; and its bytes at the file's end.

The byte format is specified in docs/format.md, which this module follows; a test decodes the document's example.
A ledger comes from storage, so nothing in it is believed before it is checked: lengths, order, sums, the digest.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, cast

from zlib_ng import zlib_ng

from s3_assets.errors import (
    DamagedTargetError,
    ForeignTargetError,
    NewerFormatError,
    S3AssetsError,
    quoted,
    shortened,
)
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.segments import GZIP_HEADER, LAST_BLOCK, TRAILER_BYTES, combine_crc32, crc32, trailer
from s3_assets.hour_file.sources import fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT_VERSION: Final = 1
MAGIC: Final = b"s3assets"
PIECE_BYTES: Final = 16 * 1024 - 32
"""Ledger bytes in one member: with its frames, FEXTRA stays within 16 KiB, which every reader takes."""

MAX_LEDGER_BYTES: Final = 64 * 1024 * 1024
"""More than this, inflated, is no ledger of ours: about half a million sources in one hour. Parsing it takes up to 20
times as much memory where somebody means harm."""

_MEMBER_HEADER = b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff"  # RFC 1952 2.3, FLG.FEXTRA
_MEMBER_END = LAST_BLOCK + b"\x00" * 8  # an empty deflate stream, CRC-32 0, ISIZE 0
_EXTRA = struct.Struct("<H2sH")  # XLEN, then one subfield's id and length (RFC 1952 2.3.1.1)
_PIECE_ID, _FOOTER_ID = b"S3", b"SF"
_FOOTER = struct.Struct("<8sHHIQQQ32sI")  # see docs/format.md, 'The footer'
_FRAME_BYTES = len(_MEMBER_HEADER) + _EXTRA.size + len(_MEMBER_END)
FOOTER_BYTES: Final = _FRAME_BYTES + _FOOTER.size
"""The footer member: the last bytes of every hour file."""


class LedgerTooLargeError(S3AssetsError):
    """An hour has so many sources that no reader would take its ledger: nothing was written."""

    hint = "let producers write fewer, larger objects, or split the event"

    def __init__(self, event: str, hour: str, sources: int) -> None:
        """Name the hour, and how many `sources` it has."""
        whose = f"the {sources:,} sources of {shortened(event)} {hour}"
        super().__init__(f"{whose} need a ledger of over {MAX_LEDGER_BYTES} bytes")


@dataclass(frozen=True, slots=True)
class Held:
    """One source object in an hour file.

    Attributes:
        key: Relative to the source prefix.
        etag: Opaque.
        size: Bytes as stored at the source.
        version_id: Of the GET that read it, where versioning is on.
        rows: Its rows.
        raw_length: Bytes of its rows as they stand in the hour file.
        header: Index of its own header row in `Ledger.headers`; None where it has none.
    """

    key: str
    etag: str
    size: int
    version_id: str | None
    rows: int
    raw_length: int
    header: int | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of an hour file.

    Attributes:
        offset: Of its first byte in the file.
        length: Compressed bytes.
        stored_crc: CRC-32 of the compressed bytes.
        raw_length: Plain bytes.
        crc: CRC-32 of the plain bytes.
        sources: Whose rows it holds, in order; empty for the segment of the header row.
    """

    offset: int
    length: int
    stored_crc: int
    raw_length: int
    crc: int
    sources: tuple[Held, ...]

    @property
    def stop(self) -> int:
        """One past its last byte."""
        return self.offset + self.length

    @property
    def rows(self) -> int:
        """Rows of its sources."""
        return sum(source.rows for source in self.sources)


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A source object that was seen and judged unusable.

    Attributes:
        key: Relative to the source prefix.
        etag: Opaque.
        size: Bytes.
        reason: Short name of the kind, such as `unclosed quote`.
        detail: What was found, in a sentence.
        rows: Its rows, where they could be counted.
        alone: Whether the reason lies in its bytes alone; otherwise it depends on the hour's other sources.
    """

    key: str
    etag: str
    size: int
    reason: str
    detail: str
    rows: int | None
    alone: bool


@dataclass(frozen=True)
class Ledger:
    """What an hour file says of itself.

    Attributes:
        event: Whose hour it is, and
        hour: which (`YYYY-MM-DD-HH:00`).
        header: The hour's header row, with its line end; None where it has none.
        headers: The distinct own header rows of the sources.
        segments: In the order of the file; the first holds the header row, if there is one.
        quarantined: In key order.
        settings: What shaped the rows and the bytes, by name.
        content_token: `EventPolicy.content_token()` of the build.
    """

    event: str
    hour: str
    header: bytes | None
    headers: tuple[bytes, ...]
    segments: tuple[Segment, ...]
    quarantined: tuple[Quarantined, ...]
    settings: dict[str, str] = field(default_factory=dict)
    content_token: str = ""

    @cached_property
    def held(self) -> tuple[Held, ...]:
        """All sources whose rows are in the file, in key order."""
        return tuple(source for segment in self.segments for source in segment.sources)

    @cached_property
    def fingerprint(self) -> str:
        """Of all sources that the file knows, held and quarantined."""
        known = [(s.key, s.etag, s.size) for s in self.held] + [(s.key, s.etag, s.size) for s in self.quarantined]
        return fingerprint(known, self.content_token)

    @property
    def rows(self) -> int:
        """Rows in the file, the header not counted."""
        return sum(source.rows for source in self.held)

    @property
    def raw_length(self) -> int:
        """Plain bytes in the file."""
        return sum(segment.raw_length for segment in self.segments)

    @property
    def data_length(self) -> int:
        """Bytes of the first gzip member, which is where the ledger begins."""
        return self._segments_stop + TRAILER_BYTES

    @property
    def _segments_stop(self) -> int:
        return self.segments[-1].stop if self.segments else len(GZIP_HEADER)

    def trailer(self) -> bytes:
        """The end of the data member."""
        return trailer(combine_crc32((s.crc, s.raw_length) for s in self.segments), self.raw_length)


# --- writing -----------------------------------------------------------------------------------------------


def _member(subfield: bytes, payload: bytes) -> bytes:
    frame = _EXTRA.pack(len(payload) + 4, subfield, len(payload))
    return _MEMBER_HEADER + frame + payload + _MEMBER_END


def encode(ledger: Ledger) -> bytes:
    """The ledger's members and the footer member, as they follow the data member.

    Raises:
        LedgerTooLargeError: It would be larger than a reader takes.
    """
    text = json.dumps(_to_json(ledger), ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()
    if len(text) > MAX_LEDGER_BYTES:
        raise LedgerTooLargeError(ledger.event, ledger.hour, len(ledger.held))
    compressor = zlib_ng.compressobj(6, zlib_ng.DEFLATED, -15)
    packed = compressor.compress(text) + compressor.flush()
    pieces = [packed[start : start + PIECE_BYTES] for start in range(0, len(packed), PIECE_BYTES)]
    fields = _FOOTER.pack(
        MAGIC,
        FORMAT_VERSION,
        0,
        len(pieces),
        ledger.data_length,
        len(packed),
        len(text),
        hashlib.sha256(packed).digest(),
        0,
    )[:-4]
    footer = _member(_FOOTER_ID, fields + struct.pack("<I", crc32(fields)))
    return b"".join(_member(_PIECE_ID, piece) for piece in pieces) + footer


def _to_json(ledger: Ledger) -> dict[str, Any]:
    return {
        "event": ledger.event,
        "hour": ledger.hour,
        "header": _text(ledger.header),
        "headers": [_text(header) for header in ledger.headers],
        "settings": ledger.settings,
        "content": ledger.content_token,
        "fingerprint": ledger.fingerprint,
        "segments": [
            [s.offset, s.length, s.stored_crc, s.raw_length, s.crc, [_held_to_json(h) for h in s.sources]]
            for s in ledger.segments
        ],
        "quarantined": [[q.key, q.etag, q.size, q.reason, q.detail, q.rows, q.alone] for q in ledger.quarantined],
    }


def _held_to_json(held: Held) -> list[Any]:
    return [held.key, held.etag, held.size, held.version_id, held.rows, held.raw_length, held.header]


def _text(data: bytes | None) -> str | None:
    """Bytes as text, each byte the code point of its number: header rows may have any encoding."""
    return None if data is None else data.decode("latin-1")


# --- reading -----------------------------------------------------------------------------------------------


_InflateError = cast("type[Exception]", zlib_ng.error)


@dataclass(frozen=True, slots=True)
class Footer:
    """The file's last member: where the ledger is.

    Attributes:
        pieces: Number of ledger members.
        data_length: Bytes of the data member: where the first ledger member begins.
        packed_length: Bytes of the ledger, deflated.
        text_length: Bytes of the ledger, inflated.
        digest: SHA-256 of the deflated ledger.
    """

    pieces: int
    data_length: int
    packed_length: int
    text_length: int
    digest: bytes

    @property
    def ledger_length(self) -> int:
        """Bytes of all ledger members, without the footer's."""
        return self.packed_length + self.pieces * _FRAME_BYTES

    @property
    def reading_start(self) -> int:
        """From where to read to have the ledger and the data member's trailer."""
        return self.data_length - TRAILER_BYTES


def read_footer(key: str, tail: bytes, size: int) -> Footer:
    """The footer in a file's last bytes.

    Args:
        key: Of the target, for messages.
        tail: The last bytes of the file, `FOOTER_BYTES` of them or more, or all of it.
        size: Of the whole file.

    Raises:
        ForeignTargetError: There is none: the file is someone else's, or was cut.
        DamagedTargetError: It is there, but not whole, or can't be true.
    """
    member = tail[-FOOTER_BYTES:]
    start = len(_MEMBER_HEADER) + _EXTRA.size
    if len(member) < FOOTER_BYTES or member[start : start + len(MAGIC)] != MAGIC:
        raise ForeignTargetError(key, "there is no ledger at its end: s3_assets did not write it, or it was cut")
    fields = member[start : start + _FOOTER.size]
    _, version, flags, pieces, data_length, packed_length, text_length, digest, check = _FOOTER.unpack(fields)
    if check != crc32(fields[:-4]) or member != _member(_FOOTER_ID, fields):
        raise DamagedTargetError(key, "its footer is damaged")
    if version != FORMAT_VERSION or flags:
        detail = f"its format is version {version}, flags {flags}; this s3_assets reads version {FORMAT_VERSION}"
        raise NewerFormatError(key, detail)
    footer = Footer(pieces, data_length, packed_length, text_length, digest)
    if (
        data_length + footer.ledger_length + FOOTER_BYTES != size
        or data_length < len(GZIP_HEADER) + TRAILER_BYTES
        or pieces != -(-packed_length // PIECE_BYTES)
        or text_length > MAX_LEDGER_BYTES
        or packed_length > text_length + text_length // 1000 + 64  # deflate never adds more
    ):
        raise DamagedTargetError(key, f"its footer's lengths don't add up to the file's {size} bytes")
    return footer


def read_ledger(key: str, footer: Footer, data: bytes) -> Ledger:
    """The ledger, checked.

    Args:
        key: Of the target, for messages.
        footer: Of the same file.
        data: The file from `footer.reading_start` to its end.

    Raises:
        DamagedTargetError: It is not whole, or does not agree with itself or with the data member's end.
    """
    packed = b"".join(_pieces(key, footer, data[TRAILER_BYTES:]))
    if hashlib.sha256(packed).digest() != footer.digest:
        raise DamagedTargetError(key, "its ledger does not have the digest that its footer names")
    ledger = _parsed(footer, packed, data[:TRAILER_BYTES])
    if isinstance(ledger, str):
        raise DamagedTargetError(key, ledger)
    return ledger


def _parsed(footer: Footer, packed: bytes, end: bytes) -> Ledger | str:
    """The ledger, or why there is none to trust.

    It returns where others would raise: an error holds on to the frames that it came through, which hold the text and
    all that was parsed of it, and is kept for as long as its hour is.
    """
    try:
        member = zlib_ng.decompressobj(-15)
        text = member.decompress(packed, footer.text_length + 1)
        if len(text) != footer.text_length or not member.eof:
            return "its ledger has another length than its footer says"
        value = json.loads(text)
        ledger = _of_json(value)
        problem = _disagreement(ledger, footer, value["fingerprint"])
        if problem is None and end != ledger.trailer():
            problem = "the data's CRC-32 or size is not the ledger's"
    except KeyError as error:
        return f"its ledger can't be read: it has no {quoted(error.args[0])}"
    except RecursionError:
        return "its ledger can't be read: it is nested too deeply"
    except (_InflateError, ValueError, TypeError, AttributeError, OverflowError) as error:
        return f"its ledger can't be read: {shortened(str(error))}"
    return ledger if problem is None else f"its ledger does not add up: {problem}"


def _pieces(key: str, footer: Footer, data: bytes) -> Iterator[bytes]:
    position, left = 0, footer.packed_length
    for _ in range(footer.pieces):
        size = min(left, PIECE_BYTES)
        start = position + len(_MEMBER_HEADER) + _EXTRA.size
        piece = data[start : start + size]
        if data[position : position + size + _FRAME_BYTES] != _member(_PIECE_ID, piece):
            raise DamagedTargetError(key, "a ledger member is damaged")
        yield piece
        position += size + _FRAME_BYTES
        left -= size


def _of_json(value: dict[str, Any]) -> Ledger:
    headers = tuple(_bytes(text) for text in value["headers"])
    return Ledger(
        event=_str(value["event"]),
        hour=_str(value["hour"]),
        header=None if value["header"] is None else _bytes(value["header"]),
        headers=headers,
        segments=tuple(
            Segment(
                _count(offset),
                _count(length),
                _count(stored_crc),
                _count(raw_length),
                _count(crc),
                tuple(_held_of_json(row, len(headers)) for row in sources),
            )
            for offset, length, stored_crc, raw_length, crc, sources in value["segments"]
        ),
        quarantined=tuple(
            Quarantined(
                _str(key),
                _str(etag),
                _count(size),
                _str(reason),
                _str(detail),
                None if rows is None else _count(rows),
                bool(alone),
            )
            for key, etag, size, reason, detail, rows, alone in value["quarantined"]
        ),
        settings={_str(name): _str(text) for name, text in value["settings"].items()},
        content_token=_str(value["content"]),
    )


def _held_of_json(row: list[Any], headers: int) -> Held:
    key, etag, size, version_id, rows, raw_length, header = row
    if header is not None and _count(header) >= headers:
        msg = f"a source names header {header} of {headers}"
        raise ValueError(msg)
    return Held(
        _str(key),
        _str(etag),
        _count(size),
        None if version_id is None else _str(version_id),
        _count(rows),
        _count(raw_length),
        header,
    )


def _disagreement(  # noqa: PLR0911  (a list of checks, one return each)
    ledger: Ledger, footer: Footer, digest: object
) -> str | None:
    """What in the ledger contradicts itself or the footer; None where nothing does."""
    if ledger.data_length != footer.data_length:
        return "its segments end elsewhere than the data"
    if any(segment.offset != stop for segment, stop in zip(ledger.segments, _stops(ledger), strict=False)):
        return "its segments don't follow one another"
    for position, segment in enumerate(ledger.segments):
        is_header = position == 0 and ledger.header is not None
        held = len(ledger.header or b"") if is_header else sum(source.raw_length for source in segment.sources)
        if segment.raw_length != held or is_header == bool(segment.sources) or segment.length <= 0:
            return f"segment {position} does not hold what its sources say"
    if ledger.header is not None and (not ledger.segments or ledger.segments[0].crc != crc32(ledger.header)):
        return "its first segment is not the header row"
    if any(not min(s.raw_length, 1) <= s.rows <= s.raw_length for s in ledger.held):
        return "a source has rows without bytes, or bytes without rows"
    keys = [order_key(source.key) for source in ledger.held]
    if any(before >= after for before, after in pairwise(keys)):
        return "its sources are out of order"
    if len({*(s.key for s in ledger.held), *(s.key for s in ledger.quarantined)}) != len(ledger.held) + len(
        ledger.quarantined
    ):
        return "a source is named twice"
    return None if digest == ledger.fingerprint else "its fingerprint is not that of its sources"


def _stops(ledger: Ledger) -> Iterable[int]:
    yield len(GZIP_HEADER)
    for segment in ledger.segments:
        yield segment.stop


def _str(value: object) -> str:
    if not isinstance(value, str):
        msg = f"{quoted(value)} where a text belongs"
        raise TypeError(msg)
    return value


def _bytes(value: object) -> bytes:
    return _str(value).encode("latin-1")


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 1 << 63:
        msg = f"{quoted(value)} where a count belongs"
        raise TypeError(msg)
    return value
