"""`s3-assets watchdog`: one look from outside of Dagster, said on stdout and, where something changed, in Slack."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import click

from s3_assets.alerts.deliver import Delivered, deliver
from s3_assets.alerts.foreign_text import shown
from s3_assets.alerts.groups import Destination
from s3_assets.alerts.problems import SETTINGS, Problem
from s3_assets.alerts.reconcile import decide
from s3_assets.alerts.state import digest
from s3_assets.cli.render import printable
from s3_assets.errors import AlertDelayedError, S3AssetsError, SettingsError
from s3_assets.settings import load_alert_settings
from s3_assets.watchdog.bounded import TookTooLongError, within
from s3_assets.watchdog.checks import Check, Limits, Look, State, check_names, unreadable
from s3_assets.watchdog.judge import judge
from s3_assets.watchdog.kinds import ALL_BUT_STORAGE, STORAGE
from s3_assets.watchdog.memory import Memory
from s3_assets.watchdog.memory_file import default_path, read_memory, write_memory

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from s3_assets.alerts.compose import Composed
    from s3_assets.alerts.deliver import Sender
    from s3_assets.alerts.reconcile import Decision
    from s3_assets.settings import AlertSettings
    from s3_assets.watchdog.picture import Picture

LOADING_S: Final = 60.0
"""So long loading Dagster may take, in seconds. Two are usual; a machine that has much else to do takes its time."""

SENDING_S: Final = 20.0
"""So long all messages of a look may take together, in seconds."""

EXIT_DOWN: Final = 1
EXIT_USAGE: Final = 2

_LOOK_AT_STORAGE = (
    "see that DAGSTER_HOME is the one of the deployment, that this user may read it, and that its database runs; "
    "nothing else is known until it answers"
)


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What is asked of a look.

    Attributes:
        limits: How long is too long.
        patience_s: So long the storage may take to answer, in seconds.
        location: Only this code location; None for any that has the sensors.
        also: Names of more sensors that have to be on and tick.
        without: Names of checks that are left out.
        state: Where the memory is; None for its default.
        dry_run: Say what would be sent; send and remember nothing.
        as_json: One document on stdout.
    """

    limits: Limits
    patience_s: float
    location: str | None
    also: tuple[str, ...]
    without: frozenset[str]
    state: Path | None
    dry_run: bool
    as_json: bool


@dataclass(slots=True)
class Seen:
    """What came of a look.

    Attributes:
        checks: In order.
        memory: With what was seen, before anything is said.
        blind: The kinds of which nothing is known.
        left_out: What is wrong by the checks that are left out: not said, and no end of it either.
        is_usable: Whether the settings are.
        hangs: Whether a thread still waits for the storage.
    """

    checks: list[Check]
    memory: Memory
    blind: set[str] = field(default_factory=set)
    left_out: list[Problem] = field(default_factory=list)
    is_usable: bool = True
    hangs: bool = False


class Noting:
    """Keeps what was sent, by the sender that it is given; without one, that is all it does."""

    def __init__(self, make: Callable[[], Sender] | None) -> None:
        """With what makes the one that sends; None to send nothing."""
        self._make = make
        self._sender: Sender | None = None
        self._until = 0.0
        self.sent: list[Composed] = []

    def post(self, composed: Composed) -> None:
        """Send it and keep it; once half of the time is gone no more, so that what was sent is remembered as sent.

        Raises:
            AlertDelayedError: It is too late, or what sends can't be loaded.
        """
        if self._make is not None:
            if self._sender is None:
                try:
                    self._sender = self._make()  # it loads Dagster, too: where that hangs, so may this
                except ImportError as error:  # one that is loaded in part
                    raise AlertDelayedError(composed.channel, f"no way to Slack: {error}", after_s=0) from None
                self._until = time.monotonic() + SENDING_S / 2
            if time.monotonic() > self._until:
                raise AlertDelayedError(composed.channel, "Slack is slow, and this look has no more time", after_s=0)
            self._sender.post(composed)
        self.sent.append(composed)


def watch(options: WatchOptions) -> int:
    """Look once, tell what changed, and remember it; the exit code.

    Raises:
        SettingsError: DAGSTER_HOME is not set, or the settings of alerts can't be used.
        click.UsageError: A check that is to be left out does not exist.
    """
    home = os.environ.get("DAGSTER_HOME", "")
    if not home:
        raise SettingsError(["DAGSTER_HOME: not set; it is the folder of the instance to watch, as /srv/dagster"])
    settings = load_alert_settings(os.environ)
    path, memory = options.state, Memory()
    troubles: list[str] = []
    try:
        path = path or default_path(os.environ, home)
        memory = read_memory(path)
    except OSError as error:
        troubles.append(f"the memory can't be read, so what was said may be said again: {error}")
    now = datetime.now(UTC)
    seen = _look(options, home, memory, now)
    sender = _sender(settings, dry_run=options.dry_run)
    decision = _decide(seen, settings, now)
    done = _tell(decision, sender, settings, now, troubles)
    if done is None:
        seen.hangs = True
    elif path is not None and not options.dry_run:
        try:
            write_memory(path, Memory(done.state, seen.memory.process, seen.memory.since))
        except OSError as error:
            troubles.append(f"the memory can't be written, so what was said will be said again: {error}")
    _say(seen, decision, sender, settings, troubles, options)
    is_down = any(check.state is State.DOWN for check in seen.checks)
    code = EXIT_USAGE if not seen.is_usable else EXIT_DOWN if is_down or troubles else 0
    if seen.hangs:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)  # a thread waits for what may never answer
    return code


# --- looking -----------------------------------------------------------------------------------------------


def _look(options: WatchOptions, home: str, memory: Memory, now: datetime) -> Seen:
    doing, bound_s = "loaded", LOADING_S
    try:
        within(bound_s, _load)
        doing, bound_s, began = "read", options.patience_s, time.monotonic()
        picture = within(bound_s, lambda: _picture(options, home, now))
    except TookTooLongError:
        words = f"Dagster's {'storage' if doing == 'read' else 'package'} was not {doing} within {bound_s:g} s"
        blind = {*ALL_BUT_STORAGE, SETTINGS.name}  # they are read after Dagster is loaded
        return Seen([unreadable("no answer", words, _LOOK_AT_STORAGE)], memory, blind, hangs=True)
    except SettingsError as error:
        problems = tuple(
            Problem(SETTINGS, line.partition(":")[0], line, heals="somebody has to set it right")
            for line in error.problems
        )
        words = f"the watchdog's environment must be that of the code location: {' '.join(error.problems)}"
        check = Check("settings", State.DOWN, words, "set them right; nothing else was looked at", problems)
        return Seen([check], memory, {*ALL_BUT_STORAGE, STORAGE.name}, is_usable=False)
    except click.UsageError:
        raise
    except Exception as error:  # noqa: BLE001  (whatever a database or a driver raises, it is what is to be told)
        words = error.describe() if isinstance(error, S3AssetsError) else f"{type(error).__name__}: {error}"
        return Seen([unreadable(type(error).__name__, words, _LOOK_AT_STORAGE)], memory, set(ALL_BUT_STORAGE))
    memory = memory.seen(picture, now, tolerance_s=options.limits.tolerance.total_seconds())
    read = Check("storage", State.OK, f"read in {time.monotonic() - began:.1f} s")
    checks = [read, *judge(picture, Look(now, options.limits, memory.daemon_since))]
    return Seen(
        [check for check in checks if check.name not in options.without],
        memory,
        {check.blind for check in checks if check.blind},
        [
            replace(problem, settled=False)
            for check in checks
            if check.name in options.without
            for problem in check.problems
        ],
    )


def _load() -> None:
    """Dagster takes a second or more; not a part of the storage's time."""
    import s3_assets.watchdog.look  # noqa: F401


def _picture(options: WatchOptions, home: str, now: datetime) -> Picture:
    """All that is read, in the thread that may hang."""
    import dagster as dg

    from s3_assets.watchdog.home import check_home
    from s3_assets.watchdog.look import look, what_ticks

    expected, calendar = what_ticks(os.environ, options.also)
    if unknown := options.without - set(names := check_names(expected, has_backup=calendar is not None)):
        message = f"--without {min(unknown)}: the checks are {', '.join(names)}"
        raise click.UsageError(message)
    check_home(home, os.environ)
    with dg.DagsterInstance.get() as instance:
        return look(instance, expected, calendar, options.limits, now, location=options.location)


# --- telling -----------------------------------------------------------------------------------------------


def _decide(seen: Seen, settings: AlertSettings, now: datetime) -> Decision:
    return decide(
        [*(problem for check in seen.checks for problem in check.problems), *seen.left_out],
        seen.memory.said.for_destination(_destination(settings)),
        now,
        route=lambda problem: Destination(*settings.destination(problem.event, problem.owner)),
        repeat_s=60 * settings.alert_summary_minutes,
        repeats=settings.slack_token is not None,
        blind=seen.blind,
    )


def _tell(
    decision: Decision, sender: Noting, settings: AlertSettings, now: datetime, troubles: list[str]
) -> Delivered | None:
    """Send what there is to say; None where that did not come to an end, and nothing is known of it."""
    try:
        done = within(SENDING_S, lambda: deliver(decision, sender, now, ui=settings.dagster_url))
    except TookTooLongError:
        troubles.append(f"Slack did not take the messages within {SENDING_S:g} s; they are sent again at the next look")
        return None
    troubles += done.troubles
    waiting = len(decision.messages) - done.sent + decision.left + decision.held
    if waiting and not done.troubles:
        troubles.append(f"{waiting} messages wait: Slack refused or asked to wait, or there are too many for one look")
    return done


def _sender(settings: AlertSettings, *, dry_run: bool) -> Noting:
    token = settings.slack_token
    if dry_run or token is None:
        return Noting(None)

    def make() -> Sender:
        from s3_assets.alerts.slack import SlackSender

        return SlackSender(token, url=settings.slack_url)

    return Noting(make)


def _destination(settings: AlertSettings) -> str:
    """Where messages go, as a digest: when it changes, what was said elsewhere is said again."""
    if settings.slack_token is None:
        return digest("stdout")
    return digest("slack", settings.slack_url, *settings.destination(""))


# --- what is printed ---------------------------------------------------------------------------------------


def _say(
    seen: Seen,
    decision: Decision,
    sender: Noting,
    settings: AlertSettings,
    troubles: list[str],
    options: WatchOptions,
) -> None:
    if settings.slack_token is None:
        click.echo("S3_ASSETS_SLACK_TOKEN is not set: messages are only printed", err=True)
    for trouble in troubles:
        click.echo(f"error: {_plain(trouble)}", err=True)
    if options.as_json:
        document = {
            "down": [check.name for check in seen.checks if check.state is State.DOWN],
            "checks": [
                {"name": check.name, "state": check.state, "words": shown(check.words), "todo": check.todo}
                for check in seen.checks
            ],
            "problems": decision.problems,
            "messages": [{"channel": one.channel, "text": one.plain} for one in sender.sent],
            "sent": not options.dry_run and settings.slack_token is not None,
            "troubles": [shown(trouble) for trouble in troubles],
        }
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    width = max(len(check.name) for check in seen.checks)
    for check in seen.checks:
        click.echo(_plain(f"{check.state:4}  {check.name:{width}}  {check.words}"))
        if check.todo:
            click.echo(_plain(f"{'':4}  {'':{width}}  -> {check.todo}"))
    for one in sender.sent:
        _say_message(one, settings, options)


def _say_message(one: Composed, settings: AlertSettings, options: WatchOptions) -> None:
    lines = one.plain.split("\n")
    if settings.slack_token is not None and not options.dry_run:
        click.echo(_plain(f"sent to {one.channel}: {lines[0]}"))
        return
    head = f"would be sent to {one.channel or 'nobody: there is no channel'}:" if options.dry_run else "message:"
    click.echo("\n".join([_plain(head), *(f"  {_plain(line)}" for line in lines)]))


def _plain(text: str) -> str:
    """One line without secrets and without what would steer a terminal."""
    return printable(shown(" ".join(text.splitlines())))
