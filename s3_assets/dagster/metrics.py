"""Where metrics come from: ticks count themselves, and read what runs have put on record since the tick before.

A run counts nothing: its process is gone before anybody could ask it. Counters are kept in Dagster's storage, beside
the daemon's own cursors, together with how far the records were read: a restart goes on where it was. Without
`S3_ASSETS_METRICS_FILE` and `S3_ASSETS_METRICS_ADDRESS` nothing here reads or keeps anything. No trouble with metrics
fails a tick.
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import dagster as dg

from s3_assets.controller.outcome import Tick
from s3_assets.controller.units import Unit  # noqa: TC001  (Dagster modules import for real)
from s3_assets.dagster.internals import keep_text, kept_text
from s3_assets.dagster.names import Names
from s3_assets.dagster.notes import failing_hours, quarantined_hours
from s3_assets.errors import KeyGrammarError, SettingsError
from s3_assets.hour_file.keys import Hour, unescape_event
from s3_assets.metrics.kept import Kept
from s3_assets.metrics.publish import PUBLISHER
from s3_assets.metrics.table import Key
from s3_assets.settings import MetricsSettings, load_metrics_settings

MOST_READ = 2000
"""Materializations that one tick reads, about 1 ms each; the next one goes on there."""

DIRECTIONS = {"downloaded": "bytes_downloaded", "uploaded": "bytes_uploaded", "copied": "bytes_copied_on_server"}
"""Of bytes, and what they are called in the metadata of a materialization."""


class TickCount:
    """What there is to count of one tick of a source sensor.

    Attributes:
        tick: What came of it; None while it has not come to its end.
    """

    def __init__(self) -> None:
        """Of a tick that begins."""
        self.tick: Tick | None = None


@contextmanager
def counted(context: dg.SensorEvaluationContext, names: Names, now: datetime) -> Iterator[TickCount]:
    """Count a tick of the source sensor, whatever comes of it.

    Runs are read before the tick looks: so an hour that differs when it looks was not made since.
    """
    count, settings = TickCount(), _settings(context)
    if settings is None:
        yield count
        return
    began = time.monotonic()
    kept = Kept.load(kept_text(context.instance, _key(names.sensor)))
    _read_runs(context.instance, names.asset, kept)
    came_to_its_end = False
    try:
        yield count
        came_to_its_end = True
    finally:
        seconds = time.monotonic() - began
        gauges: dict[Key, float] = {("s3_assets_last_tick_seconds", ()): seconds}
        kept.add("s3_assets_tick_seconds_total", by=seconds)
        for result in ("ok", "failed"):
            kept.add("s3_assets_ticks_total", result, by=(result == "ok") == came_to_its_end)
        if came_to_its_end:
            kept.values["s3_assets_last_tick_timestamp_seconds", ()] = now.timestamp()
        if count.tick is not None:
            _take(count.tick, kept, now)
        keep_text(context.instance, _key(names.sensor), kept.dump())
        _publish(context, settings, names, {**kept.values, **gauges, **_gauges(context.instance, names, kept, now)})


def count_alerts(
    context: dg.SensorEvaluationContext, sensor: str, pipeline: Names, *, sent: int, open_now: int
) -> None:
    """Count what a tick of the alerts sensor sent.

    Args:
        context: Of the tick.
        sensor: Its name.
        pipeline: Whose alerts they are.
        sent: Messages.
        open_now: Alerts that are not over.
    """
    if (settings := _settings(context)) is None:
        return
    kept = Kept.load(kept_text(context.instance, _key(sensor)))
    kept.add("s3_assets_alerts_sent_total", by=sent)
    keep_text(context.instance, _key(sensor), kept.dump())
    _publish(context, settings, pipeline, {**kept.values, ("s3_assets_alerts_open", ()): open_now}, sensor)


# --- what ticks and runs say -------------------------------------------------------------------------------


def _take(tick: Tick, kept: Kept, now: datetime) -> None:
    """What a look found."""
    kept.add("s3_assets_sources_listed_total", by=tick.report.sources)
    for kind, requests in tick.report.requests_by_kind.items():
        kept.add("s3_assets_tick_requests_total", kind, by=requests)
    units: dict[str, list[Unit]] = {}
    for unit in tick.looked_at:
        units.setdefault(unit.event, []).append(unit)

    def is_settled(hour: Hour) -> bool:
        """Whether the tick has seen it, or it is none of this sensor's any more."""
        is_ours = tick.window.holds(hour) and tick.takes(hour.event)
        return not is_ours or any(unit.holds(hour) for unit in units.get(hour.event, ()))

    kept.looked(is_settled, tick.differing, now)


def _read_runs(instance: dg.DagsterInstance, asset: dg.AssetKey, kept: Kept) -> None:
    """Count what runs have put on record since `kept.position`; from the first look on, nothing that was before it."""
    if kept.position is None:
        last = instance.fetch_materializations(asset, limit=1).records
        kept.position = last[0].storage_id if last else 0
        return
    left = MOST_READ
    while left > 0:
        since = dg.AssetRecordsFilter(asset, after_storage_id=kept.position)
        found = instance.fetch_materializations(since, limit=min(left, 1000), ascending=True)
        for record in found.records:
            kept.position = record.storage_id
            if record.asset_materialization is not None:
                _read_run(record.asset_materialization, kept)
        left -= len(found.records)
        if not found.has_more:
            return


def _read_run(made: dg.AssetMaterialization, kept: Kept) -> None:
    """One hour that was made. What somebody reported by hand counts as far as it tells something."""
    try:
        hour = Hour.of_partition_key(made.partition or "")
    except KeyGrammarError:
        return
    told = {name: value.value for name, value in made.metadata.items()}
    kept.made(hour)
    kept.add("s3_assets_hours_made_total", hour.event, str(told.get("verdict", "unknown")))
    for direction, name in DIRECTIONS.items():
        kept.add("s3_assets_run_bytes_total", direction, by=_number(told.get(name)))
    for kind, requests in _by_name(told.get("requests_by_kind")):
        kept.add("s3_assets_run_requests_total", kind, by=requests)
    for change, sources in _by_name(told.get("changes")):
        kept.add("s3_assets_source_changes_total", hour.event, change, by=sources)


def _by_name(value: object) -> Iterator[tuple[str, float]]:
    """The numbers of metadata that holds some by their names."""
    for name, number in (value if isinstance(value, dict) else {}).items():
        yield str(name), _number(number)


def _number(value: object) -> float:
    return value if isinstance(value, int | float) else 0


def _gauges(instance: dg.DagsterInstance, names: Names, kept: Kept, now: datetime) -> dict[Key, float]:
    """What is so now. Each event has a value, also 0: a series that comes and goes can't be alerted on."""
    events = {unescape_event(key) for key in instance.get_dynamic_partitions(names.events)}
    behind, failing = Counter(hour.event for hour in kept.behind), failing_hours(instance, names.asset)
    ages: dict[str, float] = {}
    for hour, since in kept.behind.items():
        ages[hour.event] = max(ages.get(hour.event, 0), now.timestamp() - since)
    quarantined: Counter[str] = Counter()
    for one in quarantined_hours(instance, names.asset).values():
        quarantined[one.hour.event] += one.count
    failed = Counter(hour.event for hour in failing)
    found: dict[Key, float] = {}
    for event in events | behind.keys() | failed.keys() | quarantined.keys():
        found["s3_assets_hours_behind", (event,)] = behind[event]
        found["s3_assets_oldest_unbuilt_source_age_seconds", (event,)] = ages.get(event, 0)
        found["s3_assets_failing_hours", (event,)] = failed[event]
        found["s3_assets_quarantined_sources", (event,)] = quarantined[event]
    return found


# --- keeping and giving away -------------------------------------------------------------------------------


def _settings(context: dg.SensorEvaluationContext) -> MetricsSettings | None:
    """Where metrics go; None for nowhere, also where the settings say so badly, which all of them together tell."""
    try:
        settings = load_metrics_settings(os.environ)
    except SettingsError as error:
        context.log.warning("no metrics: %s", error)
        return None
    return settings if settings.are_on else None


def _key(sensor: str) -> str:
    return f"s3_assets/metrics/{sensor}"


def _publish(
    context: dg.SensorEvaluationContext,
    settings: MetricsSettings,
    names: Names,
    values: dict[Key, float],
    sensor: str | None = None,
) -> None:
    for trouble in PUBLISHER.publish(settings, sensor or names.sensor, (names.pipeline, names.group), values):
        context.log.warning("%s", trouble)
