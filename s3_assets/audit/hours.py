"""Audits hours over a pipeline: looks at ledgers, listings and bytes, and looks again before it says that one differs.

Read-only but for `abort_left_open`, which is asked for by name. A listing or a read of the hour file that fails is an
hour that was not audited, never one that is up to date and never a difference.
"""

from __future__ import annotations

import shlex
from contextlib import closing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from s3_assets.audit.compare import compare, is_kept, lost, omissions, restless, unreadable
from s3_assets.audit.deep import examine_bytes
from s3_assets.audit.differences import Difference, HourAudit, Kind, LeftOut, Omissions, Some, Standing
from s3_assets.audit.evicted import Evicted, find_evicted
from s3_assets.builder import commit
from s3_assets.builder.build import Seen, see
from s3_assets.builder.reconcile import each_hour, observe
from s3_assets.errors import AccessDeniedError, NotFoundError, PreconditionFailedError, StoreError
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.sources import Listing
from s3_assets.store.metered import MeteredStore
from s3_assets.store.s3 import STAGING_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.reconcile import HourFailure, Scope
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Ledger
    from s3_assets.hour_file.sources import SourceObject
    from s3_assets.store.contract import OpenUpload

GRACE = timedelta(minutes=15)
"""A source that came no longer ago may wait for the sensor's tick and its run: it is behind, not wrong."""

LOOKS = 5
"""How often an hour that keeps changing is looked at."""


@dataclass(frozen=True, slots=True)
class AuditOptions:
    """How hard to look.

    Attributes:
        deep: Read all bytes of hour files and of the sources that are still there.
        grace: How long after its arrival a source may be not built yet.
    """

    deep: bool = False
    grace: timedelta = GRACE


@dataclass(slots=True)
class Sweep:
    """What listings of both prefixes show.

    Attributes:
        hours: All hours of the range that have sources or an hour file.
        differences: What belongs to no hour.
        listing: What at the source belongs to no hour; its hours are not kept.
    """

    hours: set[Hour] = field(default_factory=set)
    differences: list[Difference] = field(default_factory=list)
    listing: Listing = field(default_factory=Listing)


def sweep(pipeline: Pipeline, scope: Scope) -> Sweep:
    """List both prefixes: which hours there are, what is there beside them, which uploads are open.

    Raises:
        StoreError: A listing failed: nothing is known then.
    """
    found = Sweep(listing=observe(pipeline, scope))
    found.hours |= set(found.listing.hours)
    found.listing.hours.clear()
    skip = len(pipeline.target_prefix)
    for prefix in _target_prefixes(pipeline, scope):
        for info in pipeline.target.list(prefix):
            hour = pipeline.grammar.target_hour(info.key[skip:])
            if hour is not None:
                if scope.holds(hour):
                    found.hours.add(hour)
            elif not _is_beside(info.key, info.size):
                found.differences.append(_foreign(pipeline, info.key))
        try:
            found.differences += _open_uploads(pipeline, list(pipeline.target.list_uploads(prefix)))
        except AccessDeniedError:
            detail = "open uploads could not be listed: allow s3:ListBucketMultipartUploads to have them looked at"
            found.differences.append(Difference(Kind.OPEN_UPLOAD, Standing.BEHIND, detail, ""))
    return found


def audit_hours(
    pipeline: Pipeline,
    hours: Iterable[Hour],
    options: AuditOptions = AuditOptions(),
) -> Iterator[HourAudit | HourFailure]:
    """Audit hours, several at once; outcomes come as they are ready, in no order, one for each hour."""

    def audit(hour: Hour, seen: Seen) -> HourAudit:
        return audit_hour(pipeline, hour, seen, options)

    yield from each_hour(pipeline, hours, audit)


def audit_hour(
    pipeline: Pipeline,
    hour: Hour,
    seen: Seen,
    options: AuditOptions = AuditOptions(),
) -> HourAudit:
    """Audit one hour that was seen already. What differs is looked at again: only what stands still is reported.

    Raises:
        StoreError: It could not be read.
    """
    source, target = MeteredStore(pipeline.source), MeteredStore(pipeline.target)
    metered = pipeline.with_stores(source, target)
    policy = pipeline.policy(hour.event)
    differences: list[Difference] = []
    evicted = Evicted()
    rowless: Some | None = None
    for _ in range(LOOKS):
        rowless = _rowless(metered, hour, seen)
        if rowless is not None:
            break
        try:
            evicted = find_evicted(pipeline, hour, lost(_ledger(seen), seen.sources, policy))
            differences = [*_examine(metered, hour, seen, options), *evicted.differences]
        except _ChangedError:
            seen = see(pipeline, hour)
            continue
        if not differences:
            break
        again = see(pipeline, hour)
        if _identity(again) == _identity(seen):
            break
        seen = again
    else:
        differences = [restless(hour, LOOKS)]
    ledger = _ledger(seen)
    return HourAudit(
        hour,
        tuple(differences),
        sources=len(seen.sources),
        rows=0 if ledger is None else ledger.rows,
        bytes_read=source.traffic.bytes_down + target.traffic.bytes_down,
        kept=is_kept(ledger, seen.sources),
        omissions=omissions(hour, ledger, seen.sources, policy, found=evicted.keys)
        if rowless is None
        else Omissions(quarantined=rowless),
    )


def abort_left_open(pipeline: Pipeline, scope: Scope) -> int:
    """Abort the uploads below the target prefix that no builder can be using any more; how many that were.

    Raises:
        StoreError: They can't be listed, or one can't be aborted.
    """
    aborted = 0
    for prefix in _target_prefixes(pipeline, scope):
        for upload in list(commit.abandoned(pipeline, pipeline.target.list_uploads(prefix))):
            if pipeline.grammar.target_hour(upload.key[len(pipeline.target_prefix) :]) is not None:
                pipeline.target.abort_upload(upload)
                aborted += 1
    return aborted


# --- one hour ----------------------------------------------------------------------------------------------


class _ChangedError(Exception):
    """The hour is not what was seen any more."""


def _ledger(seen: Seen) -> Ledger | None:
    return None if seen.target is None else seen.target.ledger


def _identity(seen: Seen) -> tuple[str | None, tuple[SourceObject, ...]]:
    return None if seen.target is None else seen.target.etag, seen.sources


def _rowless(pipeline: Pipeline, hour: Hour, seen: Seen) -> Some | None:
    """The unusable sources of an hour that has no hour file since none of its sources has a row; None of any other."""
    if seen.target is not None or not seen.sources:
        return None
    policy, unusable = pipeline.policy(hour.event), []
    for source in seen.sources:
        try:
            download = pipeline.source.get(pipeline.source_prefix + source.key, if_match=source.etag)
            with closing(download):
                if any(SourceRows(download, policy)):
                    return None
        except UnusableSourceError as error:
            unusable.append(LeftOut(hour.event, source.key, error.reason, error.detail))
        except StoreError:
            return None  # then it is not known
    return Some.of(unusable)


def _examine(pipeline: Pipeline, hour: Hour, seen: Seen, options: AuditOptions) -> list[Difference]:
    target, ledger = seen.target, _ledger(seen)
    if target is not None and target.problem is not None:
        return [unreadable(hour, target.problem)]
    settled_before = pipeline.clock() - options.grace
    policy = pipeline.policy(hour.event)
    found = compare(hour, ledger, seen.sources, policy, settled_before=settled_before)
    if options.deep and target is not None and ledger is not None:
        try:
            found += examine_bytes(pipeline, hour, target, ledger, seen.sources)
        except (NotFoundError, PreconditionFailedError) as error:
            raise _ChangedError from error
    return found


# --- what belongs to no hour -------------------------------------------------------------------------------


def _target_prefixes(pipeline: Pipeline, scope: Scope) -> list[str]:
    events = [""] if scope.events is None else [f"{event}/" for event in scope.events]
    return [pipeline.target_prefix + event for event in events]


def _is_beside(key: str, size: int) -> bool:
    """Whether an object below the target prefix is the mark of a folder, or an upload that is staged."""
    return (key.endswith("/") and not size) or key.startswith(STAGING_PREFIX)


def _foreign(pipeline: Pipeline, key: str) -> Difference:
    uri = shlex.quote(f"s3://{pipeline.target.bucket}/{key}")
    fix = f"aws s3 mv {uri} s3://SOME-OTHER-BUCKET/  (look at it first: it may be someone's)"
    detail = "an object below the target prefix that is no hour file"
    return Difference(Kind.FOREIGN, Standing.WRONG, detail, fix, None, (key,))


def _open_uploads(pipeline: Pipeline, uploads: list[OpenUpload]) -> Iterator[Difference]:
    old = set(commit.abandoned(pipeline, uploads))
    for upload in sorted(uploads, key=lambda upload: (upload.key, upload.initiated)):
        hour = pipeline.grammar.target_hour(upload.key[len(pipeline.target_prefix) :])
        what = f"an upload of {upload.key!r} has been open since {upload.initiated:%Y-%m-%d %H:%M} UTC"
        if upload not in old:
            hours = int(commit.ABANDONED_AFTER.total_seconds() // 3600)
            detail = f"{what}: a builder may be using it, until it is {hours} hours old"
            yield Difference(Kind.OPEN_UPLOAD, Standing.BEHIND, detail, "", hour)
        elif hour is None:
            detail = f"{what}, and is not of an hour file"
            bucket, key, name = pipeline.target.bucket, shlex.quote(upload.key), shlex.quote(upload.upload_id)
            fix = f"aws s3api abort-multipart-upload --bucket {bucket} --key {key} --upload-id {name}"
            yield Difference(Kind.OPEN_UPLOAD, Standing.WRONG, detail, fix)
        else:
            fix = f"s3-assets verify --abort-uploads --event {shlex.quote(hour.event)}"
            yield Difference(Kind.OPEN_UPLOAD, Standing.WRONG, f"{what}: its builder is dead", fix, hour)
