"""What the sensor will do about one hour, as a tick decides it: for a person who asks why nothing happens.

A tick decides for itself, over many hours at once; a test compares the two. Nothing is asked for here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from s3_assets.controller.records import pause_after
from s3_assets.hour_file.changes import differs

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime

    from s3_assets.controller.records import Failing, LostRun
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.policy import EventPolicy


class Prospect(StrEnum):
    """What becomes of an hour when the sensor next looks at it."""

    LEFT = "left as it is"
    ASKED_FOR = "asked for"
    UNDER_WAY = "under way"
    OF_LOST_RUN = "rests after a lost run"
    RESTS = "rests after failing"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an hour.

    Attributes:
        fingerprint: Of its sources; None where it has none.
        target_etag: Of its hour file; empty where it has none.
        recorded: The data version when it was last made right; None where it never was.
        failing: That it fails; None where it does not.
        lost: Runs that were lost lately.
        is_under_way: Whether a queued or running run holds it.
    """

    fingerprint: str | None
    target_etag: str
    recorded: str | None
    failing: Failing | None
    lost: Collection[LostRun]
    is_under_way: bool


def prospect(hour: Hour, known: Known, policy: EventPolicy, now: datetime) -> tuple[Prospect, datetime | None]:
    """What the sensor will do, and until when the hour rests, where it does."""
    is_there = known.target_etag != ""
    failing = known.failing
    if failing is None and not differs(known.fingerprint, known.recorded, is_there=is_there, policy=policy):
        return Prospect.LEFT, None
    if known.is_under_way:
        return Prospect.UNDER_WAY, None
    ends = [run.ended for run in known.lost if hour in run.hours]
    if ends and (rest := max(ends) + pause_after(len(ends))) > now:
        return Prospect.OF_LOST_RUN, rest
    if failing is None or failing.next_try <= now or failing.target_etag not in ("", known.target_etag):
        return Prospect.ASKED_FOR, None
    return Prospect.STUCK if failing.permanent else Prospect.RESTS, failing.next_try
