"""The versions of one hour file: what each holds, what changed from one to the next, and bringing one back.

Only where the bucket is versioned; where it is not, there is one version, without a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3_assets.builder.commit import PUT_PART_BYTES, WHOLE_PUT_BYTES
from s3_assets.builder.salvage import is_intact
from s3_assets.builder.target import Target, read_target, read_version
from s3_assets.errors import ContendedError, DamagedTargetError, NotFoundError, PreconditionFailedError
from s3_assets.hour_file.segments import GZIP_HEADER
from s3_assets.store.contract import MAX_PARTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Ledger
    from s3_assets.store.contract import ObjectInfo, ObjectVersion


@dataclass(frozen=True, slots=True)
class Changes:
    """What one version of an hour file holds otherwise than the one before it; numbers of sources, and rows.

    Attributes:
        added: Sources that came in.
        rewritten: Sources of which it holds another version.
        removed: Sources whose rows went.
        quarantined: Sources that are newly named as unusable.
        rows: Rows more, or less.
    """

    added: int = 0
    rewritten: int = 0
    removed: int = 0
    quarantined: int = 0
    rows: int = 0

    def __str__(self) -> str:
        counts = (
            (self.added, "added"),
            (self.rewritten, "rewritten"),
            (self.removed, "removed"),
            (self.quarantined, "quarantined"),
        )
        said = [f"{count:,} {what}" for count, what in counts if count]
        if self.rows or said:
            said.append(f"{self.rows:+,} rows")
        return ", ".join(said) or "the same sources"


def changes(before: Ledger | None, after: Ledger) -> Changes:
    """From one version to the next; `before` is None where there was none, or none that can be read."""
    held_before = {} if before is None else {source.key: (source.etag, source.size) for source in before.held}
    bad_before = set() if before is None else {(bad.key, bad.etag) for bad in before.quarantined}
    held = {source.key: (source.etag, source.size) for source in after.held}
    return Changes(
        added=len(held.keys() - held_before.keys()),
        rewritten=sum(held_before[key] != held[key] for key in held.keys() & held_before.keys()),
        removed=len(held_before.keys() - held.keys()),
        quarantined=len({(bad.key, bad.etag) for bad in after.quarantined} - bad_before),
        rows=after.rows - (0 if before is None else before.rows),
    )


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
