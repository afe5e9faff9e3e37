"""Sends what was decided, and remembers what was sent: one message at a time, nothing marked that did not go out.

Knows no clock and no Slack: the sender is given, and says by its errors what became of a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from s3_assets.alerts.compose import compose
from s3_assets.alerts.problems import REFUSED, Problem
from s3_assets.alerts.state import EVERYWHERE, LONGEST_HOLD_S, AlertState, Held
from s3_assets.errors import AlertDelayedError, AlertRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from s3_assets.alerts.compose import Composed
    from s3_assets.alerts.reconcile import Decision

FIRST_HOLD_S: Final = 300
"""How long nothing is sent to a channel that refused once. The time doubles with each refusal."""

LONGEST_WAIT_S: Final = LONGEST_HOLD_S
"""The longest wait that is taken from Slack; more would be silence."""


class Sender(Protocol):
    """Something that sends composed messages."""

    def post(self, composed: Composed) -> None:
        """Send it.

        Raises:
            AlertDelayedError: Not sent; it may go out later, with nothing changed.
            AlertRefusedError: Not sent; somebody has to change something.
        """


@dataclass(frozen=True, slots=True)
class Delivered:
    """What became of a tick's messages.

    Attributes:
        state: What is remembered from now on.
        sent: How many went out.
        troubles: Why others did not, in words.
    """

    state: AlertState
    sent: int = 0
    troubles: list[str] = field(default_factory=list)


def deliver(decision: Decision, sender: Sender, now: datetime, *, ui: str | None) -> Delivered:
    """Send the messages of `decision` until all are sent or Slack can't be reached.

    Args:
        decision: What there is to say.
        sender: Who says it.
        now: Aware.
        ui: The address of Dagster's UI; None where nobody said.
    """
    at, state, sent, troubles = int(now.timestamp()), decision.state, 0, list[str]()
    wanted = {message.channel for message in decision.messages}
    for message in decision.messages:
        if state.is_held(message.channel, at):
            continue
        try:
            sender.post(compose(message, now, ui))
        except AlertDelayedError as error:
            troubles.append(error.describe())
            if error.after_s:
                wait = Held(at + min(error.after_s, LONGEST_WAIT_S), 0, "")
                state = state.with_held(EVERYWHERE, wait)
            break  # the next would fare no better, and a tick has little time
        except AlertRefusedError as error:
            troubles.append(error.describe())
            name = EVERYWHERE if error.everywhere else message.channel
            tries = state.held[name].tries + 1 if name in state.held else 1
            rest = min(FIRST_HOLD_S << min(tries - 1, 10), LONGEST_HOLD_S)
            state = state.with_held(name, Held(at + rest, tries, error.code))
        else:
            sent += 1
            state = message.sent(state).with_held(EVERYWHERE, None).with_held(message.channel, None)
    for channel, held in state.held.items():
        if held.until <= at and channel not in wanted and not decision.held:
            state = state.with_held(channel, None)  # nothing waits for it: whether it still refuses is not known
    return Delivered(state, sent, troubles)


def refused_channels(state: AlertState, default: str) -> Iterator[Problem]:
    """Channels that Slack refuses, as problems of their own: told in the default channel, unless it is that one."""
    for channel, held in state.held.items():
        if held.code and channel not in (EVERYWHERE, default):
            yield Problem(
                REFUSED,
                channel,
                f"Slack says {held.code}",
                cause=held.code,
                tries=held.tries,
                heals="the channel has to be there and the bot in it (/invite it there); its alerts wait until then",
            )
