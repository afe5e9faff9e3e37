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
    standing = [held for held in before.held if held.rows and not _was_blank(before, held, now.get(held.key))]
    leaving = [held for held in standing if not _stands(held, now.get(held.key))]
    settings = policy.row_settings()
    names = (before.settings.keys() | settings.keys()) - _NOT_ABOUT_ROWS
    is_anew = decided.rebuild or any(settings.get(name) != before.settings.get(name) for name in names)
    # What the first rules let in, and is no CSV by itself, may leave once it is read by these.
    no_csv = {bad.key for bad in after.quarantined if bad.alone} if after is not None and _first(before) else set()
    let_go = policy.on_vanished == "drop" or (decided.rebuild and decided.lost_rows)
    for held in leaving:
        new, there = now.get(held.key), listed.get(held.key)
        if there is None and not let_go:
            raise _left(held, "is gone from the source, and its rows were to be kept")
        if there == _identity(held) and not (is_anew or held.key in no_csv):
            raise _left(held, "is the same at the source")
        if there not in (None, _identity(held)) and new is not None and _identity(new) != there:
            raise _left(held, "was rewritten at the source, and what the new hour file has of it is neither version")
    remain = any(held.rows for held in now.values())
    emptied = [held for held in leaving if held.key not in now or not now[held.key].rows]
    if remain:  # as it was decided it is no loss, unless nothing else is left
        as_decided = {held.key for held in emptied if decided.rebuild or held.key in no_csv}
        emptied = [h for h in emptied if h.key not in as_decided or listed.get(h.key) != _identity(h)]
    blocked = policy.breaker(len(emptied), len(standing))
    if blocked is not None and not decided.vanished:
        raise BreakerOpenError(blocked)


def _stands(held: Held, new: Held | None) -> bool:
    return new is not None and _identity(new) == _identity(held) and new.rows >= held.rows


def _first(ledger: Ledger) -> bool:
    """Whether it was written under the first rules."""
    return "rules" not in ledger.settings


def _was_blank(before: Ledger, held: Held, new: Held | None) -> bool:
    """Whether its rows were blank lines, which were rows under the first rules, and are none as it is read now."""
    is_same = new is not None and _identity(new) == _identity(held) and not new.rows
    return _first(before) and is_same and held.raw_length <= len(b"\r\n") * held.rows


def _identity(held: Held) -> tuple[str, int]:
    return held.etag, held.size


def _left(held: Held, why: str) -> RowsWouldLeaveError:
    return RowsWouldLeaveError(held.key, held.rows, why)
