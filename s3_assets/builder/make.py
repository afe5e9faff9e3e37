"""Makes one segment: reads its members' rows, lays them out, compresses them, and reads the result back.

Nothing is kept of a segment in which one member turns out to be unusable: it is made again without that one.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.builder.spool import Spool, Spooled
from s3_assets.errors import AccountingError, DamagedTargetError, NotFoundError, PreconditionFailedError
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.layout import Carried
from s3_assets.hour_file.ledger import Quarantined
from s3_assets.hour_file.rows import MAX_HELD_ROW_BYTES, RaggedRowError, RowScanner, RowTooLongError, lay_rows
from s3_assets.hour_file.segments import Codec, DamagedSegmentError, SegmentEncoder, crc32, inflate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.target import Readable
    from s3_assets.hour_file.layout import Make
    from s3_assets.hour_file.ledger import Segment
    from s3_assets.hour_file.sources import SourceObject
    from s3_assets.store.contract import Download

WHOLE_BYTES = 4 * 1024 * 1024
"""A source object up to this size is fetched whole, ahead of its turn; a larger one is streamed."""

_MAX_NEWLINE = 2
_ANY_LENGTH = 1 << 62  # rows that were taken once are taken again, also where laying out made them longer


class SourceChangedError(Exception):
    """A source object is not what the listing said: the hour must be listed again."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How rows must be laid out to stand under the hour's header.

    Attributes:
        width: Columns of the rows by their own header.
        columns: For each column of the hour, where it stands in the rows.
    """

    width: int
    columns: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Taken:
    """What was found in one member of a segment.

    Attributes:
        key: Of the source.
        header: Its own header row.
        rows: Rows it gave.
        raw_length: Plain bytes of them in the segment.
        version_id: Of the GET; None for carried rows.
    """

    key: str
    header: bytes | None
    rows: int
    raw_length: int
    version_id: str | None = None


@dataclass(slots=True)
class Made:
    """The result of making one segment.

    Attributes:
        taken: Per member, in order; those that turned out to be unusable are not in it.
        spooled: The finished segment; None where a member was unusable, so that it must be made again.
        unusable: Those members.
        ragged: Keys of carried members that can't be laid out.
    """

    taken: list[Taken] = field(default_factory=list)
    spooled: Spooled | None = None
    unusable: list[Quarantined] = field(default_factory=list)
    ragged: dict[str, str] = field(default_factory=dict)


class SegmentMaker:
    """Makes segments of one hour; one instance per attempt."""

    def __init__(
        self, pipeline: Pipeline, target: Readable | None, spool: Spool, codec: Codec, *, has_header: bool
    ) -> None:
        """Write finished segments to `spool`; carried rows come from `target`."""
        self._pipeline = pipeline
        self._target = target
        self._spool = spool
        self._codec = codec
        self._has_header = has_header

    def start(self, make: Make, fits: Mapping[str, Fit]) -> Future[Made]:
        """Begin to fetch its small sources and queue it for compression.

        The future raises SourceChangedError, DamagedTargetError or what the store raises.
        """
        fetched = {
            member.key: self._pipeline.workers.fetch.submit(self._fetch, member)
            for member in make.members
            if not isinstance(member, Carried) and member.size <= WHOLE_BYTES
        }
        return self._pipeline.workers.compress.submit(self._make, make, fits, fetched)

    def of_bytes(self, data: bytes) -> Spooled:
        """A segment of `data`, such as the header row."""
        encoder = SegmentEncoder(self._codec)
        packed = encoder.feed(data) + encoder.finish()
        start, stop = self._spool.append(packed)
        return Spooled(start, stop, crc32(packed), encoder.raw_length, encoder.crc)

    # --- reading -------------------------------------------------------------------------------------------

    def _open(self, source: SourceObject) -> Download:
        try:
            return self._pipeline.source.get(self._pipeline.source_prefix + source.key, if_match=source.etag)
        except (NotFoundError, PreconditionFailedError) as error:
            raise SourceChangedError(str(error)) from error

    def _fetch(self, source: SourceObject) -> tuple[bytes, str | None]:
        download = self._open(source)
        return download.read(), download.info.version_id

    def _source_chunks(
        self, source: SourceObject, fetched: Mapping[str, Future[tuple[bytes, str | None]]]
    ) -> tuple[Iterable[bytes], str | None, Callable[[], None]]:
        if source.key in fetched:
            data, version_id = fetched[source.key].result()
            return (data,), version_id, lambda: None
        download = self._open(source)
        return download, download.info.version_id, download.close

    # --- making --------------------------------------------------------------------------------------------

    def _make(
        self, make: Make, fits: Mapping[str, Fit], fetched: Mapping[str, Future[tuple[bytes, str | None]]]
    ) -> Made:
        made = Made()
        encoder = SegmentEncoder(self._codec)
        carrying = _CarriedRows(self._pipeline, self._target)
        with Spool() as own:
            for member in make.members:
                fit = fits.get(member.key)
                before = encoder.raw_length
                if isinstance(member, Carried):
                    try:
                        for piece in carrying.of(member):
                            _feed(encoder, own, piece, fit)
                    except RaggedRowError as error:
                        made.ragged[member.key] = str(error)
                        carrying = _CarriedRows(self._pipeline, self._target)
                        continue
                    made.taken.append(Taken(member.key, None, member.held.rows, encoder.raw_length - before))
                    continue
                chunks, version_id, close = self._source_chunks(member, fetched)
                try:
                    source = self._take(chunks, encoder, own, fit)
                except UnusableSourceError as error:
                    made.unusable.append(_quarantine(member, error))
                    continue
                finally:
                    close()
                made.taken.append(
                    Taken(member.key, source.header, source.rows, encoder.raw_length - before, version_id)
                )
            carrying.finish()
            if not made.unusable and not made.ragged:
                own.append(encoder.finish())
                made.spooled = self._keep(own, encoder, sum(taken.rows for taken in made.taken))
        return made

    def _take(self, chunks: Iterable[bytes], encoder: SegmentEncoder, own: Spool, fit: Fit | None) -> SourceRows:
        source = SourceRows(chunks, has_header=self._has_header)
        try:
            for piece in source:
                _feed(encoder, own, piece, fit)
        except RaggedRowError as error:
            raise UnusableSourceError("ragged row", str(error)) from error
        if not 0 <= source.bytes_out - source.bytes_in <= _MAX_NEWLINE:
            msg = f"{source.bytes_in} bytes came in, {source.bytes_out} went on"
            raise AccountingError(msg)
        return source

    def _keep(self, own: Spool, encoder: SegmentEncoder, rows: int) -> Spooled:
        """Read the compressed segment back, count its rows, and add it to the hour's spool."""
        scanner = RowScanner(_ANY_LENGTH)
        for piece in inflate(own.pieces(0, own.size), raw_length=encoder.raw_length, crc=encoder.crc):
            scanner.count(piece)
        if scanner.finish() or scanner.rows != rows:
            msg = f"{rows} rows went into a segment, {scanner.rows} come out of it"
            raise AccountingError(msg)
        stored_crc = 0
        for piece in own.pieces(0, own.size):
            stored_crc = crc32(piece, stored_crc)
        start, stop = self._spool.take_over(own)
        return Spooled(start, stop, stored_crc, encoder.raw_length, encoder.crc)


def _feed(encoder: SegmentEncoder, own: Spool, piece: bytes, fit: Fit | None) -> None:
    """Compress whole rows."""
    if fit is not None:
        piece = lay_rows(piece, fit.width, fit.columns)
    own.append(encoder.feed(piece))


def _quarantine(source: SourceObject, error: UnusableSourceError) -> Quarantined:
    return Quarantined(
        key=source.key,
        etag=source.etag,
        size=source.size,
        reason=error.reason,
        detail=error.detail,
        rows=error.rows,
        alone=error.reason != "ragged row",
    )


class _CarriedRows:
    """Rows of held sources out of the hour file's segments, read forward; each segment is checked to its end."""

    def __init__(self, pipeline: Pipeline, target: Readable | None) -> None:
        self._pipeline = pipeline
        self._target = target
        self._segment: Segment | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._position = 0
        self._rest = b""

    def of(self, member: Carried) -> Iterator[bytes]:
        """Whole rows of one source."""
        if self._segment is not member.segment or self._position > member.start:
            self.finish()
            self._segment, self._position, self._rest = member.segment, 0, b""
            self._pieces = self._inflate(member.segment)
        scanner = RowScanner(MAX_HELD_ROW_BYTES)
        for _ in self._forward(member.start - self._position):
            pass
        try:
            for piece in self._forward(member.held.raw_length):
                rows = scanner.feed(piece)
                if rows:
                    yield rows
        except RowTooLongError as error:
            self._damaged(member.segment, str(error), error)
        if scanner.finish() or scanner.rows != member.held.rows:
            detail = f"{member.key} has {scanner.rows} rows in it, and {member.held.rows} by the ledger"
            self._damaged(member.segment, detail)

    def finish(self) -> None:
        """Read the segment at hand to its end, so that its checks are made."""
        for _ in self._pieces:
            pass

    def _forward(self, size: int) -> Iterator[bytes]:
        while size:
            if not self._rest:
                self._rest = next(self._pieces, b"")
            piece, self._rest = self._rest[:size], self._rest[size:]
            if not piece and self._segment is not None:
                self._damaged(self._segment, "it is shorter than its sources")
            self._position += len(piece)
            size -= len(piece)
            yield piece

    def _inflate(self, segment: Segment) -> Iterator[bytes]:
        target = self._target
        if target is None:
            return
        if segment.offset >= target.tail_start or segment.length <= WHOLE_BYTES:
            chunks: Iterable[bytes] = (target.read(self._pipeline.target, segment.offset, segment.stop),)
        else:
            chunks = target.open(self._pipeline.target, segment.offset, segment.stop)
        try:
            yield from inflate(chunks, raw_length=segment.raw_length, crc=segment.crc)
        except DamagedSegmentError as error:
            self._damaged(segment, str(error), error)

    def _damaged(self, segment: Segment, detail: str, cause: Exception | None = None) -> None:
        key = "" if self._target is None else self._target.key
        raise DamagedTargetError(key, f"the segment at byte {segment.offset}: {detail}") from cause
