"""Since which version an hour file holds a source: its versions are read, newest first, until one does not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from s3_assets.builder.target import read_target, read_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.ledger import Held
    from s3_assets.store.contract import ObjectInfo, ObjectVersion

MOST_VERSIONS = 50
"""So many versions are read at most: each costs a GET."""


class Certainty(StrEnum):
    """Whether that version is known to be the first, in words that may follow it."""

    FIRST = ""
    OLDEST_KEPT = "the oldest version that is kept"
    OR_BEFORE = "or before"


@dataclass(frozen=True, slots=True)
class Since:
    """The oldest version of an unbroken row of them that hold a source as the hour file holds it now.

    Attributes:
        info: Of that version; its `version_id` is None where the bucket keeps none.
        certainty: Whether the one before is known not to hold it.
    """

    info: ObjectInfo
    certainty: Certainty


def held_since(pipeline: Pipeline, hour: Hour, held: Mapping[str, Held]) -> dict[str, Since]:
    """For each source, by its key, since when.

    Raises:
        StoreError: The versions can't be listed or read.
    """
    since: dict[str, Since] = {}
    looking = dict(held)
    versions = iter(pipeline.target.list_versions(pipeline.target_key(hour)))
    for place, version in enumerate(islice(versions, MOST_VERSIONS)):
        known = _sources(pipeline, hour, version, stands=place == 0)
        for key, source in list(looking.items()):
            if known is not None and known.get(key) == (source.etag, source.size):
                since[key] = Since(version.info, Certainty.OR_BEFORE)
                continue
            del looking[key]
            if known is not None and key in since:
                since[key] = Since(since[key].info, Certainty.FIRST)
        if not looking:
            return since
    if next(versions, None) is None:
        since |= {key: Since(since[key].info, Certainty.OLDEST_KEPT) for key in looking if key in since}
    return since


def _sources(
    pipeline: Pipeline, hour: Hour, version: ObjectVersion, *, stands: bool
) -> dict[str, tuple[str, int]] | None:
    """The sources that a version holds; None where it can't be read, such as one from before versioning."""
    if version.is_deleted:
        return {}
    key, version_id = pipeline.target_key(hour), version.info.version_id
    if version_id is not None:
        target = read_version(pipeline.target, key, hour, version_id)
    else:
        target = read_target(pipeline.target, key, hour) if stands else None
    if target is None or target.ledger is None:
        return None
    return {held.key: (held.etag, held.size) for held in target.ledger.held}
