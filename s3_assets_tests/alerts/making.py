"""Problems and ticks for the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from s3_assets.alerts.groups import Destination
from s3_assets.alerts.problems import HOUR, Kind, Problem
from s3_assets.alerts.reconcile import Decision, decide
from s3_assets.alerts.state import AlertState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
REPEAT_S = 4 * 3600
FOREIGN = "target 'payments/2024-06-01/07.csv.gz' is damaged: no ledger (it may be someone's data: move it away)"


def failing(
    event: str = "payments",
    hour: int = 7,
    day: str = "2024-06-01",
    *,
    kind: Kind = HOUR,
    cause: str = "ForeignTargetError",
    words: str = FOREIGN,
    settled: bool = True,
    **more,
) -> Problem:
    """An hour that fails."""
    label = f"{day}-{hour:02d}:00"
    more = {"since": NOW - 5 * MINUTE, "heals": "do what the error says", **more}
    return Problem(kind, f"{event} {label}", words, event=event, label=label, cause=cause, settled=settled, **more)


def to_data(problem: Problem) -> Destination:
    """All in one channel."""
    return Destination("#data", problem.owner)


def decided(
    problems: Iterable[Problem],
    state: AlertState,
    now: datetime = NOW,
    *,
    repeat_s: int = REPEAT_S,
    repeats: bool = True,
    blind: Collection[str] = (),
) -> Decision:
    """A decision in which all goes to one channel."""
    return decide(problems, state, now, route=to_data, repeat_s=repeat_s, repeats=repeats, blind=blind)


def said(decision: Decision) -> AlertState:
    """The state once all messages of a decision were sent, and the cursor was read again."""
    state = decision.state
    for message in decision.messages:
        state = message.sent(state)
    return AlertState.load(state.dump())
