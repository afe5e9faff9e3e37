"""Compares one hour's ledger with its listing: which sources, under which settings, and what it leaves out.

Bytes are the business of `content` and `values`.

Pure, and a second opinion: it shares the ledger's parser with the builder, and not the plan.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets.audit.differences import Difference, Kind, LeftOut, Omissions, Some, Standing, about
from s3_assets.errors import ForeignTargetError, NewerFormatError
from s3_assets.hour_file.mending import ACCEPT_VANISHED, REBUILD, sync_command

UNREADABLE = "unreadable"
"""The reason in a ledger of a source that could not be read: it was not judged."""

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from s3_assets.errors import DamagedTargetError
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Ledger, Quarantined
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.hour_file.sources import SourceObject


def unreadable(hour: Hour, problem: DamagedTargetError) -> Difference:
    """An hour file whose ledger can't be read."""
    fix = "upgrade s3_assets on this machine" if isinstance(problem, NewerFormatError) else sync_command(hour, REBUILD)
    kind = Kind.FOREIGN if isinstance(problem, ForeignTargetError) else Kind.UNREADABLE
    return Difference(kind, Standing.WRONG, f"its hour file can't be read: {problem.detail}", fix, hour)


def compare(
    hour: Hour,
    ledger: Ledger | None,
    sources: Sequence[SourceObject],
    policy: EventPolicy,
    *,
    settled_before: datetime,
) -> list[Difference]:
    """What the hour file's ledger has otherwise than a complete listing.

    Args:
        hour: Which.
        ledger: Of its hour file; None where there is none.
        sources: The listing, which must not be older than the ledger.
        policy: The event's.
        settled_before: A source that was modified then or later may not be built yet: that is behind, not wrong.
    """
    fresh = {
        source.key for source in sources if source.last_modified is not None and source.last_modified >= settled_before
    }
    if ledger is None:
        return _without_hour_file(hour, sources, fresh)
    listed = {source.key: (source.etag, source.size) for source in sources}
    held = {source.key: (source.etag, source.size) for source in ledger.held}
    known = held | {bad.key: (bad.etag, bad.size) for bad in ledger.quarantined}
    sync = sync_command(hour)

    found: list[Difference] = []
    for kind, detail, keys in (
        (Kind.NOT_INGESTED, "sources that its hour file does not know", listed.keys() - known.keys()),
        (
            Kind.REWRITTEN,
            "sources of which its hour file holds another version",
            {key for key, identity in listed.items() if known.get(key, identity) != identity},
        ),
    ):
        found += about(kind, Standing.WRONG, detail, sync, hour=hour, keys=keys - fresh)
        found += about(kind, Standing.BEHIND, f"{detail}, new ones", sync, hour=hour, keys=keys & fresh)
    gone = held.keys() - listed.keys()
    if policy.on_vanished == "drop":
        flags = [ACCEPT_VANISHED] if len(gone) > policy.max_vanished_share * len(held) else []
        detail = "sources that are gone, whose rows should be gone too (on_vanished = drop)"
        fix = sync_command(hour, *flags)
        found += about(Kind.NOT_DROPPED, Standing.WRONG, detail, fix, hour=hour, keys=gone)
    forgettable = {
        bad.key for bad in ledger.quarantined if bad.key not in listed and (bad.alone or policy.on_vanished == "drop")
    }
    detail = "quarantined sources that are gone and still named"
    found += about(Kind.NOT_FORGOTTEN, Standing.WRONG, detail, sync, hour=hour, keys=forgettable)
    if listed:
        changed = [name for name, value in policy.row_settings().items() if ledger.settings.get(name, value) != value]
        detail = "its hour file was built under other settings of the event"
        found += about(Kind.OTHER_SETTINGS, Standing.WRONG, detail, sync, hour=hour, keys=changed)
    return found


def _without_hour_file(hour: Hour, sources: Sequence[SourceObject], fresh: set[str]) -> list[Difference]:
    keys = {source.key for source in sources}
    standing = Standing.BEHIND if keys <= fresh else Standing.WRONG
    detail = "it has sources and no hour file" if standing is Standing.WRONG else "it has new sources, no hour file yet"
    return about(Kind.NO_HOUR_FILE, standing, detail, sync_command(hour), hour=hour, keys=keys)


def restless(hour: Hour, looks: int) -> Difference:
    """An hour that was another one at each look."""
    detail = f"it changed under each of {looks} looks: audit it again when its producers rest"
    return Difference(Kind.RESTLESS, Standing.BEHIND, detail, "", hour)


def is_kept(ledger: Ledger | None, sources: Sequence[SourceObject]) -> bool:
    """Whether rows stand of which no source is left."""
    return ledger is not None and not sources and bool(ledger.held)


def lost(ledger: Ledger | None, sources: Sequence[SourceObject], policy: EventPolicy) -> list[Quarantined]:
    """Sources that are gone, and whose rows could stand in the hour file and do not; those without rows lost none."""
    if ledger is None or policy.on_vanished == "drop":
        return []
    listed = {source.key for source in sources}
    return [bad for bad in ledger.quarantined if not bad.alone and bad.rows != 0 and bad.key not in listed]


def omissions(
    hour: Hour,
    ledger: Ledger | None,
    sources: Sequence[SourceObject],
    policy: EventPolicy,
    *,
    found: Collection[str] = (),
) -> Omissions:
    """What a correct hour file does not hold, or holds although its source is gone.

    Args:
        hour: Which.
        ledger: Of its hour file; None where there is none.
        sources: The listing.
        policy: The event's.
        found: Keys among the `lost` whose rows are in an older version: they are a difference, not gone for good.
    """
    if ledger is None:
        return Omissions()
    listed = {source.key for source in sources}
    there = [bad for bad in ledger.quarantined if bad.key in listed]

    def some(bad: Iterable[Quarantined]) -> Some:
        return Some.of(LeftOut(hour.event, one.key, one.reason, one.detail) for one in bad)

    vanished = [held for held in ledger.held if held.key not in listed] if policy.on_vanished == "keep" else []
    gone = [one for one in lost(ledger, sources, policy) if one.key not in found]
    return Omissions(
        quarantined=some(bad for bad in there if bad.alone),
        waiting=some(bad for bad in there if not bad.alone and bad.reason != UNREADABLE),
        unreadable=some(bad for bad in there if not bad.alone and bad.reason == UNREADABLE),
        vanished_sources=len(vanished),
        vanished_rows=sum(held.rows for held in vanished),
        lost_sources=len(gone),
        lost_rows=sum(one.rows or 0 for one in gone),
    )
