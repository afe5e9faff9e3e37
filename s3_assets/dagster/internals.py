"""What is used of Dagster that is not its public API, each with its reason. Nowhere else in the package.

`s3_assets_tests/dagster/test_internals.py` fails when Dagster changes one of them.
"""

from collections.abc import Iterator, Mapping

import dagster as dg
from dagster._core.definitions.data_version import DATA_VERSION_TAG

__all__ = ["DATA_VERSION_TAG", "hours_asked_for", "latest_tags"]


def latest_tags(instance: dg.DagsterInstance, asset: dg.AssetKey, tags: list[str]) -> Mapping[str, Mapping[str, str]]:
    """For each partition of `asset`, the given tags of its last materialization.

    The public way returns whole event histories; this is one query, 0.7 s for 100,000 partitions.
    """
    return instance.event_log_storage.get_latest_tags_by_partition(
        asset, event_type=dg.DagsterEventType.ASSET_MATERIALIZATION, tag_keys=tags
    )


def hours_asked_for(run: dg.DagsterRun, op: str) -> Iterator[str]:
    """The partition keys that a run works on, by its config or its partition tag.

    A run's config and tags are public; that `dagster/partition` names its partition is not documented.
    """
    config = run.run_config.get("ops", {}).get(op, {}).get("config", {}) if isinstance(run.run_config, dict) else {}
    yield from config.get("partition_keys", [])
    if (key := run.tags.get("dagster/partition")) is not None:
        yield key
