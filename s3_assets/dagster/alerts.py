"""The alerts sensor: looks at what is wrong once a minute, and tells it.

What is told, when, and in which words is decided in `s3_assets.alerts`; where problems come from is in
`s3_assets.dagster.watched`. Nothing is asked of S3 here, so that alerts go out when S3 does not answer.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from s3_assets.alerts.compose import Composed
from s3_assets.alerts.deliver import Delivered, Sender, deliver, refused_channels
from s3_assets.alerts.groups import FURTHER, Destination
from s3_assets.alerts.problems import (
    AUTOMATION,
    BACKUP_DAY,
    BLIND,
    BREAKER,
    HOUR,
    NO_SOURCES,
    NOT_MADE,
    QUARANTINED,
    REFUSED,
    RUN,
    SETTINGS,
    Problem,
    Severity,
)
from s3_assets.alerts.reconcile import Decision, decide
from s3_assets.alerts.slack import SlackSender
from s3_assets.alerts.state import AlertState, Open, digest
from s3_assets.dagster.alert_scope import AlertScope, hours_told, told_of, what_it_tells
from s3_assets.dagster.backup import LATE_BACKUP_SENSOR
from s3_assets.dagster.internals import location_of, resource_itself
from s3_assets.dagster.log_files import logged
from s3_assets.dagster.metrics import count_alerts
from s3_assets.dagster.names import Names
from s3_assets.dagster.resources import PipelineResource
from s3_assets.dagster.watched.due import missing_day_problems, overdue_problems
from s3_assets.dagster.watched.hours import failing_hour_problems, quarantined_problems
from s3_assets.dagster.watched.look import Watch, blind_problems, look
from s3_assets.dagster.watched.runs import automation_problems, run_problems
from s3_assets.errors import SettingsError
from s3_assets.plural import counted
from s3_assets.settings import AlertSettings

ALERTS_SENSOR = "alerts_sensor"

INTERVAL_S = 60

MOST_TOLD = 10
"""Alerts that a tick names as wrong now; the rest is counted."""

_KINDS = {
    kind.name: kind
    for kind in (
        *(HOUR, BREAKER, QUARANTINED, NO_SOURCES, NOT_MADE, BACKUP_DAY),
        *(RUN, AUTOMATION, SETTINGS, BLIND, REFUSED, FURTHER),
    )
}


class LogSender:
    """Takes the log for Slack, where there is no token."""

    def __init__(self, context: dg.SensorEvaluationContext) -> None:
        """With the context of the tick."""
        self._log = context.log

    def post(self, composed: Composed) -> None:
        """Write it, at the level of its severity."""
        levels = {Severity.ERROR: self._log.error, Severity.WARNING: self._log.warning, None: self._log.info}
        levels[composed.severity]("%s", composed.plain)


def watches(context: dg.SensorEvaluationContext, every: Sequence[Names], scope: AlertScope) -> tuple[Watch, ...]:
    """All that is looked at, in the code location of `context`."""
    location = location_of(context)
    jobs, automations = told_of(context.repository_def, every[0].of_pipeline(ALERTS_SENSOR), scope)
    told = [*every, *hours_told(context.repository_def)]
    return (
        Watch("failing hours", frozenset({HOUR.name, BREAKER.name}), failing_hour_problems(every)),
        Watch("quarantined sources", frozenset({QUARANTINED.name}), quarantined_problems(every)),
        Watch("overdue events", frozenset({NO_SOURCES.name, NOT_MADE.name}), overdue_problems(every)),
        *(
            [Watch("days of the backup", frozenset({BACKUP_DAY.name}), missing_day_problems())]
            if LATE_BACKUP_SENSOR in automations
            else []
        ),
        Watch("failed runs", frozenset({RUN.name}), run_problems(jobs, location, told)),
        Watch("sensors and schedules", frozenset({AUTOMATION.name}), automation_problems(automations, location)),
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


def alerts_sensor(
    every: Sequence[Names], scope: AlertScope = "location", own: Collection[str] = ()
) -> dg.SensorDefinition:
    """The sensor of the alerts of all groups of a pipeline, whose jobs, sensors and schedules are `own`."""

    @dg.sensor(
        name=every[0].of_pipeline(ALERTS_SENSOR),
        required_resource_keys={every[0].settings},
        metadata=what_it_tells(own, every),
        minimum_interval_seconds=INTERVAL_S,
        # An alert that has to be switched on is missing when it is needed.
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells what is wrong, in Slack or, without a token, in its own log: once when it begins, now and then "
            "while it lasts, once when it is over. It reads Dagster's storage only. Its cursor remembers what was "
            "said; to empty it costs one repeated message."
        ),
    )
    @logged
    def alerts_sensor(context: dg.SensorEvaluationContext, **_resources: Any) -> dg.SensorResult:
        return _tell(context, resource_itself(context.resources, every[0].settings), every, scope)

    return alerts_sensor


def _tell(
    context: dg.SensorEvaluationContext, pipeline: PipelineResource, every: Sequence[Names], scope: AlertScope
) -> dg.SensorResult:
    """One tick: look, compare with what was said, tell."""
    now = datetime.now(UTC)
    try:
        settings = pipeline.alert_settings()
    except SettingsError as error:
        raise dg.Failure(description=str(error)) from None
    seen = look(watches(context, every, scope), context.instance, now)
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
    count_alerts(context, every[0].of_pipeline(ALERTS_SENSOR), every[0], sent=done.sent, open_now=len(done.state.open))
    for trouble in done.troubles:
        context.log.error("%s", trouble)
    for name, blind in seen.blind.items():
        context.log.error("%s could not be looked at", name, exc_info=blind)
    return dg.SensorResult(skip_reason=dg.SkipReason(tick_message(decision, done)), cursor=done.state.dump())


def tick_message(decision: Decision, done: Delivered) -> str:
    """What a tick saw and said, short and in words, and what is wrong now, be it said already or not."""
    said = [_count(decision.problems, "problem"), f"{_count(len(done.state.open), 'alert')} open"]
    if done.sent:
        said.append(f"{_count(done.sent, 'message')} sent")
    unsent = len(decision.messages) - done.sent + decision.left + decision.held
    if unsent:
        said.append(f"{_count(unsent, 'message')} waiting")
    said += done.troubles
    said += [f"nothing is sent to {channel} for now" for channel in done.state.held if not done.troubles]
    waiting = (message.after for message in decision.messages if message.after is not None)
    wrong = [*({one.key: one for one in waiting} | dict(done.state.open)).values()]
    wrong.sort(key=lambda one: (_KINDS[one.kind].severity is not Severity.ERROR, one.since, one.over))
    said += [f"wrong now: {_title(one)}" for one in wrong[:MOST_TOLD]]
    said += [f"and {_count(len(wrong) - MOST_TOLD, 'alert')} more"] if len(wrong) > MOST_TOLD else []
    return "; ".join(said)


def _title(alert: Open) -> str:
    """`payments: 3 hours can't be made right, 2024-06-01-07:00 to 09:00`."""
    return f"{alert.over} {_KINDS[alert.kind].wrong}" + (f", {alert.which}" if alert.which else "")


def _count(number: int, noun: str) -> str:
    return counted(number, noun) if number else f"no {noun}"


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
