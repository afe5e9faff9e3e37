"""Looks for rows that an older s3_assets took out of an hour file, and whose source is gone, in the file's versions.

Read-only. One GET for each version that is looked at, and only for hours whose ledger names such a source.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from s3_assets.audit.differences import Difference, Kind, Standing, about
from s3_assets.builder.salvage import MOST_VERSIONS
from s3_assets.builder.target import read_version
from s3_assets.errors import AccessDeniedError
from s3_assets.hour_file.mending import REBUILD, sync_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Quarantined


@dataclass(frozen=True, slots=True)
class Evicted:
    """What the older versions of an hour file have.

    Attributes:
        keys: Sources whose rows are in one of them.
        differences: What to report of it.
    """

    keys: frozenset[str] = frozenset()
    differences: tuple[Difference, ...] = ()


def find_evicted(pipeline: Pipeline, hour: Hour, lost: Sequence[Quarantined]) -> Evicted:
    """Which of the `lost` sources an older version of the hour file holds, with the same ETag and size.

    Raises:
        StoreError: The versions can't be listed or read.
    """
    wanted = {one.key: (one.etag, one.size) for one in lost if one.rows and one.etag}
    if not wanted:
        return Evicted()
    try:
        found = _look(pipeline, hour, wanted)
    except AccessDeniedError:
        detail = "older versions of the hour file could not be looked at for rows of sources that are gone: allow "
        detail += "s3:ListBucketVersions and s3:GetObjectVersion"
        return Evicted(differences=tuple(about(Kind.EVICTED, Standing.BEHIND, detail, "", hour=hour, keys=wanted)))
    detail = "sources that are gone, whose rows left its hour file and stand in an older version of it"
    fix = sync_command(hour, REBUILD)
    return Evicted(frozenset(found), tuple(about(Kind.EVICTED, Standing.WRONG, detail, fix, hour=hour, keys=found)))


def _look(pipeline: Pipeline, hour: Hour, wanted: dict[str, tuple[str, int]]) -> set[str]:
    """Newest first, until all are found."""
    key = pipeline.target_key(hour)
    found: set[str] = set()
    for version in islice(pipeline.target.list_versions(key), MOST_VERSIONS):
        version_id = version.info.version_id
        if version.is_deleted or version_id is None:
            continue
        old = read_version(pipeline.target, key, hour, version_id)
        if old is None or old.ledger is None:
            continue
        found |= {held.key for held in old.ledger.held if wanted.get(held.key) == (held.etag, held.size)}
        if len(found) == len(wanted):
            break
    return found
