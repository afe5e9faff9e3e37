"""One hour as `plan --explain` sees it: what S3 shows, what Dagster has on record, and both in words.

S3 decides, and stands for itself: Dagster's half may be missing. Nothing is asked for here, and nothing is printed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from s3_assets.builder.history import leaving, read_again
from s3_assets.builder.left_out import VANISHED, LeftOut, left_out, standing
from s3_assets.cli.render import human_bytes
from s3_assets.controller.prospect import Known, Prospect, prospect
from s3_assets.errors import shortened
from s3_assets.hour_file.changes import empty_fingerprint, read_data_version
from s3_assets.hour_file.mending import sync_command
from s3_assets.hour_file.plan import Verdict
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from s3_assets.builder.build import Seen
    from s3_assets.dagster.hour_records import HourRecord
    from s3_assets.errors import S3AssetsError
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.policy import EventPolicy
    from s3_assets.settings import Settings

MOST_NAMED = 5
"""Differing or quarantined sources that are named; `--json` names all."""


@dataclass(frozen=True, slots=True)
class View:
    """All that is known of an hour.

    Attributes:
        seen: Its hour file and its sources.
        sources_uri: What the addresses of its sources begin with.
        target_uri: The address of its hour file.
        plan: What would bring it up to date; None where `problem` says why nothing can.
        problem: Why it can't be brought up to date.
        outside: Why it is none of the pipeline's hours; empty where it is one.
        policy: Its event's.
        fingerprint: Of its sources; None where it has none.
        now: When it was looked at (aware).
        record: What Dagster knows; None where it was not asked, or did not answer:
        unasked: then why not.
    """

    hour: Hour
    seen: Seen
    sources_uri: str
    target_uri: str
    plan: Plan | None
    problem: S3AssetsError | None
    outside: str
    policy: EventPolicy
    fingerprint: str | None
    now: datetime
    record: HourRecord | None = None
    unasked: str = ""

    @property
    def is_up_to_date(self) -> bool:
        """Whether the hour file holds what it can hold of its sources."""
        return self.plan is not None and self.plan.verdict in (Verdict.NOTHING, Verdict.EMPTY)

    @property
    def left(self) -> LeftOut:
        """What it leaves out or keeps all the same."""
        plan = self.plan
        return LeftOut() if plan is None else left_out(plan.unusable, plan.vanished, self.seen.sources)

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


def headline(view: View) -> str:
    """How it stands, in one line."""
    if view.outside:
        return f"{view.hour} is left alone: {view.outside}"
    if view.plan is None:
        return f"{view.hour} can't be brought up to date as it is"
    if view.plan.verdict is Verdict.EMPTY:
        return f"{view.hour} has no source objects and no hour file: there is nothing to write"
    if view.is_up_to_date:
        return f"{view.hour} is up to date: {standing(view.plan, view.left)}"
    return f"{view.hour} is out of date: {view.plan.reason}"


def on_s3(view: View) -> Iterator[tuple[str, str]]:
    """What S3 shows, under short names, in the order in which a person asks."""
    sources, target, uri = view.seen.sources, view.seen.target, view.target_uri
    size = human_bytes(sum(source.size for source in sources))
    yield "sources", f"{counted(len(sources), 'object')}, {size}, at {view.sources_uri}*"
    if target is None:
        yield "hour file", f"there is none at {uri}"
    elif target.ledger is None:
        yield "hour file", f"{uri}, {human_bytes(target.size)}, written {_time(target.last_modified)}"
    else:
        ledger = target.ledger
        holds = f"{ledger.rows:,} rows of {counted(len(ledger.held), 'source')} in {len(ledger.segments):,} segments"
        yield "hour file", f"{uri}, {human_bytes(target.size)}, {holds}, written {_time(target.last_modified)}"
    if view.problem is not None:
        yield "problem", view.problem.describe()
    if view.plan is None:
        return
    for action in view.plan.actions[:MOST_NAMED]:
        yield str(action.change), f"{_name(action.key)}, {human_bytes(action.size)}: {action.reason}"
    if len(view.plan.actions) > MOST_NAMED:
        yield "", f"and {counted(len(view.plan.actions) - MOST_NAMED, 'more source')}"
    yield from _leaving(view, view.plan)
    left = view.left
    changes = dict(left.changed_by(view.hour))
    for name, some in left.kinds().items():
        if some.count and name != VANISHED:
            details = {bad.key: f": {shortened(bad.detail)}" for bad in view.plan.unusable}
            for key, why in some.first:
                yield name, f"{_name(key)}: {why}{details[key]}"
            more = f"and {some.count - len(some.first):,} more; " if some.count > len(some.first) else ""
            yield "", more + changes[name]
    if left.vanished.count:
        whose = counted(left.vanished.count, "source")
        names = left.vanished.names(short=True)
        yield "vanished", f"rows of {whose} gone from the source stay: {names}; {changes[VANISHED]}"


def _leaving(view: View, plan: Plan) -> Iterator[tuple[str, str]]:
    """The rows that can leave by the plan."""
    ledger = None if view.seen.target is None else view.seen.target.ledger
    foreseen = leaving(plan, ledger)
    if foreseen.rows_removed:
        yield "rows", f"up to {foreseen.leaving_sentence()}"
    sources, rows = read_again(plan, ledger)
    if sources:
        again = f"{counted(sources, 'source')} with {counted(rows, 'row')}"
        yield "rows", f"of {again}, those leave whose source turns out to be unusable when it is read again"


def on_record(view: View, settings: Settings) -> Iterator[tuple[str, str]]:
    """What Dagster knows, or why it was not asked; then what happens next, and what to do."""
    if view.record is None:
        yield "Dagster", view.unasked
    else:
        yield from _recorded(view, view.record)
    yield "next", _next(view, settings)


def _recorded(view: View, record: HourRecord) -> Iterator[tuple[str, str]]:
    if record.made is None:
        yield "Dagster", f"{record.asset} was never materialized for this hour"
    else:
        now = view.fingerprint or empty_fingerprint(view.policy)
        same = record.version is not None and read_data_version(record.version).fingerprint == now
        of = "of the sources that are there now" if same else "of other sources, or other settings, than now"
        yield "Dagster", f"last materialized {_time(record.made)} by run {record.run_id}, {of}"
    if not record.is_partition:
        yield "", f"{view.hour.event!r} is no partition yet: the sensor adds it when it first sees a source of it"
    for run in record.runs:
        silent = f", without a heartbeat for over {_hours(run.since, view.now)} h: it blocks nothing any more"
        yield "run", f"{run.run_id} {run.status} since {_time(run.since)}{silent if run.is_silent else ''}"
    failing = record.failing
    if failing is not None:
        tries = "once" if failing.tries == 1 else f"{failing.tries} times"
        last = f"last {_time(failing.last)} in run {failing.run_id}"
        yield "failed", f"{tries} since {_time(failing.since)}, {last}: {failing.words}"
    if record.lost:
        ended = max(run.ended for run in record.lost)
        yield (
            "lost",
            f"{counted(len(record.lost), 'run')} with this hour ended without a result, the last {_time(ended)}",
        )
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
        beat = (
            "has no heartbeat yet"
            if record.daemon_beat is None
            else f"has no heartbeat since {_time(record.daemon_beat)}"
        )
        words += f"; but the daemon that evaluates it {beat}: start `dagster-daemon run`"
    return words


def _daemon_lives(record: HourRecord, now: datetime) -> bool:
    from s3_assets.dagster.hour_records import DAEMON_LATE

    return record.daemon_beat is not None and now - record.daemon_beat <= DAEMON_LATE


def _next(view: View, settings: Settings) -> str:  # noqa: PLR0911  (a table of cases, one return each)
    """What happens to the hour next, and what to do where nothing does."""
    if view.outside:
        return "nothing"
    record = view.record
    if record is None:
        return _nothing(view) if view.is_up_to_date else _by_hand(view)
    what, until = view.prospect(record)
    state = record.sensor_state
    if what is Prospect.UNDER_WAY:
        return "a run that has it brings it up to date, or says why it can't"
    if what is Prospect.LEFT:
        return _nothing(view) if view.is_up_to_date else _left(view, record)
    if (state is None or not state.is_on) and view.is_up_to_date:
        return (
            f"{_nothing(view)}; that it is up to date is not on record: the run that {record.sensor} asks for once it "
            "is on writes nothing"
        )
    if state is None or not state.is_on:
        return f"nothing by itself: {record.sensor} is off (in the UI: Automation); {_by_hand(view)}"
    when = _when(view, settings, state.interval_s or 0)
    if not _daemon_lives(record, view.now):
        when = f"once its daemon runs: {when}"
    if what is Prospect.ASKED_FOR and view.is_up_to_date:
        return f"{record.sensor} asks for it {when}: it is up to date, which is not on record; the run writes nothing"
    if what is Prospect.ASKED_FOR and view.plan is not None:
        return f"{record.sensor} asks for it {when}; {_by_hand(view)}"
    if until is not None:
        again = " or when its hour file is another one" if what is Prospect.STUCK else ""
        rests = "it is stuck" if what is Prospect.STUCK else f"it {what}"
        then = "it is up to date already" if view.is_up_to_date else _by_hand(view)
        return f"{rests}: {record.sensor} asks for it after {_time(until)}{again}; {then}"
    return f"{record.sensor} asks for it {when}, and it fails again until the problem is fixed"


def _left(view: View, record: HourRecord) -> str:
    """Why the sensor leaves an hour as it is that is out of date, as far as S3 shows."""
    if record.version is None:
        return f"nothing: nothing of it is on record, and the sensor does not look into files; {_by_hand(view)}"
    if view.seen.target is None and not read_data_version(record.version).has_file:
        return (
            "nothing until something changes: on record, none of its sources has a usable row, so there is no hour "
            "file; the producer must fix them"
        )
    return f"nothing: its sources are those on record, and the sensor does not look into files; {_by_hand(view)}"


def _nothing(view: View) -> str:
    """That an hour needs nothing, or what would change what it leaves out or keeps."""
    changes = [f"{name}: {change}" for name, change in view.left.changed_by(view.hour)]
    return "; ".join(["nothing until something changes", *changes]) if changes else "nothing is to be done"


def _by_hand(view: View) -> str:
    """What a person does about an hour that is out of date; a problem and the breaker have their own hint."""
    if view.plan is None:
        return "fix the problem first"
    if view.plan.verdict is Verdict.BREAKER:
        return f"`{sync_command(view.hour, '--accept-vanished')}` lets the vanished sources go, if they were meant to"
    return f"`{sync_command(view.hour)}` brings it up to date now"


def _when(view: View, settings: Settings, interval_s: int) -> str:
    """When the sensor looks at the hour: each tick lists sources of recent dates, its sweep hour files, too."""
    first_hot = view.now.date() - timedelta(days=settings.hot_days - 1)
    if view.seen.sources and view.hour.date >= first_hot.isoformat():
        return f"at its next tick, within {max(interval_s, 30)} s"
    return "when its sweep comes to that month, which its ticks report"


def _name(key: str) -> str:
    return key.rpartition("/")[2]


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _hours(since: datetime, now: datetime) -> int:
    return int((now - since).total_seconds() // 3600)
