"""Makes one segment: reads its members' rows, lays them out, compresses them, and reads the result back.

Nothing is kept of a segment in which one member turns out to be unusable or unreadable: it is made again without it.
What is read must be what was listed: another ETag, another size or fewer bytes are never ingested.
"""

from __future__ import annotations

from concurrent.futures import wait
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.builder.spool import Spool, Spooled
from s3_assets.errors import (
    AccountingError,
    ChangedAnswerError,
    DamagedTargetError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
)
from s3_assets.hour_file.decode import most_plain_bytes
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError, peek_header
from s3_assets.hour_file.layout import Carried
from s3_assets.hour_file.ledger import Quarantined
from s3_assets.hour_file.readback import misplaced
from s3_assets.hour_file.rows import (
    MAX_HELD_ROW_BYTES,
    RaggedRowError,
    Rows,
    RowScanner,
    RowTooLongError,
    column_names,
    laid_rows,
)
from s3_assets.hour_file.segments import Codec, DamagedSegmentError, SegmentEncoder, crc32, inflate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
    from concurrent.futures import Future

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.target import Readable
    from s3_assets.hour_file.layout import Make
    from s3_assets.hour_file.ledger import Segment
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.hour_file.sources import SourceObject
    from s3_assets.store.contract import Download

WHOLE_BYTES = 4 * 1024 * 1024
"""A source object up to this size is fetched whole, ahead of its turn; a larger one is streamed."""

AHEAD_WAIT_S = 0.25
"""How long the first segment waits for what is fetched ahead: 0.25 s of an hour that takes more than a second."""

_Fetched = tuple[bytes, str | None]
"""A source's stored bytes, and their version."""

_MAX_NEWLINE = 2
_ANY_LENGTH = 1 << 62  # rows that were taken once are taken again, also where laying out made them longer


Identity = tuple[str, str, int]
"""Key, ETag and size of a source object, as it was listed."""


class SourceChangedError(Exception):
    """A source object is not what the listing said: the hour must be listed again."""

    def __init__(self, source: SourceObject, detail: str) -> None:
        """Keep which `source` that is, as it was listed."""
        self.identity: Identity = (source.key, source.etag, source.size)
        super().__init__(f"{source.key!r}: {detail}")


@dataclass(frozen=True, slots=True)
class Fit:
    """How rows must be laid out to stand under the hour's header.

    Attributes:
        own: Their own header row.
        header: The hour's.
        columns: For each column of the hour, where it stands in the rows.
    """

    own: bytes
    header: bytes
    columns: tuple[int | None, ...] = field(compare=False)

    def lay(self, rows: bytes, *, check: bool) -> Iterator[bytes]:
        """Whole rows, laid out, in pieces of bounded size; with `check`, another reader reads a sample back.

        Raises:
            AccountingError: A value does not stand under its name.
            RaggedRowError: A row has values too many, or one in a column that the header lacks.
        """
        own, names = column_names(self.own), column_names(self.header)
        gone = [place for place, name in enumerate(own) if name not in names]
        for piece in laid_rows(Rows.of(rows), len(own), gone) if gone else ():
            if piece.translate(None, b',"\r\n'):
                msg = "a row has a value in a column that the hour has no more"
                raise RaggedRowError(msg)
        for piece in laid_rows(Rows.of(rows), len(own), self.columns):
            if check:
                check = False
                problem = misplaced(rows, piece, own, names)
                if problem is not None:
                    raise AccountingError(problem)
            yield piece


@dataclass(frozen=True, slots=True)
class Taken:
    """What was found in one member of a segment.

    Attributes:
        key: Of the source.
        header: Its own header row.
        rows: Rows it gave.
        raw_length: Plain bytes of them in the segment.
        version_id: Of the GET; None for carried rows.
        own_length: Bytes of its rows under its own header.
        certain: Whether its rows show that its first line is a header.
    """

    key: str
    header: bytes | None
    rows: int
    raw_length: int
    version_id: str | None = None
    own_length: int = 0
    certain: bool = False


@dataclass(slots=True)
class Made:
    """The result of making one segment.

    Attributes:
        taken: Per member, in order; those that turned out to be unusable are not in it.
        spooled: The finished segment; None where a member was unusable, so that it must be made again.
        unusable: Those members.
        unreadable: Members that could not be read, and why.
        ragged: Keys of carried members that can't be laid out.
    """

    taken: list[Taken] = field(default_factory=list)
    spooled: Spooled | None = None
    unusable: list[Quarantined] = field(default_factory=list)
    unreadable: dict[str, StoreError] = field(default_factory=dict)
    ragged: dict[str, str] = field(default_factory=dict)


class SegmentMaker:
    """Makes segments of one hour; one instance per attempt."""

    def __init__(
        self,
        pipeline: Pipeline,
        target: Readable | None,
        spool: Spool,
        codec: Codec,
        policy: EventPolicy,
        suspects: Collection[Identity],
    ) -> None:
        """Write finished segments to `spool`; carried rows come from `target`.

        One of `suspects`, which was not what was listed at the last try, is unreadable if it still is not.
        """
        self._pipeline = pipeline
        self._target = target
        self._spool = spool
        self._codec = codec
        self._policy = policy
        self._suspects = suspects
        self._ahead: dict[str, tuple[int, Future[_Fetched]]] = {}
        self._peeked: set[str] = set()

    def start(self, make: Make, fits: Mapping[str, Fit]) -> Future[Made]:
        """Begin to fetch its small sources and queue it for compression.

        The future raises SourceChangedError, DamagedTargetError or what the target's store raises.
        """
        fetched = {
            member.key: self._pipeline.workers.fetch.submit(self._fetch, member)
            for member in make.members
            if not isinstance(member, Carried) and member.size <= WHOLE_BYTES and member.key not in self._ahead
        }
        return self._pipeline.workers.compress.submit(self._make, make, fits, fetched)

    # --- reading ahead ---------------------------------------------------------------------------------------

    def look_ahead(self, sources: Iterable[SourceObject]) -> None:
        """Fetch the next small sources as far as there is room, so that their headers are known early."""
        for source in sources:
            if source.key in self._ahead or source.key in self._peeked or source.size > WHOLE_BYTES:
                continue
            if not self._pipeline.workers.ahead.take(source.size):
                return
            self._ahead[source.key] = source.size, self._pipeline.workers.fetch.submit(self._fetch, source)

    def wait_ahead(self) -> None:
        """Give what was begun a moment: what is compressed before a header is known may have to be made again."""
        wait([future for _, future in self._ahead.values()], timeout=AHEAD_WAIT_S)

    def new_headers(self) -> dict[str, tuple[bytes, int]]:
        """The header rows of sources that came since this was last asked, by key, and how many rows each may have."""
        found: dict[str, tuple[bytes, int]] = {}
        for key, (_, future) in list(self._ahead.items()):
            if key in self._peeked or not future.done():
                continue
            self._peeked.add(key)
            if future.cancelled() or future.exception() is not None:
                continue
            stored = future.result()[0]
            header = peek_header(stored, self._policy)
            if header is not None:
                found[key] = header, most_plain_bytes(stored)
        return found

    def close(self) -> None:
        """Give back what was fetched ahead and not used."""
        for key in list(self._ahead):
            self._take_ahead(key)

    def _take_ahead(self, key: str) -> Future[_Fetched] | None:
        size, future = self._ahead.pop(key, (0, None))
        if future is not None:
            self._peeked.add(key)
            self._pipeline.workers.ahead.give(size)
        return future

    def of_bytes(self, data: bytes) -> Spooled:
        """A segment of `data`, such as the header row."""
        encoder = SegmentEncoder(self._codec)
        packed = encoder.feed(data) + encoder.finish()
        start, stop = self._spool.append(packed)
        return Spooled(start, stop, crc32(packed), encoder.raw_length, encoder.crc)

    # --- reading -------------------------------------------------------------------------------------------

    def _open(self, source: SourceObject) -> Download:
        try:
            download = self._pipeline.source.get(self._pipeline.source_prefix + source.key, if_match=source.etag)
        except (NotFoundError, PreconditionFailedError) as error:
            raise self._changed(source, error.detail) from error
        info = download.info
        if (info.etag, info.size) != (source.etag, source.size) or download.stop - download.start != source.size:
            download.close()
            raise self._changed(source, f"answered with ETag {info.etag} and {info.size:,} bytes, not as listed")
        return download

    def _changed(self, source: SourceObject, detail: str) -> Exception:
        """One answer proves nothing: the hour is listed again. If it is listed as before, the object is unreadable."""
        if (source.key, source.etag, source.size) in self._suspects:
            return ChangedAnswerError("GetObject", source.key, f"listed, and {detail}")
        return SourceChangedError(source, detail)

    def _fetch(self, source: SourceObject) -> _Fetched:
        download = self._open(source)
        return download.read(), download.info.version_id

    def _source_chunks(
        self, source: SourceObject, fetched: Mapping[str, Future[_Fetched]]
    ) -> tuple[Iterable[bytes], str | None, Callable[[], None]]:
        future = self._take_ahead(source.key) or fetched.get(source.key)
        if future is not None:
            data, version_id = future.result()
            return (data,), version_id, lambda: None
        download = self._open(source)
        return download, download.info.version_id, download.close

    # --- making --------------------------------------------------------------------------------------------

    def _make(self, make: Make, fits: Mapping[str, Fit], fetched: Mapping[str, Future[_Fetched]]) -> Made:
        made = Made()
        encoder = SegmentEncoder(self._codec)
        carrying = _CarriedRows(self._pipeline, self._target)
        with Spool() as own:
            for member in make.members:
                fit = fits.get(member.key)
                before = encoder.raw_length
                if isinstance(member, Carried):
                    try:
                        for number, piece in enumerate(carrying.of(member)):
                            _feed(encoder, own, piece, fit, is_first=not number)
                    except RaggedRowError as error:
                        made.ragged[member.key] = str(error)
                        carrying = _CarriedRows(self._pipeline, self._target)
                        continue
                    made.taken.append(Taken(member.key, None, member.held.rows, encoder.raw_length - before))
                    continue
                close = _nothing
                try:
                    chunks, version_id, close = self._source_chunks(member, fetched)
                    source = self._take(chunks, encoder, own, fit)
                except UnusableSourceError as error:
                    made.unusable.append(_quarantine(member, error))
                    continue
                except StoreError as error:
                    made.unreadable[member.key] = error
                    continue
                finally:
                    close()
                raw_length, own_length = encoder.raw_length - before, source.even_bytes
                made.taken.append(
                    Taken(member.key, source.header, source.rows, raw_length, version_id, own_length, source.certain)
                )
            carrying.finish()
            if not (made.unusable or made.unreadable or made.ragged):
                own.append(encoder.finish())
                made.spooled = self._keep(own, encoder, sum(taken.rows for taken in made.taken))
        return made

    def _take(self, chunks: Iterable[bytes], encoder: SegmentEncoder, own: Spool, fit: Fit | None) -> SourceRows:
        source = SourceRows(chunks, self._policy)
        try:
            for number, piece in enumerate(source):
                _feed(encoder, own, piece, fit, is_first=not number)
        except RaggedRowError as error:  # what was judged even can't be laid out
            raise AccountingError(str(error)) from error
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


def _nothing() -> None:
    """Nothing was opened that would have to be closed."""


def _feed(encoder: SegmentEncoder, own: Spool, piece: bytes, fit: Fit | None, *, is_first: bool) -> None:
    """Compress whole rows."""
    for laid in (piece,) if fit is None else fit.lay(piece, check=is_first):
        own.append(encoder.feed(laid))


def _quarantine(source: SourceObject, error: UnusableSourceError) -> Quarantined:
    return Quarantined(source.key, source.etag, source.size, error.reason, error.detail, error.rows, alone=True)


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
