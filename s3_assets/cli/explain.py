"""`plan --explain`: why one hour is stale, or that it is right, and what will become of it.

Two views put side by side: S3, which decides, and Dagster's records, where there is an instance. Nothing is written.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from s3_assets.builder.build import plan_hour, see
from s3_assets.cli.render import human_bytes, printable
from s3_assets.cli.sync import plan_json
from s3_assets.controller.prospect import Known, Prospect, prospect
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.changes import empty_fingerprint, read_data_version
from s3_assets.hour_file.keys import label_of
from s3_assets.hour_file.mending import REBUILD, sync_command
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.sources import listing_fingerprint
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets.builder.build import BuildOptions, Seen
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.dagster.hour_records import HourRecord
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.settings import Settings

HOME_VARIABLE = "DAGSTER_HOME"
"""Where Dagster's own tools find their instance."""

NAME_WIDTH = 12
"""Columns of a fact's short name."""

MOST_NAMED = 5
"""Differing or quarantined sources that are named; `--json` names all."""


@dataclass(frozen=True, slots=True)
class _View:
    """All that is known of an hour.

    Attributes:
        seen: Its hour file and its sources.
        plan: What would make it right; None where `problem` says why nothing can.
        problem: Why it can't be made right.
        outside: Why it is none of the pipeline's hours; empty where it is one.
        fingerprint: Of its sources; None where it has none.
        record: What Dagster knows; None where nobody can be asked.
        unasked: Why not.
    """

    hour: Hour
    seen: Seen
    plan: Plan | None
    problem: S3AssetsError | None
    outside: str
    policy: EventPolicy
    fingerprint: str | None
    record: HourRecord | None
    unasked: str
    now: datetime

    @property
    def is_right(self) -> bool:
        """Whether the hour file is as it should be."""
        return self.plan is not None and self.plan.verdict in (Verdict.NOTHING, Verdict.EMPTY)

    def prospect(self, record: HourRecord) -> tuple[Prospect, datetime | None]:
        """What the sensor will do."""
        target = self.seen.target
        known = Known(
            self.fingerprint,
            "" if target is None else target.etag,
            record.version,
            record.failing,
            record.lost,
            any(not run.is_silent for run in record.runs),
        )
        return prospect(self.hour, known, self.policy, self.now)


def explain_hour(hour: Hour, options: BuildOptions, *, as_json: bool) -> int:
    """Print what there is to say of an hour; the exit code: 1 where it can't be made right, or the breaker holds it.

    Raises:
        S3AssetsError: S3 or Dagster's storage can't be asked.
    """
    settings, now = load_settings(os.environ), datetime.now(UTC)
    record, unasked = _ask_dagster(hour, settings, now)
    with open_pipeline(settings) as pipeline:
        seen = see(pipeline, hour)
        plan: Plan | None = None
        problem: S3AssetsError | None = None
        try:
            plan = plan_hour(pipeline, hour, seen, options)
        except S3AssetsError as error:
            problem = error
        policy = pipeline.policy(hour.event)
        view = _View(
            hour=hour,
            seen=seen,
            plan=plan,
            problem=problem,
            outside=_outside(hour, settings, now),
            policy=policy,
            fingerprint=listing_fingerprint(seen.sources, policy.content_token()) if seen.sources else None,
            record=record,
            unasked=unasked,
            now=now,
        )
        headline, facts = _headline(view), list(_facts(view, pipeline, settings))
    if as_json:
        click.echo(json.dumps(_document(view, headline, facts), indent=2, ensure_ascii=False))
    else:
        click.echo(printable(headline))
        for name, text in facts:
            click.echo(f"  {name:<{NAME_WIDTH}}{printable(text)}")
    return 1 if plan is None or plan.verdict is Verdict.BREAKER else 0


def _ask_dagster(hour: Hour, settings: Settings, now: datetime) -> tuple[HourRecord | None, str]:
    if not os.environ.get(HOME_VARIABLE):
        return None, f"{HOME_VARIABLE} is not set here: this looked at S3 only"
    from s3_assets.dagster.hour_records import hour_record

    return hour_record(hour, settings.group_of(hour.event), now), ""


def _outside(hour: Hour, settings: Settings, now: datetime) -> str:
    if hour.date < f"{settings.start_date:%Y-%m-%d}":
        return f"it is before the start date, {settings.start_date:%Y-%m-%d} (S3_ASSETS_START_DATE)"
    if hour.label > label_of(now):
        return f"it is in the future: hours are labelled in UTC, and it is {now:%Y-%m-%d %H:%M} there"
    return ""


# --- saying ------------------------------------------------------------------------------------------------


def _headline(view: _View) -> str:
    if view.outside:
        return f"{view.hour} is left alone: {view.outside}"
    if view.plan is None:
        return f"{view.hour} can't be made right as it is"
    if view.is_right:
        return f"{view.hour} is right: {view.plan.reason}"
    return f"{view.hour} is stale: {view.plan.reason}"


def _facts(view: _View, pipeline: Pipeline, settings: Settings) -> Iterator[tuple[str, str]]:
    """What is known, under short names, in the order in which a person asks."""
    yield from _on_s3(view, pipeline)
    record = view.record
    if record is None:
        yield "Dagster", view.unasked
    else:
        yield from _on_record(view, record)
    yield "next", _next(view, settings)


def _on_s3(view: _View, pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    sources, target = view.seen.sources, view.seen.target
    size = human_bytes(sum(source.size for source in sources))
    where = pipeline.source_uri(pipeline.grammar.hour_prefix(view.hour))
    yield "sources", f"{_count(len(sources), 'object')}, {size}, at {where}*"
    uri = pipeline.target_uri(view.hour)
    if target is None:
        yield "hour file", f"there is none at {uri}"
    elif target.ledger is None:
        yield "hour file", f"{uri}, {human_bytes(target.size)}, written {_time(target.last_modified)}"
    else:
        ledger = target.ledger
        holds = f"{ledger.rows:,} rows of {_count(len(ledger.held), 'source')} in {len(ledger.segments):,} segments"
        yield "hour file", f"{uri}, {human_bytes(target.size)}, {holds}, written {_time(target.last_modified)}"
    if view.problem is not None:
        yield "problem", view.problem.describe()
    if view.plan is None:
        return
    for action in view.plan.actions[:MOST_NAMED]:
        yield str(action.change), f"{_name(action.key)}, {human_bytes(action.size)}: {action.reason}"
    if len(view.plan.actions) > MOST_NAMED:
        yield "", f"and {_count(len(view.plan.actions) - MOST_NAMED, 'more source')}"
    for bad in view.plan.unusable[:MOST_NAMED]:
        yield "quarantined", f"{_name(bad.key)}: {bad.reason}: {bad.detail}"
    if len(view.plan.unusable) > MOST_NAMED:
        yield "", f"and {len(view.plan.unusable) - MOST_NAMED:,} more quarantined"
    if view.plan.vanished:
        yield "vanished", f"{_count(len(view.plan.vanished), 'source')} gone from the source, whose rows stay"


def _on_record(view: _View, record: HourRecord) -> Iterator[tuple[str, str]]:
    if record.made is None:
        yield "Dagster", f"{record.asset} was never materialized for this hour"
    else:
        now = view.fingerprint or empty_fingerprint(view.policy)
        same = record.version is not None and read_data_version(record.version)[0] == now
        of = "of the sources that are there now" if same else "of other sources, or other settings, than now"
        yield "Dagster", f"last materialized {_time(record.made)} by run {record.run_id}, {of}"
    if not record.is_partition:
        yield "", f"{view.hour.event!r} is no partition yet: the sensor adds it when it first sees a source of it"
    for run in record.runs:
        silent = f", without a sign for over {_hours(run.since, view.now)} h: it holds nothing any more"
        yield "run", f"{run.run_id} {run.status} since {_time(run.since)}{silent if run.is_silent else ''}"
    failing = record.failing
    if failing is not None:
        tries = "once" if failing.tries == 1 else f"{failing.tries} times"
        last = f"last {_time(failing.last)} in run {failing.run_id}"
        yield "failed", f"{tries} since {_time(failing.since)}, {last}: {failing.words}"
    if record.lost:
        ended = max(run.ended for run in record.lost)
        yield "lost", f"{_count(len(record.lost), 'run')} with this hour ended without a word, the last {_time(ended)}"
    yield "sensor", _sensor(record, view.now)


def _sensor(record: HourRecord, now: datetime) -> str:
    state = record.sensor_state
    if state is None:
        return f"{record.sensor} was never turned on"
    if not state.is_on:
        return f"{record.sensor} is off"
    words = f"{record.sensor} is on, " + ("never ticked" if state.last is None else f"last tick {_time(state.last)}")
    if state.error is not None:
        words += f", which failed: {state.error.words}"
    if not _daemon_lives(record, now):
        beat = "never gave a sign" if record.daemon_beat is None else f"gave no sign since {_time(record.daemon_beat)}"
        words += f"; but the daemon that evaluates it {beat}: start `dagster-daemon run`"
    return words


def _daemon_lives(record: HourRecord, now: datetime) -> bool:
    from s3_assets.dagster.hour_records import DAEMON_LATE

    return record.daemon_beat is not None and now - record.daemon_beat <= DAEMON_LATE


def _next(view: _View, settings: Settings) -> str:  # noqa: PLR0911  (a table of cases, one return each)
    """What will become of the hour, and what to do where nothing will."""
    if view.outside:
        return "nothing"
    record = view.record
    if record is None:
        return "nothing is to be done" if view.is_right else _by_hand(view)
    what, until = view.prospect(record)
    state = record.sensor_state
    if what is Prospect.UNDER_WAY:
        return "a run that holds it makes it right, or says why it can't"
    if what is Prospect.LEFT:
        if view.is_right:
            return "nothing is to be done"
        return f"nothing: its sources are those on record, and the sensor does not look into files; {_by_hand(view)}"
    if (state is None or not state.is_on) and view.is_right:
        return (
            f"nothing is to be done: it is right, which is not on record; the run that {record.sensor} asks for once "
            "it is on writes nothing"
        )
    if state is None or not state.is_on:
        return f"nothing by itself: {record.sensor} is off (in the UI: Automation); {_by_hand(view)}"
    when = _when(view, settings, state.interval_s or 0)
    if not _daemon_lives(record, view.now):
        when = f"once its daemon runs: {when}"
    if what is Prospect.ASKED_FOR and view.is_right:
        return f"{record.sensor} asks for it {when}: it is right, which is not on record; the run writes nothing"
    if what is Prospect.ASKED_FOR and view.plan is not None:
        return f"{record.sensor} asks for it {when}; {_by_hand(view)}"
    if until is not None:
        again = " or when its hour file is another one" if what is Prospect.STUCK else ""
        rests = "it is stuck" if what is Prospect.STUCK else f"it {what}"
        then = "it is right already" if view.is_right else _by_hand(view)
        return f"{rests}: {record.sensor} asks for it after {_time(until)}{again}; {then}"
    return f"{record.sensor} asks for it {when}, and it fails again until the problem is mended"


def _by_hand(view: _View) -> str:
    """What a person does about an hour that is not right; a problem and the breaker have their own hint."""
    if view.plan is None:
        return "mend the problem first"
    if view.plan.verdict is Verdict.BREAKER:
        return f"`{sync_command(view.hour, '--accept-vanished')}` lets the vanished sources go, if they were meant to"
    # An hour without any source is found by `sync` only where its event drops vanished ones, or to rebuild.
    flags = () if view.seen.sources or view.policy.on_vanished == "drop" else (REBUILD,)
    return f"`{sync_command(view.hour, *flags)}` makes it right now"


def _when(view: _View, settings: Settings, interval_s: int) -> str:
    """When the sensor looks at the hour: at recent dates in each tick, at others when its sweep comes by."""
    first_hot = view.now.date() - timedelta(days=settings.hot_days - 1)
    if view.hour.date >= first_hot.isoformat():
        return f"at its next tick, within {max(interval_s, 30)} s"
    return "when its sweep comes to that month, which its ticks tell"


def _document(view: _View, headline: str, facts: list[tuple[str, str]]) -> dict[str, Any]:
    record, target = view.record, view.seen.target
    what, until = (None, None) if record is None else view.prospect(record)
    return {
        "event": view.hour.event,
        "hour": view.hour.label,
        "right": view.is_right and not view.outside,
        "headline": headline,
        "sources": [source.key for source in view.seen.sources],
        "hour_file": None if target is None else {"etag": target.etag, "size": target.size},
        "plan": None if view.plan is None else plan_json(view.plan),
        "problem": None if view.problem is None else view.problem.describe(),
        "dagster": None
        if record is None
        else {
            "asset": record.asset,
            "partition": record.is_partition,
            "materialized": None if record.made is None else record.made.isoformat(),
            "run": record.run_id or None,
            "data_version": record.version,
            "runs": [{"id": run.run_id, "status": run.status, "since": run.since.isoformat()} for run in record.runs],
            "failures": 0 if record.failing is None else record.failing.tries,
            "error": None if record.failing is None else record.failing.words,
            "sensor_is_on": record.sensor_state is not None and record.sensor_state.is_on,
            "prospect": str(what),
            "rests_until": None if until is None else until.isoformat(),
        },
        "facts": [{"about": name, "text": text} for name, text in facts],
    }


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _hours(since: datetime, now: datetime) -> int:
    return int((now - since).total_seconds() // 3600)
