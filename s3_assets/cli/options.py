"""Options that several commands share: events, hours, ranges, `--json`."""

from __future__ import annotations

import difflib
import functools
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

import click

from s3_assets.cli.render import printable
from s3_assets.errors import KeyGrammarError, shortened
from s3_assets.hour_file.keys import Hour, label_of, parse_label

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.reconcile import Scope
    from s3_assets.settings import Settings

MOST_EVENTS: Final = 20
"""Events that a message lists."""

MOST_LISTED: Final = 10_000
"""Events that are looked through for one that is written alike."""

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9_.~-]+)*/?")
_REPLAY_ID = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{6}")


@dataclass(frozen=True, slots=True)
class Range:
    """Which hours a command is about; None leaves an end open.

    Attributes:
        events: As given; empty for all.
        first_label: `YYYY-MM-DD-HH:00`; None for the start date.
        last_label: Included; None for the current hour.
    """

    events: tuple[str, ...]
    first_label: str | None
    last_label: str | None

    def scope(self, settings: Settings, now: datetime) -> Scope:
        """The range with its open ends closed: by the start date of the settings, and by the hour of `now`."""
        from s3_assets.builder.reconcile import Scope

        start, latest = f"{settings.start_date:%Y-%m-%d}-00:00", label_of(now)
        return Scope(
            max(self.first_label or start, start),
            min(self.last_label or latest, latest),
            self.events or None,
            start_label=start,
            now_label=latest,
        )


class _HourType(click.ParamType[str]):
    """An hour, or a date where its first or last hour is meant."""

    name = "hour"

    def __init__(self, *, of_date: str | None = None) -> None:
        """Take a date as its hour `of_date` (`00` or `23`); None takes hours only."""
        self.of_date = of_date

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """To `YYYY-MM-DD-HH:00`."""
        text = str(value)
        try:
            if self.of_date is not None and _DATE.fullmatch(text):
                return parse_label(f"{text}-{self.of_date}:00")
            return parse_label(text)
        except KeyGrammarError as error:
            also = ", or a date as 2021-09-01" if self.of_date is not None else ""
            self.fail(f"{error}{also}", param, ctx)


class _EventType(click.ParamType[str]):
    """An event: a folder's name."""

    name = "event"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no folder can be called."""
        text = str(value).removesuffix("/")
        if not text or "/" in text:
            self.fail(f"{value!r} is no event: it is one folder's name", param, ctx)
        return text


class _MomentType(click.ParamType[datetime]):
    """A moment, or a date, which is its end."""

    name = "moment"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """To an aware moment; one without an offset is UTC."""
        text = str(value)
        try:
            moment = _end_of_date(text) or datetime.fromisoformat(text)
            return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(f"{text!r} is no date as 2026-11-17, nor a moment as 2026-11-17T09:30 (UTC)", param, ctx)


def _end_of_date(text: str) -> datetime | None:
    """Of a date in any of ISO's forms; None where it is none."""
    try:
        return datetime.combine(date.fromisoformat(text), time(23, 59, 59))
    except ValueError:
        return None


class _WebAddressType(click.ParamType[str]):
    """Where Dagster's webserver is."""

    name = "url"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no address, or holds credentials, without showing it."""
        if not _WEB_ADDRESS.fullmatch(str(value)):
            self.fail("needs an http or https address without credentials, as http://127.0.0.1:3000", param, ctx)
        return str(value)


class _ReplayIdType(click.ParamType[str]):
    """What `replay` calls all runs that it launched at once."""

    name = "id"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what no replay is called."""
        if not _REPLAY_ID.fullmatch(str(value)):
            self.fail(f"{value!r} is no id of a replay, which looks like 20260901T071500-3fa94c", param, ctx)
        return str(value)


HOUR = _HourType()
EVENT = _EventType()
MOMENT = _MomentType()
WEB_ADDRESS = _WebAddressType()
REPLAY_ID = _ReplayIdType()


def hour_arguments(*, required: bool) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add `EVENT HOUR`, also as the one word that Dagster shows; given to the command as `hour`, an `Hour`, or None."""
    metavar = "EVENT HOUR" if required else "[EVENT HOUR]"
    return click.argument("hour", nargs=-1, required=required, metavar=metavar, callback=_hour)


def _hour(ctx: click.Context, param: click.Parameter, words: tuple[str, ...]) -> Hour | None:
    if not words and not param.required:
        return None
    one, two = 1, 2
    if len(words) == one:
        try:
            hour = Hour.of_partition_key(words[0])
        except KeyGrammarError:
            message = f"{words[0]!r} is not EVENT HOUR, nor both as one word, as 'payments|2021-09-01-07:00'"
            raise click.BadParameter(message, ctx, param) from None
        return Hour(EVENT.convert(hour.event, param, ctx), hour.label)
    if len(words) != two:
        raise click.BadParameter(f"takes one event and one hour, not {len(words)} words", ctx, param)
    return Hour(EVENT.convert(words[0], param, ctx), HOUR.convert(words[1], param, ctx))


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(command)


def range_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--event`, `--from` and `--to`, given to the command as `hours`, a `Range`."""

    @click.option("--event", "events", type=EVENT, multiple=True, help="Only this event; may be given again.")
    @click.option("--from", "first", type=_HourType(of_date="00"), help="First hour or date [default: the start date]")
    @click.option("--to", "last", type=_HourType(of_date="23"), help="Last hour or date, included [default: now]")
    @functools.wraps(command)
    def with_range(*args: Any, events: tuple[str, ...], first: str | None, last: str | None, **options: Any) -> Any:
        if first is not None and last is not None and first > last:
            message = f"--from {first} is after --to {last}"
            raise click.UsageError(message)
        return command(*args, hours=Range(events, first, last), **options)

    return with_range


def refuse_unknown_events(pipeline: Pipeline, events: Iterable[str]) -> None:
    """Refuse events that exist neither at the source nor at the target: a typo must not look like a job well done.

    One request for an event that has sources, two for one that has hour files only. Call it for events of which
    nothing was found: of the others it is known.

    Raises:
        click.UsageError: One does not exist; says which are written alike, and which there are.
        StoreError: It can't be found out.
    """
    unknown = sorted(event for event in set(events) if not _exists(pipeline, event))
    if not unknown:
        return
    there = _events_there(pipeline)
    name = "event" if len(unknown) == 1 else "events"
    which = ", ".join(_name(event) for event in unknown[:MOST_EVENTS])
    target = f"s3://{pipeline.target.bucket}/{pipeline.target_prefix}"
    words = f"there is no {name} {which}: nothing of it is below {printable(pipeline.source_uri(''))} or {target}"
    more = f" and {len(there) - MOST_EVENTS:,} more" if len(there) > MOST_EVENTS else ""
    words += f"; there are: {', '.join(_name(event) for event in there[:MOST_EVENTS]) or 'none'}{more}"
    by_fold = {event.casefold(): event for event in there}
    alike = {
        by_fold[found]: None
        for event in unknown[:MOST_EVENTS]
        for found in difflib.get_close_matches(event.casefold(), by_fold)
    }
    if alike:
        words += f"; did you mean {' or '.join(_name(event) for event in list(alike)[:3])}?"
    raise click.UsageError(words)


def _exists(pipeline: Pipeline, event: str) -> bool:
    """Whether there is an object of an event, at the source or at the target."""
    source = pipeline.source_prefix + pipeline.grammar.dates_prefix(event)
    target = f"{pipeline.target_prefix}{event}/"
    # Both are lazy: the second is asked for only where the first has none, and of each only the first page.
    return next(chain(pipeline.source.list(source), pipeline.target.list(target)), None) is not None


def _events_there(pipeline: Pipeline) -> list[str]:
    """The events that have sources or hour files, sorted."""
    places = (
        (pipeline.source, pipeline.source_prefix + pipeline.grammar.events_prefix()),
        (pipeline.target, pipeline.target_prefix),
    )
    return sorted(
        {
            folder[len(start) : -1]
            for store, start in places
            for folder in islice(store.list_level(start), MOST_LISTED)
            if isinstance(folder, str)
        }
    )


def _name(event: str) -> str:
    return printable(shortened(event))
