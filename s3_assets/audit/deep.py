"""The deep part of an audit: reads an hour file and its sources, and compares their rows.

The hour file is read in spans of neighbouring segments, each with its own sources, so several are under way at once
and memory is bounded by a few blocks of each. A source that can't be read by itself is named with the store's reason,
and the rest of the hour is audited.
"""

from __future__ import annotations

from collections import defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from s3_assets.audit.content import Bytes, columns_of, data_stop, read_segments
from s3_assets.audit.differences import Difference, Kind, Standing, about
from s3_assets.audit.values import Verdict, Why, compare_source, is_usable
from s3_assets.errors import (
    AccessDeniedError,
    ArchivedError,
    BodyCutError,
    BucketNotFoundError,
    ChangedAnswerError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    shortened,
)
from s3_assets.hour_file.mending import REBUILD, sync_command

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from s3_assets.audit.content import CsvRows
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.target import Target
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Held, Ledger, Segment
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.hour_file.sources import SourceObject
    from s3_assets.store.contract import Download

SPAN_BYTES = 4 * 1024 * 1024
"""Segments are read together up to this size,"""

SPAN_SOURCES = 16
"""and up to this number of sources, which are read one after the other."""


_KINDS: dict[type[StoreError], str] = {
    AccessDeniedError: "denied",
    ArchivedError: "archived",
    BodyCutError: "cut",
    ChangedAnswerError: "not as listed",
    NotFoundError: "listed, and not there",
    PreconditionFailedError: "not as listed",
}


class _SourceReadError(Exception):
    """A source can't be read by itself; `why` keeps no error, which would keep its frames and what they hold."""

    def __init__(self, cause: StoreError) -> None:
        kind = _KINDS.get(type(cause), "refused")
        self.why = Why(kind, f"{cause.detail}; {cause.hint}" if cause.hint else cause.detail)
        super().__init__(str(cause))


@dataclass(slots=True)
class _Found:
    """What was found of some of an hour's sources.

    Attributes:
        damaged: As in `Bytes`.
        others: How the rows in the hour file are not those at the source, by key.
        unusable: Why a source would be quarantined if it came today, by key.
        unreadable: Why a source can't be read, by key.
    """

    damaged: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    unusable: dict[str, Why] = field(default_factory=dict)
    unreadable: dict[str, Why] = field(default_factory=dict)


def examine_bytes(
    pipeline: Pipeline, hour: Hour, target: Target, ledger: Ledger, sources: Sequence[SourceObject]
) -> list[Difference]:
    """Read the hour file, and the listed sources that it says to hold or to have found unusable.

    Raises:
        NotFoundError: The hour file is gone,
        PreconditionFailedError: or was replaced.
        StoreError: What the store raises that is not about one source.
    """
    listed = {source.key: source for source in sources}
    policy = replace(pipeline.policy(hour.event), header=ledger.settings.get("header", "true") == "true")
    reader = _Reader(pipeline, target, ledger, policy, listed)
    found = _Found()
    for part in pipeline.workers.fetch.map(reader.examine, _spans(ledger)):
        found.damaged += part.damaged
        found.others |= part.others
        found.unusable |= part.unusable
        found.unreadable |= part.unreadable
    quarantined = [
        listed[bad.key]
        for bad in ledger.quarantined
        if bad.alone and bad.key in listed and (bad.etag, bad.size) == _identity(listed[bad.key])
    ]
    usable: list[str] = []
    for source, result in zip(quarantined, pipeline.workers.fetch.map(reader.judge, quarantined), strict=True):
        if isinstance(result, Why):
            found.unreadable[source.key] = result
        elif result:
            usable.append(source.key)
    return _differences(hour, found, usable)


def _differences(hour: Hour, found: _Found, usable: Collection[str]) -> list[Difference]:
    rebuild = sync_command(hour, REBUILD)
    said = [
        Difference(
            Kind.DAMAGED, Standing.WRONG, f"its hour file is damaged: {what}", rebuild, hour, keys[:1], len(keys)
        )
        for what, keys in found.damaged
    ]
    if found.others:
        first = min(found.others)
        whose = "" if len(found.others) == 1 else "of the first, "
        detail = (
            f"sources whose rows in its hour file are not those at the source ({whose}{shortened(found.others[first])})"
        )
        said += about(Kind.OTHER_ROWS, Standing.WRONG, detail, rebuild, hour=hour, keys=found.others)
    for reason, keys in _grouped(found.unusable):
        detail = f"sources that would be quarantined if they came today ({reason})"
        said += about(Kind.UNUSABLE, Standing.WRONG, detail, rebuild, hour=hour, keys=keys)
    for reason, keys in _grouped(found.unreadable):
        detail = f"sources that can't be read, so their rows were not compared ({reason})"
        said += about(Kind.UNREADABLE_SOURCE, Standing.WRONG, detail, "", hour=hour, keys=keys)
    detail = "quarantined sources that can be read after all"
    said += about(Kind.USABLE, Standing.WRONG, detail, rebuild, hour=hour, keys=usable)
    return said


def _grouped(reasons: Mapping[str, Why]) -> Iterator[tuple[str, list[str]]]:
    """The keys of each kind, and the reason in words: of the first, where there are several."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for key in sorted(reasons):
        keys[reasons[key].kind].append(key)
    for kind, those in keys.items():
        first = shortened(reasons[those[0]].detail)
        yield f"{kind}: {first}" if len(those) == 1 else f"{kind}; of the first, {first}", those


def _identity(source: SourceObject) -> tuple[str, int]:
    return source.etag, source.size


def _spans(ledger: Ledger) -> Iterator[tuple[Segment, ...]]:
    """The segments, in runs of neighbours that are read together."""
    span: list[Segment] = []
    size = sources = 0
    for segment in ledger.segments:
        size += segment.length
        sources += len(segment.sources)
        if span and (size > SPAN_BYTES or sources > SPAN_SOURCES):
            yield tuple(span)
            span, size, sources = [], segment.length, len(segment.sources)
        span.append(segment)
    yield tuple(span)  # also where there is none: the file's first bytes are looked at


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads parts of one hour."""

    pipeline: Pipeline
    target: Target
    ledger: Ledger
    policy: EventPolicy
    listed: Mapping[str, SourceObject]

    def examine(self, span: tuple[Segment, ...]) -> _Found:
        """Read the segments and their sources. What is inconclusive or could not be read is read a second time."""
        found, again = self._read(span)
        for segment in span:
            keys = {held.key for held in segment.sources} & again
            if keys:
                second, _ = self._read((segment,), only=keys)
                found.damaged += second.damaged
                found.others |= second.others
                found.unusable |= second.unusable
                found.unreadable |= second.unreadable
        return found

    def _read(self, span: tuple[Segment, ...], only: Collection[str] | None = None) -> tuple[_Found, set[str]]:
        """What was found, and the sources to be read again. `only` these are compared the second time."""
        found = _Found()
        again: set[str] = set()
        columns = None if self.ledger.header is None else columns_of(self.ledger.header)

        def look(held: Held, rows: CsvRows) -> None:
            source = self.listed.get(held.key)
            if source is None or (held.etag, held.size) != _identity(source):
                return
            if only is not None and held.key not in only:
                return
            try:
                with self._opened(source) as stored:
                    compared = compare_source(stored, rows, columns, self.policy, by_values=only is not None)
            except _SourceReadError as error:
                if only is None:
                    again.add(held.key)
                else:
                    found.unreadable[held.key] = error.why
                return
            if compared.verdict is Verdict.BY_VALUES:
                again.add(held.key)
                return
            if compared.verdict is Verdict.DIFFERENT:
                found.others[held.key] = compared.what
            if compared.unusable is not None:
                found.unusable[held.key] = compared.unusable

        starts_file = not span or span[0] is self.ledger.segments[0]
        start = 0 if starts_file else span[0].offset
        stop = span[-1].stop if span else data_stop(self.ledger)
        download = self.pipeline.target.get(self.target.key, if_match=self.target.etag, span=(start, stop))
        try:
            read: Bytes = read_segments(self.ledger, span, download, starts_file=starts_file, look=look)
        finally:
            download.close()
        found.damaged = read.damaged
        for hit in {key for _, keys in read.damaged for key in keys}:
            found.others.pop(hit, None)  # what was compared with it proves nothing
            again.discard(hit)
        return found, again

    def judge(self, source: SourceObject) -> bool | Why:
        """Whether a quarantined source is usable; why it can't be read where it can't."""
        for is_last in (False, True):
            try:
                with self._opened(source) as stored:
                    return is_usable(stored, self.policy)
            except _SourceReadError as error:
                if is_last:
                    return error.why
        raise AssertionError

    @contextmanager
    def _opened(self, source: SourceObject) -> Iterator[Iterator[bytes]]:
        """The bytes of a source as it is listed.

        Raises:
            _SourceReadError: It can't be read by itself; also while it is read.
        """
        with _blamed_on_it():
            download = self.pipeline.source.get(self.pipeline.source_prefix + source.key, if_match=source.etag)
        try:
            info = download.info
            if (info.etag, info.size) != _identity(source):
                detail = f"it was answered with ETag {info.etag} and {info.size:,} bytes"
                raise _SourceReadError(ChangedAnswerError("GetObject", source.key, detail))
            yield _chunks(download)
        finally:
            download.close()


def _chunks(download: Download) -> Iterator[bytes]:
    with _blamed_on_it():
        yield from download


@contextmanager
def _blamed_on_it() -> Iterator[None]:
    """Take an error for one source's own, but for a store that does not answer, which says nothing of a source."""
    try:
        yield
    except (BodyCutError, ChangedAnswerError) as error:
        raise _SourceReadError(error) from error
    except (StoreUnavailableError, BucketNotFoundError):
        raise
    except StoreError as error:
        raise _SourceReadError(error) from error
