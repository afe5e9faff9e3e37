"""The rhythm of events in Dagster: what a tick puts on record of it, and the asset check that shows it.

A record is an observation of the source's asset with the event as its partition, written where something changed: an
event in time costs hardly any. So the alerts sensor knows without asking S3, a restart loses nothing, and if records
are wiped the next look makes those that matter again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from s3_assets.controller.outcome import Tick
from s3_assets.controller.rhythm import Arrivals, Standing, is_news, judge
from s3_assets.dagster.internals import latest_event_ids
from s3_assets.dagster.names import Names
from s3_assets.hour_file.keys import Hour, escape_event, unescape_event
from s3_assets.plural import counted
from s3_assets.settings import Settings

RHYTHM_KEPT = "rhythm_kept"
"""Name of the check."""

NAMED_EVENTS = 100
"""How many events the check names; the rest is counted."""


class Rhythm:
    """What is expected of the events of a group, and what is on record of them.

    Attributes:
        expected: Events that a look has something to say about also where they are not there.
    """

    def __init__(self, names: Names, settings: Settings, before: Mapping[str, Standing]) -> None:
        """With what is on record of all events of the pipeline."""
        self._names, self._settings, self._before = names, settings, before
        ours = (event for event in {*settings.events, *before} if settings.takes(names.group, event))
        self.expected = sorted(ours)

    @classmethod
    def read(cls, instance: dg.DagsterInstance, names: Names, settings: Settings) -> "Rhythm":
        """With what there is on record."""
        return cls(names, settings, standings(instance, names.source))

    def news(
        self, tick: Tick, versions: Callable[[Collection[Hour]], Mapping[Hour, str]], now: datetime
    ) -> list[dg.AssetObservation | dg.AssetCheckEvaluation]:
        """What is to be put on record after `tick`: changed standings, and the check where a fault began or ended.

        Args:
            tick: Of this group's sensor.
            versions: Gives the recorded data version of each hour that was ever made.
            now: Aware.
        """
        settings, before = self._settings, self._before
        oldest = f"{now.astimezone(UTC).date() - timedelta(days=settings.hot_days - 1)}"
        changed: dict[str, Standing] = {}
        for event, seen in tick.arrivals.items():
            was, policy = before.get(event), settings.policy(event)
            if not policy.expect_every_hours and (was is None or not was.is_overdue):
                continue
            standing = judge(event, _with_what_was_made(event, seen, was, versions), policy, was, now)
            if is_news(standing, was, oldest):
                changed[event] = standing
        notes: list[dg.AssetObservation | dg.AssetCheckEvaluation] = [
            _note(one, self._names.source) for one in changed.values()
        ]
        if any(_faults(standing) != _faults(before.get(event)) for event, standing in changed.items()):
            notes.append(_evaluation({**before, **changed}, self._names.source))
        return notes


def _with_what_was_made(
    event: str,
    seen: Arrivals,
    was: Standing | None,
    versions: Callable[[Collection[Hour]], Mapping[Hour, str]],
) -> Arrivals:
    """An hour that waited and is older by now than what is looked at may have been made since."""
    if was is None or was.not_made_since is None or seen.waiting_since is not None or was.newest <= was.made:
        return seen
    newest = Hour(event, was.newest)
    return replace(seen, made=max(seen.made, was.newest)) if newest in versions({newest}) else seen


def _faults(standing: Standing | None) -> tuple[bool, bool]:
    if standing is None:
        return (False, False)
    return (standing.no_sources_since is not None, standing.not_made_since is not None)


# --- the records -------------------------------------------------------------------------------------------


def standings(instance: dg.DagsterInstance, source: dg.AssetKey) -> dict[str, Standing]:
    """What is on record of each event, by its name as it is in the keys."""
    ids = list(latest_event_ids(instance, source, dg.DagsterEventType.ASSET_OBSERVATION).values())
    found: dict[str, Standing] = {}
    for start in range(0, len(ids), 1000):
        some = ids[start : start + 1000]
        for record in instance.fetch_observations(dg.AssetRecordsFilter(source, storage_ids=some), len(some)).records:
            if (standing := _standing(record)) is not None:
                found[standing.event] = standing
    return found


def _note(standing: Standing, source: dg.AssetKey) -> dg.AssetObservation:
    times = {
        "no_sources_since": standing.no_sources_since,
        "not_made_since": standing.not_made_since,
    }
    return dg.AssetObservation(
        source,
        partition=escape_event(standing.event),
        description="; ".join(words_of(standing)) or "in time",
        metadata={
            "newest": standing.newest,
            "made": standing.made,
            "looked_since": dg.MetadataValue.timestamp(standing.looked_since.timestamp()),
            **{name: dg.MetadataValue.timestamp(when.timestamp()) for name, when in times.items() if when is not None},
        },
    )


def _standing(record: dg.EventLogRecord) -> Standing | None:
    """What an observation says; None where it is not one of these."""
    note = record.asset_observation
    said: dict[str, Any] = {} if note is None else {name: value.value for name, value in note.metadata.items()}
    try:
        looked, silent, waiting = (
            None if name not in said else datetime.fromtimestamp(said[name], UTC)
            for name in ("looked_since", "no_sources_since", "not_made_since")
        )
        if note is None or looked is None or not note.partition:
            return None
        recorded = datetime.fromtimestamp(record.timestamp, UTC)
        return Standing(
            unescape_event(note.partition), str(said["newest"]), str(said["made"]), looked, silent, waiting, recorded
        )
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def words_of(standing: Standing) -> Iterator[str]:
    """The faults of an event, each in a few words; none where it is in time."""
    if standing.no_sources_since is not None:
        looked = f"{standing.looked_since:%Y-%m-%d %H:%M} UTC"  # older ones, beyond the recent dates, may be there
        begun = f"no sources since {standing.newest}" if standing.newest else f"no recent sources seen since {looked}"
        hour = "the next hour" if standing.newest else "the first hour"
        yield f"{begun}; {hour} with some was expected by {standing.no_sources_since:%Y-%m-%d %H:%M} UTC"
    if standing.not_made_since is not None:
        begun = f"no new hour since {standing.made}" if standing.made else "no new hour of the recent dates"
        arrive = "sources are arriving" if standing.no_sources_since is None else "sources are waiting"
        yield f"{begun}; {arrive}, the newest of {standing.newest}"


# --- the check ---------------------------------------------------------------------------------------------


def rhythm_kept(names: Names) -> dg.AssetChecksDefinition:
    """The check of a pipeline, for all groups. The sensors evaluate it when a fault begins or ends."""

    @dg.asset_check(
        asset=names.source,
        name=RHYTHM_KEPT,
        description=(
            "Every event of which hours are expected (`expect_every_hours`) has sources in time, and they are made "
            "into hour files in time. As of the last look that changed something; executed by hand it reads what is "
            "on record, and asks nothing of S3."
        ),
    )
    def rhythm_kept(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        found = _evaluation(standings(context.instance, names.source), names.source)
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=found.severity,
            description=found.description,
            metadata=found.metadata,
        )

    return rhythm_kept


def _evaluation(every: Mapping[str, Standing], source: dg.AssetKey) -> dg.AssetCheckEvaluation:
    overdue = sorted((one for one in every.values() if one.is_overdue), key=lambda one: one.event)
    silent = sum(one.no_sources_since is not None for one in overdue)
    unmade = sum(one.not_made_since is not None for one in overdue)
    records = [
        dg.TableRecord({"event": one.event, "fault": words, "newest": one.newest, "made": one.made})
        for one in overdue[:NAMED_EVENTS]
        for words in words_of(one)
    ]
    schema = dg.TableSchema(
        [
            dg.TableColumn("event", "string"),
            dg.TableColumn("fault", "string"),
            dg.TableColumn("newest", "string", description="the newest hour with sources"),
            dg.TableColumn("made", "string", description="the newest hour that was made"),
        ]
    )
    said = [f"{counted(silent, 'event')} without new sources"] if silent else []
    said += [f"{counted(unmade, 'event')} without new hour files"] if unmade else []
    return dg.AssetCheckEvaluation(
        asset_key=source,
        check_name=RHYTHM_KEPT,
        passed=not overdue,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(said) or "none is overdue",
        metadata={"overdue": len(overdue), "events": dg.MetadataValue.table(records, schema)},
    )
