"""Which hours differ: the listing's fingerprints against those that were recorded when hours were last made right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets.hour_file.sources import fingerprint, listing_fingerprint

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.hour_file.sources import Listing


_QUARANTINED = "-quarantined-"


def data_version(fingerprint: str, quarantined: int) -> str:
    """What is recorded of an hour that was made right: the sources' fingerprint, and how many are quarantined.

    The count is a function of the sources, so that equal sources have equal versions; being part of the version, it
    can be read for all partitions in one query.
    """
    return f"{fingerprint}{_QUARANTINED}{quarantined}" if quarantined else fingerprint


def read_data_version(version: str) -> tuple[str, int]:
    """Undo `data_version`; of a version that is of another form, itself and 0."""
    fingerprint, _, count = version.partition(_QUARANTINED)
    return (fingerprint, int(count)) if count.isdecimal() else (version, 0)


def changed_hours(
    listing: Listing, recorded: Mapping[Hour, str], present: Collection[Hour], policy: Callable[[str], EventPolicy]
) -> list[Hour]:
    """The hours to be made right, newest first.

    Args:
        listing: A complete listing of the sources of the hours in question.
        recorded: The last recorded data version of each hour of the same range.
        present: The hours of the same range that have an hour file.
        policy: The rules of an event, by its name.

    Returns:
        Hours whose sources are not those recorded, or whose hour file is gone. An hour that has no sources left is
        among them where its event drops vanished sources, or where it had quarantined ones; else its rows stay, and
        there is nothing to do.
    """
    versions = {hour: read_data_version(version) for hour, version in recorded.items()}
    changed = [
        hour
        for hour, sources in listing.hours.items()
        if hour not in present
        or hour not in versions
        or versions[hour][0] != listing_fingerprint(sources, policy(hour.event).content_token())
    ]
    changed += [
        hour
        for hour, (version, quarantined) in versions.items()
        if hour not in listing.hours
        and (quarantined or policy(hour.event).on_vanished == "drop")
        and version != fingerprint((), policy(hour.event).content_token())
    ]
    return sorted(changed, key=lambda hour: (hour.label, hour.event), reverse=True)
