"""Alerts: where problems come from in Dagster, and the sensor that tells them.

What is told, when, and in which words is decided in `s3_assets.alerts`. Everything here is read from Dagster's own
storage; nothing is asked of S3, so that alerts go out when S3 does not answer.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import dagster as dg

from s3_assets.alerts.compose import Composed
from s3_assets.alerts.deliver import Delivered, Sender, deliver, refused_channels
from s3_assets.alerts.groups import Destination
from s3_assets.alerts.problems import (
    AUTOMATION,
    BLIND,
    BREAKER,
    HOUR,
    QUARANTINED,
    RUN,
    SETTINGS,
    Problem,
    Severity,
)
from s3_assets.alerts.reconcile import Decision, decide
from s3_assets.alerts.slack import SlackSender
from s3_assets.alerts.state import AlertState, digest
from s3_assets.controller.records import Failing
from s3_assets.dagster.internals import (
    PARTITION_NAME_TAG,
    error_of_run,
    failing_ticks,
    hours_asked_for,
    location_of,
    location_of_run,
    will_be_retried,
)
from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import failing_hours, quarantined_hours
from s3_assets.dagster.records import FAILED_TAG, hours_of
from s3_assets.dagster.resources import PipelineResource
from s3_assets.errors import BreakerOpenError, SettingsError
from s3_assets.hour_file.keys import Hour
from s3_assets.settings import AlertSettings

ALERTS_SENSOR = "alerts_sensor"

INTERVAL_S = 60

SETTLES_WITHIN = timedelta(minutes=15)
"""An hour that failed once is tried again within minutes: so long nothing is said of it, if trying again may help."""

FAILED_TICKS = 3
"""A sensor or schedule is a problem once so many of its ticks failed in a row."""

TICKS_LOOKED_AT = 50

RUN_MEMORY = timedelta(days=1)
"""A run that failed longer ago is not told of."""

MOST_RUNS = 1000
"""Failed runs that a tick reads."""

MOST_EXPLAINED = 20
"""Of so many runs and hours of a kind the error's words are looked up; those of the others are not shown anyway."""

BLIND_TICKS = 3
"""A sort of problem that could not be looked at is told after so many ticks in a row."""

ProblemSource = Callable[[dg.DagsterInstance, datetime], Iterable[Problem]]
"""The problems of some kinds that there are now (aware)."""


@dataclass(frozen=True, slots=True)
class Watch:
    """A source of problems.

    Attributes:
        name: What it looks at, in words.
        kinds: The names of the kinds that it gives. While it fails, nothing is concluded about them.
        source: Where the problems come from.
    """

    name: str
    kinds: frozenset[str]
    source: ProblemSource


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is, and what could not be looked at: the error by the name of the watch."""

    problems: list[Problem] = field(default_factory=list)
    blind: dict[str, Exception] = field(default_factory=dict)
    blind_kinds: set[str] = field(default_factory=set)


# --- failing hours -----------------------------------------------------------------------------------------


def hour_problem(failing: Failing, now: datetime) -> Problem:
    """A failing hour as a problem.

    It is settled when trying again can't help, when it failed twice, or when it failed once and is not made right
    within `SETTLES_WITHIN`.
    """
    held = failing.error == BreakerOpenError.__name__
    by_itself = not failing.permanent and not held
    if not by_itself:
        heals = "somebody has to do what the error says; then it is tried again by itself, within a day"
    elif failing.next_try > now:
        heals = f"it is tried again at {failing.next_try.astimezone(UTC):%H:%M} UTC, and from then on until it is right"
    else:
        heals = "it is tried again until it is right"
    return Problem(
        kind=BREAKER if held else HOUR,
        thing=str(failing.hour),
        words=failing.words,
        event=failing.hour.event,
        label=failing.hour.label,
        cause=failing.error,
        since=failing.since,
        tries=failing.tries,
        heals=heals,
        by_itself=by_itself,
        page=_run_page(failing.run_id),
        page_name=_run_name(failing.run_id),
        settled=not by_itself or _is_settled(failing.tries, failing.since, now),
    )


def _is_settled(tries: int, since: datetime, now: datetime) -> bool:
    return tries > 1 or now - since >= SETTLES_WITHIN


def failing_hour_problems(every: Collection[Names]) -> ProblemSource:
    """The hours that fail, those that the breaker holds, and those whose run died."""

    def source(instance: dg.DagsterInstance, now: datetime) -> Iterator[Problem]:
        for names in every:
            failing = failing_hours(instance, names.asset)
            for each in failing.values():
                yield hour_problem(each, now)
            yield from _lost_hours(instance, now, failing.keys(), names)

    return source


def _lost_hours(
    instance: dg.DagsterInstance, now: datetime, known: Collection[Hour], names: Names
) -> Iterator[Problem]:
    """The hours of runs that ended without a word on them, and that no run has come to its end with since."""
    failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - RUN_MEMORY)
    lost: dict[Hour, list[dg.RunRecord]] = {}
    for record in instance.get_run_records(failed, limit=MOST_RUNS, order_by="update_timestamp"):
        if FAILED_TAG not in record.dagster_run.tags and not will_be_retried(record.dagster_run):
            for hour in hours_of(hours_asked_for(record.dagster_run, names.op)):
                lost.setdefault(hour, []).append(record)
    if not lost:
        return
    ended: dict[Hour, datetime] = {}
    since = min(_ended(records[-1]) for records in lost.values())
    good = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE], updated_after=since)
    for record in instance.get_run_records(good, limit=MOST_RUNS, order_by="update_timestamp"):
        run = record.dagster_run
        if run.status is dg.DagsterRunStatus.SUCCESS or FAILED_TAG in run.tags:
            for hour in hours_of(hours_asked_for(run, names.op)):
                ended.setdefault(hour, _ended(record))
    explained: dict[str, str] = {}
    for hour, records in lost.items():
        bad = [record for record in records if hour not in ended or _ended(record) > ended[hour]]
        if not bad or hour in known:
            continue
        run_id = bad[0].dagster_run.run_id
        if run_id not in explained and len(explained) < MOST_EXPLAINED:
            explained[run_id] = error_of_run(instance, run_id).words
        yield Problem(
            HOUR,
            str(hour),
            explained.get(run_id, ""),
            event=hour.event,
            label=hour.label,
            cause="run lost",
            since=_ended(bad[-1]),
            tries=len(bad),
            heals="it is asked for again until it is right; look at the run where it does not get through",
            by_itself=True,
            page=_run_page(run_id),
            page_name=_run_name(run_id),
            settled=_is_settled(len(bad), _ended(bad[-1]), now),
        )


# --- quarantined sources -----------------------------------------------------------------------------------


def quarantined_problems(every: Collection[Names]) -> ProblemSource:
    """The hours whose file leaves out sources as unusable."""

    def source(instance: dg.DagsterInstance, _now: datetime) -> Iterator[Problem]:
        found = [(one, names) for names in every for one in quarantined_hours(instance, names.asset).values()]
        found.sort(key=lambda pair: (pair[0].hour.label, pair[0].hour.event), reverse=True)
        for one, names in found:
            page = f"assets/{names.asset.to_user_string()}?view=partitions&partition="
            yield Problem(
                QUARANTINED,
                str(one.hour),
                one.words,
                event=one.hour.event,
                label=one.hour.label,
                since=one.since,
                heals="its producer has to mend, replace or remove the object; the hour's other rows are there",
                page=page + quote(one.hour.partition_key, safe=""),
                page_name=str(one.hour),
            )

    return source


# --- runs, sensors and schedules ---------------------------------------------------------------------------


def run_problems(jobs: Collection[str], location: str | None, every: Collection[Names]) -> ProblemSource:
    """Of `jobs`, those whose last run failed within `RUN_MEMORY`, by partition where they have partitions.

    Runs that name hours are told hour by hour. A run that Dagster runs again is no problem yet.
    """

    def source(instance: dg.DagsterInstance, now: datetime) -> Iterator[Problem]:
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=now - RUN_MEMORY)
        found: dict[tuple[str, str | None], list[dg.RunRecord]] = {}
        for record in instance.get_run_records(failed, limit=MOST_RUNS, order_by="update_timestamp"):
            run = record.dagster_run
            if run.job_name in jobs and location_of_run(run) in (None, location) and not _names_hours(run, every):
                found.setdefault((run.job_name, run.tags.get(PARTITION_NAME_TAG)), []).append(record)
        for place, ((job, partition), records) in enumerate(found.items()):
            good = _last_success(instance, job, partition)
            bad = [record for record in records if good is None or _ended(record) > good]
            if not bad or will_be_retried(bad[0].dagster_run):
                continue
            last = bad[0].dagster_run
            error = error_of_run(instance, last.run_id) if place < MOST_EXPLAINED else None
            yield Problem(
                RUN,
                job if partition is None else f"{job} {partition}",
                "" if error is None else error.words,
                cause="" if error is None else error.name,
                since=_ended(bad[-1]),
                tries=len(bad),
                heals="somebody has to look at the run, and launch it again",
                page=_run_page(last.run_id),
                page_name=_run_name(last.run_id),
            )

    return source


def _last_success(instance: dg.DagsterInstance, job: str, partition: str | None) -> datetime | None:
    tags = {} if partition is None else {PARTITION_NAME_TAG: partition}
    which = dg.RunsFilter(job_name=job, tags=tags, statuses=[dg.DagsterRunStatus.SUCCESS])
    records = instance.get_run_records(which, limit=1, order_by="update_timestamp")
    return _ended(records[0]) if records else None


def _names_hours(run: dg.DagsterRun, every: Collection[Names]) -> bool:
    keys = (key for names in every for key in hours_asked_for(run, names.op))
    return FAILED_TAG in run.tags or any(True for _ in hours_of(keys))


def automation_problems(names: Collection[str], location: str | None) -> ProblemSource:
    """Of the sensors and schedules `names`, those that are on and fail tick after tick."""

    def source(instance: dg.DagsterInstance, _now: datetime) -> Iterator[Problem]:
        for failing in failing_ticks(instance, in_a_row=FAILED_TICKS, look_back=TICKS_LOOKED_AT):
            if failing.name not in names or location not in (None, failing.location):
                continue
            yield Problem(
                AUTOMATION,
                failing.name,
                failing.error.words,
                cause=failing.error.name,
                since=failing.since,
                tries=failing.count,
                heals="what the error says has to be mended; it ticks on meanwhile",
                page=f"locations/{quote(failing.location, safe='')}/{failing.page}/{quote(failing.name, safe='')}",
                page_name=failing.name,
            )

    return source


# --- the sensor --------------------------------------------------------------------------------------------


class LogSender:
    """Takes the log for Slack, where there is no token."""

    def __init__(self, context: dg.SensorEvaluationContext) -> None:
        """With the context of the tick."""
        self._log = context.log

    def post(self, composed: Composed) -> None:
        """Write it, at the level of its severity."""
        levels = {Severity.ERROR: self._log.error, Severity.WARNING: self._log.warning, None: self._log.info}
        levels[composed.severity]("%s", composed.plain)


def watches(context: dg.SensorEvaluationContext, every: Collection[Names]) -> tuple[Watch, ...]:
    """All that is looked at, for the code location of `context`."""
    location, repository = location_of(context), context.repository_def
    jobs = set() if repository is None else set(repository.job_names)
    automations: set[str] = set()
    if repository is not None:
        automations |= {sensor.name for sensor in repository.sensor_defs} - {ALERTS_SENSOR}
        automations |= {schedule.name for schedule in repository.schedule_defs}
    return (
        Watch("failing hours", frozenset({HOUR.name, BREAKER.name}), failing_hour_problems(every)),
        Watch("quarantined sources", frozenset({QUARANTINED.name}), quarantined_problems(every)),
        Watch("failed runs", frozenset({RUN.name}), run_problems(jobs, location, every)),
        Watch("sensors and schedules", frozenset({AUTOMATION.name}), automation_problems(automations, location)),
    )


def look(sources: Iterable[Watch], instance: dg.DagsterInstance, now: datetime) -> Seen:
    """Ask each source. One that fails hides no other: what it can't tell is a problem, and is told."""
    seen = Seen()
    for watch in sources:
        try:
            problems = list(watch.source(instance, now))
        except Exception as error:  # noqa: BLE001  (whatever it is, it becomes a problem, or alerts would fall silent)
            seen.blind[watch.name] = error
            seen.blind_kinds.update(watch.kinds)
        else:
            seen.problems.extend(problems)
    return seen


def blind_problems(seen: Seen, state: AlertState) -> Iterator[Problem]:
    """What could not be looked at, as problems: settled once it could not for several ticks."""
    for name, error in seen.blind.items():
        yield Problem(
            BLIND,
            name,
            f"{type(error).__name__}: {error}",
            cause=type(error).__name__,
            tries=state.blind.get(name, 1),
            heals="once Dagster's storage answers again; until then nothing is known of these problems",
            by_itself=True,
            settled=state.blind.get(name, 1) >= BLIND_TICKS,
        )


def settings_problems(pipeline: PipelineResource) -> Iterator[Problem]:
    """The settings that can't be used, one by one."""
    try:
        pipeline.settings()
    except SettingsError as error:
        for line in error.problems:
            yield Problem(
                SETTINGS,
                line.partition(":")[0],
                line,
                heals="somebody has to set it right; it is read again at each tick",
            )


def alerts_sensor(every: Collection[Names]) -> dg.SensorDefinition:
    """The sensor of all groups' alerts."""

    @dg.sensor(
        name=ALERTS_SENSOR,
        minimum_interval_seconds=INTERVAL_S,
        # An alert that has to be switched on is missing when it is needed.
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells what is wrong, in Slack or, without a token, in its own log: once when it begins, now and then "
            "while it lasts, once when it is over. It reads Dagster's storage only. Its cursor remembers what was "
            "said; to empty it costs one repeated message."
        ),
    )
    def alerts_sensor(context: dg.SensorEvaluationContext, pipeline: PipelineResource) -> dg.SensorResult:
        return _tell(context, pipeline, every)

    return alerts_sensor


def _tell(context: dg.SensorEvaluationContext, pipeline: PipelineResource, every: Collection[Names]) -> dg.SensorResult:
    """One tick: look, compare with what was said, tell."""
    now = datetime.now(UTC)
    try:
        settings = pipeline.alert_settings()
    except SettingsError as error:
        raise dg.Failure(description=str(error)) from None
    seen = look(watches(context, every), context.instance, now)
    state = AlertState.load(context.cursor).for_destination(_destination(settings)).seen(seen.blind)
    decision = decide(
        [
            *seen.problems,
            *blind_problems(seen, state),
            *settings_problems(pipeline),
            *refused_channels(state, settings.slack_channel or ""),
        ],
        state,
        now,
        route=lambda problem: Destination(*settings.destination(problem.event, problem.owner)),
        repeat_s=60 * settings.alert_summary_minutes,
        repeats=settings.slack_token is not None,  # a log is not read again and again
        blind=seen.blind_kinds,
    )
    done = deliver(decision, _sender(context, settings), now, ui=settings.dagster_url)
    for trouble in done.troubles:
        context.log.error("%s", trouble)
    for name, blind in seen.blind.items():
        context.log.error("%s could not be looked at", name, exc_info=blind)
    return dg.SensorResult(skip_reason=dg.SkipReason(tick_message(decision, done)), cursor=done.state.dump())


def tick_message(decision: Decision, done: Delivered) -> str:
    """What a tick saw and said, short and in words."""
    said = [_count(decision.problems, "problem"), f"{_count(len(done.state.open), 'alert')} open"]
    if done.sent:
        said.append(f"{_count(done.sent, 'message')} sent")
    unsent = len(decision.messages) - done.sent + decision.left + decision.held
    if unsent:
        said.append(f"{_count(unsent, 'message')} waiting")
    said += done.troubles
    said += [f"nothing is sent to {channel} for now" for channel in done.state.held if not done.troubles]
    return "; ".join(said)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}" if number else f"no {noun}"


def _sender(context: dg.SensorEvaluationContext, settings: AlertSettings) -> Sender:
    if settings.slack_token is None:
        return LogSender(context)
    return SlackSender(settings.slack_token, url=settings.slack_url)


def _destination(settings: AlertSettings) -> str:
    """Where alerts go, as a digest: when it changes, what was said elsewhere is said again."""
    if settings.slack_token is None:
        return digest("log")
    where = (
        settings.slack_url,
        settings.slack_channel,
        settings.owner,
        settings.routes,
        sorted(settings.owners.items()),
    )
    return digest("slack", repr(where))


def _ended(record: dg.RunRecord) -> datetime:
    """When a run ended. A tag that is added later counts as an update, and is no end."""
    return (
        record.update_timestamp.astimezone(UTC)
        if record.end_time is None
        else datetime.fromtimestamp(record.end_time, UTC)
    )


def _run_page(run_id: str) -> str:
    return f"runs/{quote(run_id, safe='')}" if run_id else ""


def _run_name(run_id: str) -> str:
    return f"run {run_id[:8]}"
