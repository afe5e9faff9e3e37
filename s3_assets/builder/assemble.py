"""Assembles one hour's segments: reads what is new, agrees on a header, makes what must be made, accounts for all.

Nothing is written to the store here; the result is a list of pieces that `commit` writes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.builder.make import Fit, Made, SegmentMaker, Taken
from s3_assets.errors import AccountingError
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.layout import Carried, Make, Reuse, lay_out
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment, encode
from s3_assets.hour_file.rows import column_names
from s3_assets.hour_file.schema import Headed, Schema, agree, layout
from s3_assets.hour_file.segments import CODECS, GZIP_HEADER
from s3_assets.hour_file.sources import SourceObject
from s3_assets.hour_file.splice import New, Old, Piece, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.spool import Spool, Spooled
    from s3_assets.builder.target import Readable
    from s3_assets.hour_file.plan import Plan

AHEAD = 2
"""Segments of one hour that are fetched or compressed at once, beyond one per compressing thread."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A new hour file, ready to be committed.

    Attributes:
        ledger: What it will hold.
        pieces: Its bytes, in order, out of the hour file as it is and out of the spool.
        reused: Segments that stand as they are: (where in the new file, where in the old).
    """

    ledger: Ledger
    pieces: tuple[Piece, ...]
    reused: tuple[tuple[Segment, Segment], ...]

    @property
    def size(self) -> int:
        """Bytes of the new file."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True, slots=True)
class Stock:
    """What there is to carry over: the hour file as it is, or what could be saved of it.

    Attributes:
        ledger: Of the rows that can be carried over; None where there are none.
        where: Where they are read from.
        keep_segments: Whether segments may stand as they are, unread where they are large.
        carried: Where each source's rows are, if not in the segments of `ledger`.
        laid: Under which header row a source's rows stand, by key, if that is not the one of `ledger`.
    """

    ledger: Ledger | None
    where: Readable | None
    keep_segments: bool = True
    carried: tuple[Carried, ...] | None = None
    laid: Mapping[str, bytes | None] = field(default_factory=dict)


def assemble(pipeline: Pipeline, plan: Plan, stock: Stock, spool: Spool) -> Assembly:
    """Read and make what `plan` asks for.

    Raises:
        SourceChangedError: A source is not what was listed.
        DamagedTargetError: Bytes that were to be carried over are damaged.
        AccountingError: Rows in are not rows out plus rows quarantined.
        StoreError: What the store raises.
    """
    return _Assembler(pipeline, plan, stock, spool).run()


class _Assembler:
    """One attempt at one hour.

    Rounds: make every segment as if the hour's header fitted all; then agree on the header; make again only what
    must be laid out anew, or what held an unusable source; until nothing is left to change. Each further round has
    more sources known to be unusable, so there is an end; with sources that are alike there is one round.
    """

    def __init__(self, pipeline: Pipeline, plan: Plan, stock: Stock, spool: Spool) -> None:
        self.pipeline = pipeline
        self.plan = plan
        self.stock = stock
        self.old = stock.ledger
        self.spool = spool
        self.policy = pipeline.policy(plan.hour.event)
        self.codec = CODECS[self.policy.compression]
        self.maker = SegmentMaker(pipeline, stock.where, spool, self.codec, has_header=self.policy.header)
        self.held = {held.key: held for held in plan.stay}
        self.sources = {source.key: source for source in plan.read}
        self.taken: dict[str, Taken] = {}
        self.unusable = {bad.key: bad for bad in plan.unusable}
        self.made: dict[tuple[object, ...], Made] = {}
        self.pinned = False

    def run(self) -> Assembly:
        fits: dict[str, Fit] = {}
        relay = False
        while True:
            pieces = self._lay_out(keep_segments=not relay)
            known = len(self.unusable), self.pinned, len(self.sources)
            self._make_all([piece for piece in pieces if isinstance(piece, Make)], fits)
            agreed = self._agree()
            self._refuse(agreed.refused)
            self._read_again(agreed)
            agreed_fits, agreed_relay = self._fits(agreed)
            now_known = len(self.unusable), self.pinned, len(self.sources)
            if now_known == known and agreed_fits == fits and agreed_relay == relay:
                return self._finish(agreed, pieces, fits)
            fits, relay = agreed_fits, agreed_relay

    # --- one round -----------------------------------------------------------------------------------------

    def _lay_out(self, *, keep_segments: bool) -> list[Reuse | Make]:
        return lay_out(
            self.old,
            [held for held in self.held.values() if held.key not in self.unusable],
            [source for source in self.sources.values() if source.key not in self.unusable],
            keep_segments=keep_segments and self.stock.keep_segments,
            carried=self.stock.carried,
        )

    def _make_all(self, makes: Iterable[Make], fits: dict[str, Fit]) -> None:
        """Make what was not made yet, a few at once, in order."""
        pending = deque(make for make in makes if _recipe(make, fits) not in self.made)
        running: deque[tuple[Make, Future[Made]]] = deque()
        limit = self.pipeline.workers.compress_threads + AHEAD
        try:
            while pending or running:
                while pending and len(running) < limit:
                    make = pending.popleft()
                    running.append((make, self.maker.start(make, fits)))
                make, future = running.popleft()
                self._note(_recipe(make, fits), future.result())
        finally:
            for _, future in running:
                future.cancel()
                if not future.cancelled():
                    future.exception()

    def _note(self, recipe: tuple[object, ...], made: Made) -> None:
        self.made[recipe] = made
        for taken in made.taken:
            if taken.key in self.sources:
                self.taken[taken.key] = taken
        for bad in made.unusable:
            self.unusable[bad.key] = bad
        for key, detail in made.ragged.items():
            self._refuse({key: detail}, reason="ragged row")

    def _agree(self) -> Schema:
        if not self.policy.header:
            return Schema(None, {})
        headers = () if self.old is None else self.old.headers
        headed: list[Headed] = []
        for held in self.held.values():
            if held.key not in self.unusable:
                own = None if held.header is None else headers[held.header]
                headed.append(Headed(held.key, own, held.rows, bound=held.key in self.plan.vanished))
        headed += [
            Headed(taken.key, taken.header, taken.rows)
            for taken in self.taken.values()
            if taken.key not in self.unusable
        ]
        headed.sort(key=lambda source: order_key(source.key))
        pinned = self.old.header if self.pinned and self.old is not None else None
        return agree(headed, self.policy.on_schema_change, pinned=pinned)

    def _refuse(self, refused: dict[str, str], reason: str = "columns") -> None:
        """Quarantine sources that can't stand with the others; those that are gone from the source stay."""
        for key, detail in refused.items():
            if key in self.plan.vanished:
                self.pinned = True
                continue
            held, source = self.held.get(key), self.sources.get(key)
            known = held or source
            taken = self.taken.get(key)
            rows = held.rows if held is not None else taken.rows if taken is not None else None
            if known is not None:
                self.unusable[key] = Quarantined(key, known.etag, known.size, reason, detail, rows, alone=False)

    def _read_again(self, schema: Schema) -> None:
        """Read held sources again that were laid out to the old header and fit the new one as they are.

        What laying out adds to a short row can't be told from the row's own text, so it can't be taken off.
        """
        if self.old is None or self.old.header is None or schema.header is None:
            return
        if layout(self.old.header, schema.header) is None:
            return
        for held in list(self.held.values()):
            own = None if held.header is None else self.old.headers[held.header]
            listed = held.key not in self.plan.vanished
            if listed and own is not None and held.rows and layout(own, schema.header) is None:
                del self.held[held.key]
                self.sources[held.key] = SourceObject(held.key, held.etag, held.size)

    def _fits(self, schema: Schema) -> tuple[dict[str, Fit], bool]:
        """How each source must be laid out, and whether rows of held ones must be."""
        if schema.header is None:
            return {}, False
        fits: dict[str, Fit] = {}
        relay = False
        standing: dict[bytes, Fit | None] = {}
        for key in self.held:
            header = self.stock.laid.get(key, None if self.old is None else self.old.header)
            if header is None:
                continue
            if header not in standing:
                columns = layout(header, schema.header)
                standing[header] = None if columns is None else Fit(len(column_names(header)), tuple(columns))
            fit = standing[header]
            if fit is not None:
                relay = True
                if key not in self.unusable:
                    fits[key] = fit
        for taken in self.taken.values():
            columns = None if taken.header is None else layout(taken.header, schema.header)
            if columns is not None and taken.header is not None and taken.key not in self.unusable and taken.rows:
                fits[taken.key] = Fit(len(column_names(taken.header)), tuple(columns))
        return fits, relay

    # --- the end -------------------------------------------------------------------------------------------

    def _finish(self, schema: Schema, pieces: Sequence[Reuse | Make], fits: dict[str, Fit]) -> Assembly:
        headers: dict[bytes, int] = {}
        position = len(GZIP_HEADER)
        segments: list[Segment] = []
        file: list[Piece] = [New(*self.spool.append(GZIP_HEADER))]

        def add(segment: Segment, piece: Piece) -> None:
            nonlocal position
            segments.append(segment)
            file.append(piece)
            position += segment.length

        reused: list[tuple[Segment, Segment]] = []
        if schema.header is not None:
            # Where no other segment stands, this one does not either: a rebuild mends all, and gives equal bytes.
            stands = any(isinstance(piece, Reuse) for piece in pieces)
            old = self.old.segments[0] if stands and self.old and self.old.header == schema.header else None
            if old is not None:
                add(old, Old(old.offset, old.stop))
                reused.append((old, old))
            else:
                add(*_placed(position, self.maker.of_bytes(schema.header), ()))
        for piece in pieces:
            if isinstance(piece, Reuse):
                old = piece.segment
                sources = tuple(self._held_again(held, headers) for held in old.sources)
                new = Segment(position, old.length, old.stored_crc, old.raw_length, old.crc, sources)
                add(new, Old(old.offset, old.stop))
                reused.append((new, old))
                continue
            made = self.made[_recipe(piece, fits)]
            if made.spooled is None:
                msg = "a segment was not made"
                raise AccountingError(msg)
            sources = tuple(
                self._held_of(taken, member, headers) for taken, member in zip(made.taken, piece.members, strict=True)
            )
            add(*_placed(position, made.spooled, sources))
        if len(file) > 1 and isinstance(file[1], Old) and file[1].start == len(GZIP_HEADER):
            file[0] = Old(0, len(GZIP_HEADER))
        hour = self.plan.hour
        ledger = Ledger(
            event=hour.event,
            hour=hour.label,
            header=schema.header,
            headers=tuple(headers),
            segments=tuple(segments),
            quarantined=tuple(sorted(self.unusable.values(), key=lambda bad: order_key(bad.key))),
            settings={
                "compression": self.codec.label,
                **self.policy.row_settings(),
                "on_vanished": self.policy.on_vanished,
            },
            content_token=self.policy.content_token(),
        )
        self._account(ledger)
        file.append(New(*self.spool.append(ledger.trailer() + encode(ledger))))
        return Assembly(ledger, tuple(joined(file)), tuple(reused))

    def _held_again(self, held: Held, headers: dict[bytes, int]) -> Held:
        header = None if self.old is None or held.header is None else self.old.headers[held.header]
        return _with_header(held, header, headers)

    def _held_of(self, taken: Taken, member: SourceObject | Carried, headers: dict[bytes, int]) -> Held:
        if isinstance(member, Carried):
            again = self._held_again(member.held, headers)
            return Held(again.key, again.etag, again.size, again.version_id, taken.rows, taken.raw_length, again.header)
        held = Held(member.key, member.etag, member.size, taken.version_id, taken.rows, taken.raw_length, None)
        return _with_header(held, taken.header, headers)

    def _account(self, ledger: Ledger) -> None:
        """Every listed source is held or quarantined, once, and no row was lost on the way."""
        expected = {**{k: v.rows for k, v in self.held.items()}, **{k: v.rows for k, v in self.taken.items()}}
        held = {source.key: source.rows for source in ledger.held}
        bad = {source.key for source in ledger.quarantined}
        for key, rows in expected.items():
            if key not in bad and held.get(key) != rows:
                msg = f"{key} has {rows} rows, the new hour file {held.get(key)}"
                raise AccountingError(msg)
        if held.keys() | bad != self.held.keys() | self.sources.keys() | self.unusable.keys() or held.keys() & bad:
            msg = "the sources held and quarantined are not those of the plan"
            raise AccountingError(msg)


def _placed(position: int, spooled: Spooled, sources: tuple[Held, ...]) -> tuple[Segment, New]:
    length = spooled.stop - spooled.start
    segment = Segment(position, length, spooled.stored_crc, spooled.raw_length, spooled.crc, sources)
    return segment, New(spooled.start, spooled.stop)


def _with_header(held: Held, header: bytes | None, headers: dict[bytes, int]) -> Held:
    index = None if header is None else headers.setdefault(header, len(headers))
    return Held(held.key, held.etag, held.size, held.version_id, held.rows, held.raw_length, index)


def _recipe(make: Make, fits: dict[str, Fit]) -> tuple[object, ...]:
    """What a segment is made of: equal recipes make equal segments, so each is made once."""
    return tuple((member.key, isinstance(member, Carried), fits.get(member.key)) for member in make.members)
