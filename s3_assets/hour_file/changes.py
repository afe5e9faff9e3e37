"""Which hours differ: the listing's fingerprints against those that were recorded when hours were last built."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from s3_assets.hour_file.sources import fingerprint as fingerprint_of

if TYPE_CHECKING:
    from s3_assets.hour_file.policy import EventPolicy

_FORM = re.compile(r"(?P<fingerprint>.+?)(?:-left-out-(?P<left_out>\d+))?(?P<no_file>-no-file)?", re.DOTALL)
_FIRST_RULES = re.compile(r"(?P<fingerprint>.+)-quarantined-(?P<left_out>\d+)", re.DOTALL)


class DataVersion(NamedTuple):
    """What is recorded of an hour that was built.

    All of it is a function of the sources, so that equal sources have equal versions; being part of the version, it can
    be read for all partitions in one query.

    Attributes:
        fingerprint: Of its sources.
        left_out: How many of them are quarantined.
        has_file: Whether it has an hour file; without a usable row it has none.
        is_current: Whether it may stand as it is; what the first rules quarantined is looked at once more.
    """

    fingerprint: str
    left_out: int = 0
    has_file: bool = True
    is_current: bool = True

    def __str__(self) -> str:
        left_out = f"-left-out-{self.left_out}" if self.left_out else ""
        return f"{self.fingerprint}{left_out}{'' if self.has_file else '-no-file'}"


def data_version(fingerprint: str, left_out: int, *, has_file: bool = True) -> str:
    """A `DataVersion` as it is recorded."""
    return str(DataVersion(fingerprint, left_out, has_file))


def read_data_version(version: str) -> DataVersion:
    """Undo `data_version`; of a version that is of another form, itself."""
    if first := _FIRST_RULES.fullmatch(version):
        return DataVersion(first["fingerprint"], int(first["left_out"]), is_current=False)
    form = _FORM.fullmatch(version)
    if form is None:
        return DataVersion(version)
    return DataVersion(form["fingerprint"], int(form["left_out"] or 0), form["no_file"] is None)


def differs(fingerprint: str | None, recorded: str | None, *, is_there: bool | None, policy: EventPolicy) -> bool:
    """Whether an hour is out of date, as far as can be told without reading its hour file.

    Args:
        fingerprint: Of its sources, by a complete listing; None where it has none.
        recorded: The data version that was recorded when it was last built; None where it never was.
        is_there: Whether its hour file is there; None where that is not known.
        policy: The event's.

    Returns:
        True where its sources are not those recorded, or its hour file is gone, or there although it was built without
        a row. An hour that has no sources left differs where its event drops vanished sources, or where it had
        quarantined ones; else its rows stay, and there is nothing to do.
    """
    if recorded is None:
        if fingerprint is not None:
            return True
        return bool(is_there) and policy.on_vanished == "drop"
    version = read_data_version(recorded)
    if fingerprint is not None:
        moved = is_there is not None and is_there != version.has_file
        return moved or version.fingerprint != fingerprint or not version.is_current
    return (version.left_out > 0 or policy.on_vanished == "drop") and version.fingerprint != empty_fingerprint(policy)


def empty_fingerprint(policy: EventPolicy) -> str:
    """Of an hour without sources."""
    return fingerprint_of((), policy.content_token())
