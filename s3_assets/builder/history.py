"""The versions of one hour file: what each holds, what changed from one to the next, and bringing one back.

Only where the bucket is versioned; where it is not, there is one version, without a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from s3_assets.builder.commit import PUT_PART_BYTES, WHOLE_PUT_BYTES
from s3_assets.builder.salvage import is_intact
from s3_assets.builder.target import Target, read_target, read_version
from s3_assets.errors import ContendedError, DamagedTargetError, NotFoundError, PreconditionFailedError, shortened
from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.plan import Change
from s3_assets.hour_file.segments import GZIP_HEADER
from s3_assets.plural import counted
from s3_assets.store.contract import MAX_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3_assets.builder.build import HourResult
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Ledger
    from s3_assets.hour_file.plan import Plan
    from s3_assets.store.contract import ObjectInfo, ObjectVersion


MOST_NAMED = 3
"""Sources that a change names on each side; all are counted."""


@dataclass(frozen=True, slots=True)
class Moved:
    """One source whose rows came into an hour file, or left it.

    Attributes:
        key: Relative to the source prefix.
        rows: How many.
        how: In a word or two: `new`, `rewritten`, `read again`, `quarantined`, `gone`.
    """

    key: str
    rows: int
    how: str

    def __str__(self) -> str:
        key = shortened(self.key)
        return key if self.how == NEW else f"{key} {self.how}"


NEW, REWRITTEN, READ_AGAIN, QUARANTINED, GONE = "new", "rewritten", "read again", "quarantined", "gone"
"""Why rows of a source come or leave: it was not in the hour file, has another content, is counted otherwise though its
content is the same, can't be used any more, or is not in the hour file any more."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What one version of an hour file holds otherwise than the one before it, or several versions together.

    Rows of a source count where it came or went, where its key, ETag or size is another one, and where it has another
    number of rows: all of its old rows left then, and all of its new ones came.

    Attributes:
        added: Sources that came in.
        rewritten: Sources of which it holds another version.
        removed: Sources whose rows went.
        quarantined: Sources that are newly named as unusable.
        rows_added: Rows that came,
        sources_added: of how many sources,
        added_by: and of which, the first few in key order.
        rows_removed: Rows that left,
        sources_removed: of how many sources,
        removed_by: and of which, the first few in key order.
    """

    added: int = 0
    rewritten: int = 0
    removed: int = 0
    quarantined: int = 0
    rows_added: int = 0
    sources_added: int = 0
    added_by: tuple[Moved, ...] = ()
    rows_removed: int = 0
    sources_removed: int = 0
    removed_by: tuple[Moved, ...] = ()

    @property
    def rows(self) -> int:
        """Rows more, or less."""
        return self.rows_added - self.rows_removed

    def __add__(self, other: Changes) -> Changes:
        """Those of two hours, or of two versions, together, in whatever order."""
        return Changes(
            self.added + other.added,
            self.rewritten + other.rewritten,
            self.removed + other.removed,
            self.quarantined + other.quarantined,
            self.rows_added + other.rows_added,
            self.sources_added + other.sources_added,
            _first(self.added_by + other.added_by),
            self.rows_removed + other.rows_removed,
            self.sources_removed + other.sources_removed,
            _first(self.removed_by + other.removed_by),
        )

    def __str__(self) -> str:
        counts = (
            (self.added, "added"),
            (self.rewritten, "rewritten"),
            (self.removed, "removed"),
            (self.quarantined, "quarantined"),
        )
        said = [f"{count:,} {what}" for count, what in counts if count]
        if said or self.rows_added or self.rows_removed:
            said.append(self.row_counts())
        return ", ".join(said) or "the same sources"

    def row_counts(self) -> str:
        """`+1,204 rows, -3 rows`."""
        left = [f"-{counted(self.rows_removed, 'row')}"] if self.rows_removed else []
        came = [f"+{counted(self.rows_added, 'row')}"] if self.rows_added or not left else []
        return ", ".join([*came, *left])

    def sentence(self) -> str:
        """`+1,204 rows, -3 rows (from 1 source: ev/…/07_00_a.csv rewritten; added by 2 sources: …)`."""
        by = []
        if self.rows_removed:
            by.append(f"from {_named(self.sources_removed, self.removed_by)}")
        if self.rows_added:
            by.append(f"added by {_named(self.sources_added, self.added_by)}")
        return self.row_counts() + (f" ({'; '.join(by)})" if by else "")

    def leaving_sentence(self) -> str:
        """`3 rows leave (from 1 source: ev/…/07_00_a.csv rewritten)`, of what `leaving` foresees."""
        verb = "leaves" if self.rows_removed == 1 else "leave"
        return f"{counted(self.rows_removed, 'row')} {verb} (from {_named(self.sources_removed, self.removed_by)})"

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "rows_added": self.rows_added,
            "rows_removed": self.rows_removed,
            "added_by": _json(self.sources_added, self.added_by),
            "removed_by": _json(self.sources_removed, self.removed_by),
        }


def _first(moved: Iterable[Moved]) -> tuple[Moved, ...]:
    return tuple(sorted(moved, key=lambda one: order_key(one.key))[:MOST_NAMED])


def _named(count: int, first: tuple[Moved, ...]) -> str:
    names = ", ".join(map(str, first))
    more = f" and {count - len(first):,} more" if count > len(first) else ""
    return f"{counted(count, 'source')}: {names}{more}"


def _json(count: int, first: tuple[Moved, ...]) -> dict[str, Any]:
    return {"sources": count, "first": [{"key": one.key, "rows": one.rows, "how": one.how} for one in first]}


def changes(before: Ledger | None, after: Ledger | None) -> Changes:
    """From one version to the next; `before` is None where there was none, or none that can be read.

    `after` is None where the hour file was removed.
    """
    held_before = {} if before is None else {source.key: source for source in before.held}
    bad_before = set() if before is None else {(bad.key, bad.etag) for bad in before.quarantined}
    held = {} if after is None else {source.key: source for source in after.held}
    bad = {} if after is None else {source.key: source for source in after.quarantined}
    came, left = [], []
    for key in sorted(held.keys() | held_before.keys(), key=order_key):
        old, new = held_before.get(key), held.get(key)
        if new is None:
            left.append(Moved(key, held_before[key].rows, QUARANTINED if key in bad else GONE))
        elif old is None:
            came.append(Moved(key, new.rows, NEW))
        elif (old.etag, old.size, old.rows) != (new.etag, new.size, new.rows):
            how = READ_AGAIN if (old.etag, old.size) == (new.etag, new.size) else REWRITTEN
            left.append(Moved(key, old.rows, how))
            came.append(Moved(key, new.rows, how))
    came, left = [one for one in came if one.rows], [one for one in left if one.rows]
    return Changes(
        added=len(held.keys() - held_before.keys()),
        rewritten=sum(
            (held_before[key].etag, held_before[key].size) != (held[key].etag, held[key].size)
            for key in held.keys() & held_before.keys()
        ),
        removed=len(held_before.keys() - held.keys()),
        quarantined=len({(one.key, one.etag) for one in bad.values()} - bad_before),
        rows_added=sum(one.rows for one in came),
        sources_added=len(came),
        added_by=tuple(came[:MOST_NAMED]),
        rows_removed=sum(one.rows for one in left),
        sources_removed=len(left),
        removed_by=tuple(left[:MOST_NAMED]),
    )


def made_changes(result: HourResult) -> Changes:
    """What was changed by making an hour; nothing where nothing was written."""
    return changes(result.before, result.ledger) if result.plan.writes else Changes()


def leaving(plan: Plan, ledger: Ledger | None) -> Changes:
    """The rows that can leave by a plan, as far as the ledger of the hour file tells without reading a source.

    Those of vanished sources that it lets go leave; those of a rewritten one leave, and what comes is not known.
    """
    held = {} if ledger is None else {source.key: source for source in ledger.held}
    words = {Change.REWRITTEN: REWRITTEN, Change.VANISHED: GONE}
    left = [
        Moved(action.key, held[action.key].rows, words[action.change])
        for action in plan.actions
        if plan.writes and action.change in words and action.key in held and held[action.key].rows
    ]
    return Changes(
        rows_removed=sum(one.rows for one in left),
        sources_removed=len(left),
        removed_by=tuple(left[:MOST_NAMED]),
    )


def read_again(plan: Plan, ledger: Ledger | None) -> tuple[int, int]:
    """Held sources that a plan reads again though they did not change, and their rows.

    A rebuild and a change of the event's settings do so. Which of the rows leave by it, only reading tells.
    """
    held = {} if ledger is None else {source.key: source for source in ledger.held}
    again = [
        held[action.key].rows
        for action in plan.actions
        if plan.writes and action.change is Change.REREAD and action.key in held
    ]
    return len(again), sum(again)


@dataclass(frozen=True, slots=True)
class HourVersion:
    """One version of an hour file, or that it was deleted.

    Attributes:
        info: When and how large; its `version_id` is None where the bucket is not versioned.
        is_deleted: Whether the hour file was deleted then.
        stands: Whether it is what readers see.
        rows: In it; None where its ledger can't be read,
        sources: and of how many sources.
        quarantined: How many it names as unusable.
        changes: Against the version before; None where either can't be read.
        problem: Why its ledger can't be read.
    """

    info: ObjectInfo
    is_deleted: bool
    stands: bool
    rows: int | None = None
    sources: int | None = None
    quarantined: int | None = None
    changes: Changes | None = None
    problem: str | None = None


def history(pipeline: Pipeline, hour: Hour) -> Iterator[HourVersion]:
    """All versions of the hour file, newest first; two ledgers are held at a time.

    Raises:
        StoreError: They can't be listed or read.
    """
    versions = list(pipeline.target.list_versions(pipeline.target_key(hour)))
    target = _read(pipeline, hour, versions[0], stands=True) if versions else None
    for place, version in enumerate(versions):
        before = versions[place + 1] if place + 1 < len(versions) else None
        older = None if before is None else _read(pipeline, hour, before, stands=False)
        yield _described(version, target, None if before is None else (before, older), stands=place == 0)
        target = older


def _read(pipeline: Pipeline, hour: Hour, version: ObjectVersion, *, stands: bool) -> Target | None:
    if version.is_deleted:
        return None
    key, version_id = pipeline.target_key(hour), version.info.version_id
    if version_id is None:  # written before versioning was on: it can be read as long as it stands
        return read_target(pipeline.target, key, hour) if stands else None
    return read_version(pipeline.target, key, hour, version_id)


def _described(
    version: ObjectVersion, target: Target | None, before: tuple[ObjectVersion, Target | None] | None, *, stands: bool
) -> HourVersion:
    if version.is_deleted:
        return HourVersion(version.info, is_deleted=True, stands=stands)
    if target is None or target.ledger is None:
        problem = "it is gone" if target is None or target.problem is None else target.problem.detail
        return HourVersion(version.info, is_deleted=False, stands=stands, problem=problem)
    ledger = target.ledger
    known = True
    older: Ledger | None = None
    if before is not None and not before[0].is_deleted:
        older = None if before[1] is None else before[1].ledger
        known = older is not None
    return HourVersion(
        version.info,
        is_deleted=False,
        stands=stands,
        rows=ledger.rows,
        sources=len(ledger.held),
        quarantined=len(ledger.quarantined),
        changes=changes(older, ledger) if known else None,
    )


def restore(pipeline: Pipeline, hour: Hour, version_id: str) -> ObjectInfo | None:
    """Bring a version back, as a new one, if nobody writes meanwhile; None where it stands already.

    Every segment of it is read and checked first.

    Raises:
        NotFoundError: There is no such version.
        DamagedTargetError: It is damaged, or no hour file of this hour: nothing was written.
        ContendedError: The hour file was written meanwhile: it was left as it is.
    """
    key, store = pipeline.target_key(hour), pipeline.target
    standing = store.head(key)
    if standing is not None and standing.version_id == version_id:
        return None
    old = read_version(store, key, hour, version_id)
    if old is None:
        raise NotFoundError("GetObject", key, f"there is no version {version_id!r} of it, or it marks a deletion")
    if old.ledger is None:
        raise old.problem or DamagedTargetError(key, "its ledger can't be read")
    if old.read(store, 0, len(GZIP_HEADER)) != GZIP_HEADER:
        raise DamagedTargetError(key, f"its version {version_id} does not begin as an hour file does")
    for segment in old.ledger.segments:
        if not is_intact(store, old, segment):
            raise DamagedTargetError(
                key, f"its version {version_id} is damaged in the segment at byte {segment.offset}"
            )
    try:
        return _write(pipeline, old, None if standing is None else standing.etag)
    except PreconditionFailedError as error:
        msg = f"{hour} was written while its version {version_id} was brought back: it was left as it is"
        raise ContendedError(msg) from error


def _write(pipeline: Pipeline, old: Target, if_match: str | None) -> ObjectInfo:
    """The bytes of `old` in place of the hour file that has that ETag, or where there is none."""
    store, absent = pipeline.target, if_match is None
    if old.size <= WHOLE_PUT_BYTES:
        return store.put(old.key, old.read(store, 0, old.size), if_match=if_match, if_absent=absent)
    step = max(PUT_PART_BYTES, -(-old.size // (MAX_PARTS // 2)))
    with store.start_upload(old.key) as upload:
        for number, start in enumerate(range(0, old.size, step), start=1):
            upload.put_part(number, old.open(store, start, min(old.size, start + step)).read())
        return upload.complete(if_match=if_match, if_absent=absent)
