"""What is used of Dagster that is not its public API, each with its reason. Nowhere else in the package.

`s3_assets_tests/dagster/test_internals.py` fails when Dagster changes one of them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

__all__ = ["DATA_VERSION_TAG", "hours_asked_for", "latest_tags", "make_storage", "range_asked_for", "tag_run"]


def latest_tags(instance: dg.DagsterInstance, asset: dg.AssetKey, tags: list[str]) -> Mapping[str, Mapping[str, str]]:
    """For each partition of `asset`, the given tags of its last materialization.

    The public way returns whole event histories; this is one query, 0.7 s for 100,000 partitions.
    """
    return instance.event_log_storage.get_latest_tags_by_partition(
        asset, event_type=dg.DagsterEventType.ASSET_MATERIALIZATION, tag_keys=tags
    )


def hours_asked_for(run: dg.DagsterRun, op: str) -> Iterator[str]:
    """The partition keys that a run works on, by its config or its partition tag.

    A run's config and tags are public; the tag's name is not. Any job's config comes by here, so nothing is taken
    for granted of its form.
    """
    found: Any = run.run_config
    for name in ("ops", op, "config", "partition_keys"):
        found = found.get(name) if isinstance(found, Mapping) else None
    yield from (key for key in found or () if isinstance(key, str))
    if (key := run.tags.get(PARTITION_NAME_TAG)) is not None:
        yield key


def range_asked_for(run: dg.DagsterRun) -> tuple[str, str] | None:
    """The first and last partition key of a backfill's run over a range; None for other runs.

    The names of these tags are not public.
    """
    first, last = run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    return None if first is None or last is None else (first, last)


def tag_run(instance: dg.DagsterInstance, run_id: str, tags: Mapping[str, str]) -> None:
    """Add tags to a run under way. There is no public way for a run to leave a word for the sensor."""
    instance.add_run_tags(run_id, tags)


def make_storage(home: Path) -> None:
    """Create the SQLite files of a new DAGSTER_HOME.

    Else webserver, daemon and code server all do it at once, and now and then one of them fails. There is no public
    way to open an instance by its folder but an environment variable.
    """
    with dg.DagsterInstance.from_config(str(home)) as instance:
        instance.get_runs_count()
        instance.all_instigator_state()
