"""Assembles one hour's segments: reads what is new, agrees on a header, makes what must be made, accounts for all.

Nothing is written to the store here; the result is a list of pieces that `commit` writes.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING

from s3_assets.builder.make import Fit, Identity, Made, SegmentMaker, Taken
from s3_assets.errors import AccessDeniedError, AccountingError, StoreUnavailableError
from s3_assets.hour_file.headers import NOT_CSV
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.layout import Carried, Make, Reuse, lay_out
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment, encode
from s3_assets.hour_file.plan import RULES, RULES_SETTING, UNREADABLE
from s3_assets.hour_file.readback import csv_fields
from s3_assets.hour_file.rows import column_names
from s3_assets.hour_file.schema import HEADERS_PER_HOUR, Headed, Schema, SchemaRules, agree, header_row, layout
from s3_assets.hour_file.segments import CODECS, GZIP_HEADER
from s3_assets.hour_file.splice import New, Old, Piece, joined

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from concurrent.futures import Future

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.spool import Spool, Spooled
    from s3_assets.builder.target import Readable
    from s3_assets.errors import StoreError
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.sources import SourceObject

AHEAD = 2
"""Segments of one hour that are fetched or compressed at once, beyond one per compressing thread."""

MOST_GUESSES = 3
"""How often a header that is read ahead may change what the segments under way are laid out to; then all are made
first, and laid out anew where they must be."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """A new hour file, ready to be committed.

    Attributes:
        ledger: What it will hold.
        pieces: Its bytes, in order, out of the hour file as it is and out of the spool.
        reused: Segments that stand as they are: (where in the new file, where in the old).
        doubtful: Sources whose first line was taken for a header though nothing shows that it is one.
        unreadable: Sources that could not be read, by key, and why; the file is as if they were not listed, or as they
            were before.
    """

    ledger: Ledger
    pieces: tuple[Piece, ...]
    reused: tuple[tuple[Segment, Segment], ...]
    unreadable: Mapping[str, StoreError] = field(default_factory=dict)
    doubtful: tuple[str, ...] = ()

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


def assemble(
    pipeline: Pipeline, plan: Plan, stock: Stock, spool: Spool, suspects: Collection[Identity] = ()
) -> Assembly:
    """Read and make what `plan` asks for.

    Args:
        pipeline: Where and how.
        plan: What to do.
        stock: What there is to carry over.
        spool: Where the new bytes go.
        suspects: Sources that were not what was listed, at the last try; if they still are not, they are unreadable.

    Raises:
        SourceChangedError: A source is not what was listed.
        DamagedTargetError: Bytes that were to be carried over are damaged.
        AccountingError: Rows in are not rows out plus rows quarantined.
        StoreError: What the store raises.
    """
    assembler = _Assembler(pipeline, plan, stock, spool, suspects)
    try:
        return assembler.run()
    finally:
        assembler.maker.close()


class _Assembler:
    """One attempt at one hour.

    Rounds: make every segment for the header that is expected; then agree on the header, now that all rows are known;
    make again only what must be laid out anew, or what held an unusable source; until nothing is left to change. Each
    further round has more sources known to be unusable, so there is an end; with sources that are alike there is one
    round, and with headers that were read ahead in time, too.
    """

    def __init__(
        self, pipeline: Pipeline, plan: Plan, stock: Stock, spool: Spool, suspects: Collection[Identity]
    ) -> None:
        self.pipeline = pipeline
        self.plan = plan
        self.stock = stock
        self.old = stock.ledger
        self.spool = spool
        self.policy = policy = pipeline.policy(plan.hour.event)
        self.codec = CODECS[policy.compression]
        self.maker = SegmentMaker(pipeline, stock.where, spool, self.codec, policy, suspects)
        self.rules = SchemaRules(
            policy.on_schema_change,
            header_row(policy.columns) if policy.columns else None,
            policy.max_columns,
            policy.max_growth,
            HEADERS_PER_HOUR * policy.max_header_bytes,
        )
        self.held = {held.key: held for held in plan.stay}
        self.known_held = {} if self.old is None else {held.key: held for held in self.old.held}
        self.known_bad = {} if self.old is None else {bad.key: bad for bad in self.old.quarantined}
        self.sources = {source.key: source for source in plan.read}
        self.taken: dict[str, Taken] = {}
        self.unusable = {bad.key: bad for bad in plan.unusable}
        self.unreadable: dict[str, StoreError] = {}
        self.guessed: dict[str, tuple[bytes, int]] = {}
        self.guesses = 0
        self.made: dict[tuple[object, ...], Made] = {}
        self.fixed = False

    def run(self) -> Assembly:
        fits: dict[str, Fit] = {}
        relay = False
        while True:
            pieces = self._lay_out(keep_segments=not relay)
            known = self._known()
            if not self._make_all([piece for piece in pieces if isinstance(piece, Make)], fits):
                fits, relay = self._fits(self._agree())
                continue
            self._stop_where_nothing_answers()
            agreed = self._agree()
            self._refuse(agreed.refused)
            agreed_fits, agreed_relay = self._fits(agreed)
            if self._known() == known and agreed_fits == fits and agreed_relay == relay:
                return self._finish(agreed, pieces, fits)
            fits, relay = agreed_fits, agreed_relay

    def _known(self) -> tuple[object, ...]:
        """What a round may find out."""
        return len(self.unusable), len(self.unreadable), len(self.sources), self.fixed

    # --- one round -----------------------------------------------------------------------------------------

    def _lay_out(self, *, keep_segments: bool) -> list[Reuse | Make]:
        return lay_out(
            self.old,
            [held for held in self.held.values() if held.key not in self.unusable],
            [source for source in self.sources.values() if source.key not in self.unusable],
            keep_segments=keep_segments and self.stock.keep_segments,
            carried=self.stock.carried,
        )

    def _make_all(self, makes: Iterable[Make], fits: dict[str, Fit]) -> bool:
        """Make what was not made yet, a few at once, in order; whether it is done.

        It stops where headers that were read ahead show that it would have to be made again.
        """
        pending = deque(make for make in makes if _recipe(make, fits) not in self.made)
        running: deque[tuple[Make, Future[Made]]] = deque()
        limit = self.pipeline.workers.compress_threads + AHEAD
        if len(pending) > limit and not self.taken:
            self.maker.look_ahead(self.sources.values())
            self.maker.wait_ahead()
        try:
            while pending or running:
                self.maker.look_ahead(source for source in self.sources.values() if source.key not in self.taken)
                if pending and self._guess(fits):
                    return False
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
        return True

    def _guess(self, fits: dict[str, Fit]) -> bool:
        """Whether headers read ahead change how what is left must be laid out."""
        new = self.maker.new_headers()
        before = {header for header, _ in self.guessed.values()} | {taken.header for taken in self.taken.values()}
        self.guessed |= new
        distinct = before | {header for header, _ in new.values()}
        if self.guesses >= MOST_GUESSES or len(distinct) in (len(before), 1):
            return False
        changed = self._fits(self._agree())[0] != fits
        self.guesses += changed
        return changed

    def _note(self, recipe: tuple[object, ...], made: Made) -> None:
        self.made[recipe] = made
        for taken in made.taken:
            source = self.sources.get(taken.key)
            if source is not None and self._stood(source) and self._reads_alike(taken):
                self._keep(source)
            elif source is not None:
                self.taken[taken.key] = taken
        for bad in made.unusable:
            source = self.sources.get(bad.key)
            if source is not None and self._stood(source) and bad.reason not in NOT_CSV:
                self._keep(source)
            else:
                self.unusable[bad.key] = bad
        for key, error in made.unreadable.items():
            self._leave(key, error)
        for key, detail in made.ragged.items():
            held = self.held.get(key)
            if held is None or self.old is None:
                continue
            if self._standing_header(held) == self.old.header:
                self.fixed = True
                continue
            del self.held[key]  # saved from an older version, it can't stand under the columns of now
            self.unusable[key] = Quarantined(key, held.etag, held.size, "ragged row", detail, held.rows, alone=False)

    def _leave(self, key: str, error: StoreError) -> None:
        """Go on without a source that can't be read: its rows stay as they stand, or it is named as left out."""
        self.unreadable[key] = error
        self.taken.pop(key, None)
        source = self.sources.pop(key, None)
        held, bad = self.known_held.get(key), self.known_bad.get(key)
        if held is not None:
            self.held[key] = held
        elif source is not None:
            same = bad is not None and (bad.etag, bad.size) == (source.etag, source.size)
            rows = bad.rows if same and bad is not None else None
            detail = "it could not be read when the hour was last built"
            self.unusable[key] = Quarantined(key, source.etag, source.size, UNREADABLE, detail, rows, alone=False)

    def _stop_where_nothing_answers(self) -> None:
        """Raise what the store said where no source could be read: then it is no fault of one object."""
        errors = list(self.unreadable.values())
        if not errors or self.taken or self.sources:
            return
        if len(errors) > 1 and not self.held:
            for general in (AccessDeniedError, StoreUnavailableError):
                if all(isinstance(error, general) for error in errors):
                    raise errors[0]

    def _agree(self) -> Schema:
        headers = () if self.old is None else self.old.headers
        under = None if self.old is None else self.old.header
        headed: list[Headed] = []
        width = cache(lambda header: len(column_names(header)))  # thousands of sources have a few headers
        for held in self.held.values():
            if held.key not in self.unusable:
                stands_under = self._standing_header(held)
                own = None if held.header is None or stands_under is None else headers[held.header]
                added = 0 if own is None else width(stands_under) - width(own)
                own_length = max(held.rows, held.raw_length - held.rows * added)
                headed.append(Headed(held.key, own, held.rows, own_length, bound=held.rows > 0))
        for source in self.sources.values():
            taken = self.taken.get(source.key)
            if source.key in self.unusable:
                continue
            if taken is not None:
                headed.append(
                    Headed(
                        taken.key,
                        taken.header,
                        taken.rows,
                        taken.own_length,
                        bound=taken.rows > 0 and self._stood(source),
                        returns=self.plan.migrates and source.key in self.known_bad,
                        certain=taken.certain,
                    )
                )
            elif source.key in self.guessed:
                header, most = self.guessed[source.key]
                headed.append(Headed(source.key, header, most, most, certain=True))
        headed.sort(key=lambda source: order_key(source.key))
        names = () if under is None else column_names(under)
        bound = any(held.rows for held in self.held.values())
        self.fixed = self.fixed or (bound and len(set(names)) < len(names))  # what can't be laid out by name
        stands = bound and (not self.plan.anew or self.fixed)
        standing = under if stands else None
        return agree(headed, self.rules, standing=standing, fixed=self.fixed, anew=not self.plan.migrates)

    def _keep(self, source: SourceObject) -> None:
        """Let rows stand that were only judged anew."""
        self.held[source.key] = self.known_held[source.key]
        del self.sources[source.key]

    def _reads_alike(self, taken: Taken) -> bool:
        """Whether a source that stands would come in under the columns that it stands under, or with fewer rows."""
        held = self.known_held[taken.key]
        if 0 < taken.rows < held.rows:  # blank lines were rows once
            return True
        own = None if held.header is None or self.old is None else self.old.headers[held.header]
        if own is None or taken.header is None:
            return own is None and taken.header is None
        return column_names(own) == column_names(taken.header)

    def _stood(self, source: SourceObject) -> bool:
        """Whether rows stand that an earlier version read of this very content, and that are judged anew."""
        if not self.plan.migrates:
            return False
        held = self.known_held.get(source.key)
        return held is not None and held.rows > 0 and (held.etag, held.size) == (source.etag, source.size)

    def _refuse(self, refused: dict[str, str]) -> None:
        """Let newcomers wait that can't stand with the others."""
        for key, detail in refused.items():
            source, taken = self.sources.get(key), self.taken.get(key)
            if source is not None:
                rows = None if taken is None else taken.rows
                self.unusable[key] = Quarantined(key, source.etag, source.size, "columns", detail, rows, alone=False)

    def _standing_header(self, held: Held) -> bytes | None:
        """Under which header row the rows of a held source stand."""
        return self.stock.laid.get(held.key, None if self.old is None else self.old.header)

    def _fits(self, schema: Schema) -> tuple[dict[str, Fit], bool]:
        """How each source must be laid out, and whether rows of held ones must be."""
        header = schema.header
        if header is None:
            return {}, False
        fits: dict[str, Fit] = {}
        relay = False
        known: dict[bytes, Fit | None] = {}

        def fit_of(own: bytes) -> Fit | None:
            if own not in known:
                columns = layout(own, header)
                known[own] = None if columns is None else Fit(own, header, tuple(columns))
            return known[own]

        for key, held in self.held.items():
            own = self._standing_header(held)
            fit = None if own is None else fit_of(own)
            if fit is not None:
                relay = True
                if key not in self.unusable:
                    fits[key] = fit
        for key in self.sources:
            taken = self.taken.get(key)
            guess = self.guessed.get(key)
            own = (guess and guess[0]) if taken is None else taken.header if taken.rows else None
            if own is None or key in self.unusable or key in schema.refused:
                continue
            fit = fit_of(own)
            if fit is not None:
                fits[key] = fit
        return fits, relay

    # --- the end -------------------------------------------------------------------------------------------

    def _finish(self, schema: Schema, pieces: Sequence[Reuse | Make], fits: dict[str, Fit]) -> Assembly:
        if schema.header is not None and not self._reads_back(schema.header):
            msg = f"the header row of {len(schema.names):,} columns reads as others"
            raise AccountingError(msg)
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
                RULES_SETTING: RULES,
            },
            content_token=self.policy.content_token(),
        )
        self._account(ledger)
        file.append(New(*self.spool.append(ledger.trailer() + encode(ledger))))
        return Assembly(ledger, tuple(joined(file)), tuple(reused), self.unreadable, self._doubtful())

    def _doubtful(self) -> tuple[str, ...]:
        """Sources whose first line may be a row: no value below shows otherwise, and no other source has it too."""
        if not (self.policy.header and self.policy.check_header) or self.policy.columns:
            return ()
        doubtful = {
            key: column_names(taken.header)
            for key, taken in self.taken.items()
            if taken.header is not None and not taken.certain and key not in self.unusable
        }
        if not doubtful:
            return ()
        headers = Counter(taken.header for taken in self.taken.values() if taken.header is not None)
        if self.old is not None:
            headers.update(self.old.headers[held.header] for held in self.held.values() if held.header is not None)
        seen: Counter[tuple[bytes, ...]] = Counter()
        for header, count in headers.items():
            seen[column_names(header)] += count
        over_rows = {column_names(taken.header) for taken in self.taken.values() if taken.header and taken.rows}
        if self.old is not None:
            standing = {held.header for held in self.held.values() if held.rows and held.header is not None}
            over_rows |= {column_names(self.old.headers[index]) for index in standing}
        return tuple(key for key, names in doubtful.items() if seen[names] == 1 or names not in over_rows)

    def _reads_back(self, header: bytes) -> bool:
        """Whether a header row that was put together has just the columns of all, as another reader reads it."""
        standing = None if self.old is None else self.old.header
        if header == standing or any(header == taken.header for taken in self.taken.values()):
            return True  # nobody put it together here
        own = [taken.header for key, taken in self.taken.items() if key not in self.unusable and taken.rows]
        if self.old is not None:
            own += [self.old.headers[h.header] for h in self.held.values() if h.rows and h.header is not None]
        names = {name for one in set(own) if one is not None for name in column_names(one)}
        names |= set() if self.rules.columns is None else set(column_names(self.rules.columns))
        again = csv_fields(header)
        return again == column_names(header) and len(set(again)) == len(again) and set(again) >= names

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
