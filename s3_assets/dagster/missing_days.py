"""Days of the backup that are due and not right: the notes of the sensor that looked, and the asset check over them.

A note is an observation of the day's partition. It holds until the day is materialized after it, or until the sensor
finds the day right all the same. So the alerts sensor knows of missing days without asking S3 or the folder, restarts
lose nothing, and if notes are wiped the next look makes them again.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from s3_assets.backup.verify import Audit
from s3_assets.dagster.internals import latest_event_ids
from s3_assets.plural import counted

NO_DAY_MISSING = "no_day_missing"
"""Name of the check."""

NAMED_DAYS = 100
"""How many days the check names; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A day that was due and not right when somebody looked.

    Attributes:
        day: Which.
        words: What is wrong.
        since: When that was recorded (aware).
    """

    day: date
    words: str
    since: datetime


def missing_days(instance: dg.DagsterInstance, asset: dg.AssetKey) -> dict[date, Missing]:
    """The days that are noted to be missing, and were not materialized since."""
    noted = latest_event_ids(instance, asset, dg.DagsterEventType.ASSET_OBSERVATION)
    made = latest_event_ids(instance, asset, dg.DagsterEventType.ASSET_MATERIALIZATION, noted) if noted else {}
    ids = [event for partition, event in noted.items() if event > made.get(partition, -1)]
    found: dict[date, Missing] = {}
    for start in range(0, len(ids), 1000):
        some = ids[start : start + 1000]
        for record in instance.fetch_observations(dg.AssetRecordsFilter(asset, storage_ids=some), len(some)).records:
            if (one := _missing(record)) is not None:
                found[one.day] = one
    return dict(sorted(found.items()))


def news(
    before: Mapping[date, Missing], now: Mapping[date, str], asset: dg.AssetKey
) -> list[dg.AssetObservation | dg.AssetCheckEvaluation]:
    """What is to be put on record, if anything changed: notes on days, and the check.

    Args:
        before: What is on record.
        now: The days that are missing, with what is wrong. Those on record that are not among them are right.
        asset: Of the backup.
    """
    changed = {day: words for day, words in now.items() if day not in before or before[day].words != words}
    changed |= {day: "" for day in before if day not in now}
    notes: list[dg.AssetObservation | dg.AssetCheckEvaluation] = [
        dg.AssetObservation(
            asset,
            partition=day.isoformat(),
            description=f"due and not right: {words}" if words else "right, or not due any more",
            metadata={"missing": bool(words), "words": words},
        )
        for day, words in sorted(changed.items())
    ]
    return [*notes, _evaluation(now, asset)] if notes else []


def what_is_wrong(day: date, found: Audit) -> str:
    """Of a day that is not right."""
    if day in found.damaged:
        return found.damaged[day]
    if day in found.late:
        return f"its backup lacks {counted(len(found.late[day]), 'local file')} as now on disk"
    return "there is no manifest: it was never backed up in whole"


def no_day_missing(asset: dg.AssetKey) -> dg.AssetChecksDefinition:
    """The check. Each run of a day ends with it, and the sensor evaluates it when something changed."""

    @dg.asset_check(
        asset=asset,
        name=NO_DAY_MISSING,
        description=(
            "Every day that is due is backed up in whole, as far as the sensor saw when it last looked. A day that is "
            "missing can be materialized, or backfilled with others."
        ),
    )
    def no_day_missing(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        noted = missing_days(context.instance, asset)
        found = _evaluation({day: one.words for day, one in noted.items()}, asset)
        return dg.AssetCheckResult(
            passed=found.passed, severity=found.severity, description=found.description, metadata=found.metadata
        )

    return no_day_missing


def _missing(record: dg.EventLogRecord) -> Missing | None:
    """What an observation says; None where it is no such note, or takes one back."""
    note = record.asset_observation
    said: dict[str, Any] = {} if note is None else {name: value.value for name, value in note.metadata.items()}
    if note is None or not said.get("missing"):
        return None
    try:
        day = date.fromisoformat(note.partition or "")
    except ValueError:
        return None
    return Missing(day, str(said.get("words", "")), datetime.fromtimestamp(record.timestamp, UTC))


def _evaluation(missing: Mapping[date, str], asset: dg.AssetKey) -> dg.AssetCheckEvaluation:
    schema = dg.TableSchema([dg.TableColumn("day", "string"), dg.TableColumn("what", "string")])
    return dg.AssetCheckEvaluation(
        asset_key=asset,
        check_name=NO_DAY_MISSING,
        passed=not missing,
        severity=dg.AssetCheckSeverity.ERROR,
        description=f"{counted(len(missing), 'day')} due and not right" if missing else "none",
        metadata={"missing": len(missing), "days": dg.MetadataValue.table(list(_rows(missing)), schema)},
    )


def _rows(missing: Mapping[date, str]) -> Iterator[dg.TableRecord]:
    for day in sorted(missing, reverse=True)[:NAMED_DAYS]:
        yield dg.TableRecord({"day": day.isoformat(), "what": missing[day]})
