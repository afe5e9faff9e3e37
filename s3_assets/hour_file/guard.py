"""The commit guard: which rows of the standing hour file a new one has no more, and whether they may go.

Ledger against ledger, right before the write, by code that shares nothing with the plan: what stands, stands. Rows
leave only because their own source was rewritten, or vanished under `drop`, or an operator said so; never because of a
neighbour. And not too many sources may lose all their rows at once, whatever the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3_assets.errors import BreakerOpenError, RowsWouldLeaveError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets.hour_file.ledger import Held, Ledger
    from s3_assets.hour_file.policy import EventPolicy

_NOT_ABOUT_ROWS = frozenset({"compression", "on_vanished", "rules"})
"""Settings in a ledger that don't decide how the rows of a source are read."""


@dataclass(frozen=True, slots=True)
class Decided:
    """What an operator said, beyond the event's settings.

    Attributes:
        rebuild: All sources that are there are read and judged anew.
        vanished: Sources may lose all their rows at once.
        lost_rows: With `rebuild`: rows that can be read nowhere are given up.
    """

    rebuild: bool = False
    vanished: bool = False
    lost_rows: bool = False


def check_commit(
    before: Ledger | None,
    after: Ledger | None,
    listed: Mapping[str, tuple[str, int]],
    policy: EventPolicy,
    decided: Decided,
) -> None:
    """Let a new hour file take the place of the standing one, or raise.

    Args:
        before: Of the standing hour file; None where there is none, or it can't be read.
        after: Of the new one; None where the hour file is to be removed.
        listed: ETag and size of each source that a complete listing shows.
        policy: The event's.
        decided: What the operator said.

    Raises:
        RowsWouldLeaveError: Rows would leave that must stay.
        BreakerOpenError: Too many sources would lose all their rows at once.
    """
    if before is None:
        return
    now = {} if after is None else {held.key: held for held in after.held}
    remain = any(held.rows for held in now.values())
    settings = policy.row_settings()
    names = (before.settings.keys() | settings.keys()) - _NOT_ABOUT_ROWS
    resettled = any(settings.get(name) != before.settings.get(name) for name in names)
    # What the first rules let in, and is by itself unusable, may leave once it is read by these.
    first_rules = before.settings.get("rules") is None
    unusable = {bad.key for bad in after.quarantined if bad.alone} if first_rules and after is not None else set()
    known = emptied = 0
    for held in before.held:
        if not held.rows:
            continue
        known += 1
        new = now.get(held.key)
        if new is not None and _identity(new) == _identity(held) and new.rows >= held.rows:
            continue
        if held.key not in listed:
            if not (policy.on_vanished == "drop" or (decided.rebuild and decided.lost_rows)):
                raise _left(held, "is gone from the source, and its rows were to be kept")
        elif listed[held.key] == _identity(held):
            if not (resettled or decided.rebuild or held.key in unusable):
                raise _left(held, "is the same at the source")
        elif new is not None and _identity(new) != listed[held.key]:
            raise _left(held, "was rewritten at the source, and what the new hour file has of it is neither version")
        if new is None or not new.rows:  # as an operator decided it is no loss, unless nothing else is left
            is_decided = decided.rebuild or held.key in unusable
            emptied += not (is_decided and remain and listed.get(held.key) == _identity(held))
    blocked = policy.breaker(emptied, known)
    if blocked is not None and not decided.vanished:
        raise BreakerOpenError(blocked)


def _identity(held: Held) -> tuple[str, int]:
    return held.etag, held.size


def _left(held: Held, why: str) -> RowsWouldLeaveError:
    return RowsWouldLeaveError(held.key, held.rows, why)
