"""Sensors: `source_sensor` looks at what is at the source, compares it with what was last made, and asks for the rest.

What a tick does is decided in `s3_assets.controller`; here it is put before Dagster. Level-triggered: no run key
(Dagster remembers one for ever, also of a run that failed), and a cursor that says only where to look next.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource

from s3_assets.controller.outcome import Limits
from s3_assets.controller.requests import Batch
from s3_assets.controller.sweep import Place
from s3_assets.controller.tick import run_tick
from s3_assets.controller.words import details, in_words
from s3_assets.dagster.hints import Hints
from s3_assets.dagster.log_files import logged
from s3_assets.dagster.metrics import TickCount, counted
from s3_assets.dagster.names import Names
from s3_assets.dagster.partitions import events
from s3_assets.dagster.records import (
    OTHER_PRIORITY,
    PRIORITY_TAG,
    URGENCY_TAG,
    URGENT_PRIORITY,
    InstanceRecords,
)
from s3_assets.dagster.resources import PipelineResource, resources_of
from s3_assets.dagster.rhythm import Rhythm
from s3_assets.errors import S3AssetsError, SettingsError
from s3_assets.heartbeat import beating
from s3_assets.settings import SETTINGS, Settings

INTERVAL_S = 30
"""Between two looks at the recent dates and the sweep, in seconds."""

HINT_INTERVAL_S = 5
"""Between two looks at the queue of hints, where there is one, in seconds: as often as the daemon looks at sensors."""


def clock() -> datetime:
    """The time, aware."""
    return datetime.now(UTC)


_HINTS_VARIABLE = next(setting.variable for setting in SETTINGS if setting.name == "hints_queue")


def source_sensor(environ: Mapping[str, str], names: Names) -> dg.SensorDefinition:
    """The sensor of a group of events; where `environ` names a queue of hints, it looks at that more often."""

    @dg.sensor(
        name=names.sensor,
        job_name=names.job,
        required_resource_keys=names.resources,
        minimum_interval_seconds=HINT_INTERVAL_S if environ.get(_HINTS_VARIABLE) else INTERVAL_S,
        description=(
            "Looks at the recent dates of all events in every tick, and sweeps over all others, round and round, "
            "within a budget of time and requests. Compares each hour's sources with its last materialization, adds "
            "new events as partitions, and asks for the hours that differ, or whose hour file is gone. It does not "
            "look into files: `s3-assets verify` does."
        ),
    )
    @logged
    def source_sensor(context: dg.SensorEvaluationContext, **_resources: Any) -> dg.SensorResult:
        pipeline, s3 = resources_of(context.resources, names)  # a sensor that is called gets them as arguments, too
        now, place = clock(), Place.read(context.cursor)
        for_hints = bool(environ.get(_HINTS_VARIABLE)) and _is_early(place, now)
        watcher = None if for_hints else _watcher(pipeline)
        with counted(context, names, now) as count, beating(watcher, context.log.warning) as heart:
            result, heart.words = look(context, pipeline, s3, now, place, count)
        return result

    def look(
        context: dg.SensorEvaluationContext,
        pipeline: PipelineResource,
        s3: S3Resource,
        now: datetime,
        place: Place,
        count: TickCount,
    ) -> tuple[dg.SensorResult, str]:
        """What a tick says to Dagster, and in words."""
        records = InstanceRecords(context.instance, names, now)
        try:
            settings = pipeline.settings()
            with pipeline.open(s3) as site:
                hints = Hints.receive(pipeline.hint_source(s3), now)
                rhythm = Rhythm.read(context.instance, names, settings)
                tick = run_tick(
                    site,
                    records,
                    place,
                    _limits(settings),
                    now,
                    takes=lambda event: settings.takes(names.group, event),
                    hinted=hints.hours,
                    hints_only=hints.are_on and _is_early(place, now),
                    expected=rhythm.expected,
                )
            hints.settle(tick)
            count.tick = tick
        except S3AssetsError as error:
            raise dg.Failure(description=error.describe()) from None  # the cause may show more than it should
        message = in_words(tick.report, tick.new_events, hints.in_words())
        context.log.info(message)
        for detail in details(tick.report):
            context.log.warning(detail)
        if (waited := records.let_one_go_first()) is not None:
            context.log.info("run %s has waited long for urgent ones: it goes first now", waited)
        result = dg.SensorResult(
            run_requests=[_run_request(batch, names) for batch in tick.batches],
            dynamic_partitions_requests=[events(names).build_add_request(tick.new_events)] if tick.new_events else [],
            skip_reason=None if tick.batches else dg.SkipReason(message),
            cursor=tick.place.write(),
            asset_events=rhythm.news(tick, records.versions, now),
        )
        return result, message

    return source_sensor


def _is_early(place: Place, now: datetime) -> bool:
    """Whether the recent dates and the sweep were looked at just now."""
    return 0 <= now.timestamp() - place.looked < INTERVAL_S


def _watcher(pipeline: PipelineResource) -> str | None:
    """Whom a look tells how it went."""
    try:
        return pipeline.alert_settings().heartbeat_url
    except SettingsError:
        return None  # the tick says what is wrong; to the watcher, silence does


def _limits(settings: Settings) -> Limits:
    return Limits(
        seconds=settings.tick_seconds,
        requests=settings.tick_requests,
        hot_days=settings.hot_days,
        hours_per_run=settings.hours_per_run,
        bytes_per_run=settings.megabytes_per_run * 1_000_000,
        start_label=f"{settings.start_date:%Y-%m-%d}-00:00",
    )


def _run_request(batch: Batch, names: Names) -> dg.RunRequest:
    keys = [hour.partition_key for hour in batch.hours]
    tags = {
        PRIORITY_TAG: URGENT_PRIORITY if batch.is_urgent else OTHER_PRIORITY,
        URGENCY_TAG: "urgent" if batch.is_urgent else "sweep",
        "s3_assets/hours": str(len(batch.hours)),
        "s3_assets/newest": batch.hours[0].label.replace(":", "_"),
    }
    return dg.RunRequest(run_config={"ops": {names.op: {"config": {"partition_keys": keys}}}}, tags=tags)
