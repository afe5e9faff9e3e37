"""Which hours differ: the listing's fingerprints against those that were recorded when hours were last made right."""

from __future__ import annotations

from typing import TYPE_CHECKING

from s3_assets.hour_file.sources import fingerprint as fingerprint_of

if TYPE_CHECKING:
    from s3_assets.hour_file.policy import EventPolicy

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


def differs(fingerprint: str | None, recorded: str | None, *, is_there: bool | None, policy: EventPolicy) -> bool:
    """Whether an hour is to be made right, as far as can be told without reading its hour file.

    Args:
        fingerprint: Of its sources, by a complete listing; None where it has none.
        recorded: The data version that was recorded when it was last made right; None where it never was.
        is_there: Whether its hour file is there; None where nobody looked.
        policy: The event's.

    Returns:
        True where its sources are not those recorded, or its hour file is gone. An hour that has no sources left
        differs where its event drops vanished sources, or where it had quarantined ones; else its rows stay, and
        there is nothing to do.
    """
    if fingerprint is not None:
        return is_there is False or recorded is None or read_data_version(recorded)[0] != fingerprint
    if recorded is None:
        return bool(is_there) and policy.on_vanished == "drop"
    version, quarantined = read_data_version(recorded)
    return (quarantined > 0 or policy.on_vanished == "drop") and version != empty_fingerprint(policy)


def empty_fingerprint(policy: EventPolicy) -> str:
    """Of an hour without sources."""
    return fingerprint_of((), policy.content_token())
