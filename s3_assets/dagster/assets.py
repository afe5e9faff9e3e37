"""Assets: `source_csv`, what producers write, and `hourly_gzip`, one hour file per event and hour."""

import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import Field

from s3_assets.builder.build import BuildOptions, HourResult
from s3_assets.builder.history import Changes, made_changes
from s3_assets.builder.left_out import LeftOut
from s3_assets.builder.pipeline import Pipeline
from s3_assets.builder.reconcile import HourFailure, Scope, make_right, observe, target_hours
from s3_assets.dagster.checks import no_failing, no_failing_hours, no_quarantined, no_quarantined_sources
from s3_assets.dagster.garbage import set_aside_what_is_loaded
from s3_assets.dagster.internals import DATA_VERSION_TAG, tag_run
from s3_assets.dagster.metadata import console_of, hour_metadata, materialization_text, what_is_left_out
from s3_assets.dagster.names import POOL, Names
from s3_assets.dagster.notes import (
    failing_after,
    failing_hours,
    on_record,
    quarantine_note,
    quarantined_hours,
    words_of,
)
from s3_assets.dagster.partitions import event_hours
from s3_assets.dagster.recorder import Recorder
from s3_assets.dagster.records import FAILED_TAG
from s3_assets.dagster.resources import resources_of
from s3_assets.errors import KeyGrammarError, S3AssetsError, SettingsError, quoted, shortened
from s3_assets.hour_file.keys import Hour, label_of, parse_label, unescape_event
from s3_assets.plural import counted
from s3_assets.settings import Settings, load_alert_settings

HOURS_PER_BACKFILL_RUN = 1000
"""Partitions of a backfill in one run: a run costs about 4 CPU-seconds whatever it does, an hour about 0.05."""

MOST_ERROR_WORDS = 600
"""Characters of an error's words that a run's log and its end show."""

LAYER_TAG = "s3_assets/layer"
"""Tag of the assets: `source`, `hour_files` or `report`, to select them by."""


class HoursConfig(dg.Config):
    """Which hours to bring up to date; empty for the partitions of the run itself."""

    partition_keys: list[str] = Field(
        default_factory=list,
        description="Hours as partition keys, `event|2021-09-01-07:00`, any scattered set of them. "
        "Empty: the partitions that the run was launched for.",
    )
    first: str = Field(
        default="",
        description="In place of single hours, a range: every hour from this one on, 2021-09-01-07:00, that has "
        "sources or an hour file. One run takes them all.",
    )
    last: str = Field(default="", description="The last hour of the range, included. Empty: the current hour.")
    events: list[str] = Field(
        default_factory=list, description="Only these events of the range. With no first hour: all of their hours."
    )
    rebuild: bool = Field(
        default=False,
        description="Read every source again and write a new file, also in place of a damaged or foreign one.",
    )
    accept_vanished: bool = Field(
        default=False,
        description="Let sources lose all their rows at once, by vanishing or by being rewritten, whatever the breaker "
        "says.",
    )
    accept_lost_rows: bool = Field(
        default=False,
        description="Rebuild a damaged hour file also without the rows of vanished sources that no version has intact.",
    )


def asset_owners(environ: Mapping[str, str]) -> list[str]:
    """Who looks after the assets: `owner` of `[alerts]` in the TOML file, as Dagster takes it.

    `@data-team` and other names are a team's; an address stays one. A mention in Slack's own markup means nothing
    here, and settings of alerts that can't be used are reported by `alerts_sensor`: then there is no owner.
    """
    try:
        owner = load_alert_settings(environ).owner.strip().removeprefix("@")
    except SettingsError:
        return []
    if not owner or owner.startswith("<"):
        return []
    is_address = "@" in owner.strip("@") and " " not in owner
    return [owner if is_address else f"team:{owner}"]


def code_references(file: str) -> dict[str, Any]:
    """Metadata that opens the code of an asset in an editor, where the package is a checkout; of an installed one none.

    Dagster links to files by their local paths. They mean something to who develops on this machine only.
    """
    path = Path(file)
    if not (path.parents[2] / "pyproject.toml").exists():
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # of code references; Dagster is pinned below 1.14
        reference = dg.LocalFileCodeReference(file_path=str(path), label=path.name)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[reference])}


def source_csv(names: Names, owners: Sequence[str] = ()) -> dg.AssetSpec:
    """The asset that stands for the source objects of a pipeline."""
    return dg.AssetSpec(
        names.source,
        description=(
            "The CSV objects that producers drop into S3, `{event}/{date}/{HH}_{MM}_….csv`: most on time, some late, "
            f"some twice, some broken. Nothing here is made by Dagster; `{names.sensor}` watches it."
        ),
        group_name=names.asset_group,
        kinds={"s3", "csv"},
        owners=owners,
        tags={LAYER_TAG: "source"},
    )


def hourly_gzip(start: date, names: Names, owners: Sequence[str] = ()) -> dg.AssetsDefinition:
    """The asset of a group of events, with a grid of hours from `start` on."""

    @dg.multi_asset(
        name=names.op,
        specs=[
            dg.AssetSpec(
                names.asset,
                deps=[names.source],
                skippable=True,
                partitions_def=event_hours(start, names),
                group_name=names.asset_group,
                kinds={"s3", "gzip", "csv"},
                owners=owners,
                tags={LAYER_TAG: "hour_files"},
                metadata=code_references(__file__),
                description=(
                    "One gzip per event and hour, `{event}/{date}/{HH}.csv.gz`, that holds every row of the hour's "
                    "source objects once, in key order. Materializing a partition brings that hour up to date, "
                    "whatever asked for it; when it is up to date already, nothing is written."
                ),
            )
        ],
        check_specs=[no_quarantined(names.asset), no_failing(names.asset)],
        pool=POOL,
        required_resource_keys=names.resources,
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=HOURS_PER_BACKFILL_RUN),
    )
    def hourly_gzip(
        context: dg.AssetExecutionContext, config: HoursConfig
    ) -> Iterator[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckResult]:
        pipeline, s3 = resources_of(context.resources, names)
        options = BuildOptions(
            rebuild=config.rebuild,
            accept_vanished=config.accept_vanished,
            accept_lost_rows=config.accept_lost_rows,
        )
        before = failing_hours(context.instance, names.asset)
        failures: list[HourFailure] = []
        done = _Done()
        try:
            with pipeline.open(s3) as site:
                hours = _hours(context, config, site, pipeline.settings(), names)
                console = console_of(getattr(context.resources, names.s3))
                context.log.info("%d hours", len(hours))
                with set_aside_what_is_loaded(), Recorder(context, len(hours)) as recorder:
                    for outcome in make_right(site, hours, options):
                        if isinstance(outcome, HourFailure):
                            failures.append(outcome)
                            context.log.error(_say_failure(outcome), exc_info=_trace(outcome))
                        else:  # its event says what a line in the log could say, and each is a write to the database
                            made = _materialization(
                                outcome, done.add(outcome), hour_metadata(site, outcome, console), names
                            )
                            yield from recorder.add(made, quarantine_note(names.asset, outcome.hour, outcome.left_out))
                context.log.info("%s", done.sentence(len(failures)))
                failing = failing_after(failures, before, site, datetime.now(UTC), context.run.run_id)
        except S3AssetsError as error:
            raise dg.Failure(description=error.describe(), allow_retries=False) from None
        yield from on_record(context.instance, context.run, names.op, names.asset, failing)
        yield no_quarantined_sources(quarantined_hours(context.instance, names.asset), names.asset)
        yield no_failing_hours(failing_hours(context.instance, names.asset), names.asset)
        if failures:
            tag_run(context.instance, context.run.run_id, {FAILED_TAG: str(len(failures))})
            raise _failure(failures, len(hours))

    return hourly_gzip


def _hours(
    context: dg.AssetExecutionContext, config: HoursConfig, site: Pipeline, settings: Settings, names: Names
) -> list[Hour]:
    """The hours that the run is for, which its partitions, its config's keys or its config's range say."""
    in_partitions = context.has_partition_key or context.has_partition_key_range
    in_range = bool(config.first or config.last or config.events)
    if in_partitions + bool(config.partition_keys) + in_range != 1:
        raise dg.Failure(
            description="It is not clear which hours the run is for. Give one of three: a partition of the asset; "
            "in the config, hours as partition_keys, such as payments|2021-09-01-07:00; or in the config a range, with "
            "first, last and events.",
            allow_retries=False,
        )
    try:
        if in_range:
            hours = [hour for hour in _in_range(config, site, settings) if settings.takes(names.group, hour.event)]
            _refuse_strange_events(context, config, hours, names)
            return hours
        keys: Iterable[str] = context.partition_keys if in_partitions else config.partition_keys
        hours = sorted({Hour.of_partition_key(key) for key in keys})
    except KeyGrammarError as error:
        raise dg.Failure(description=shortened(str(error), MOST_ERROR_WORDS), allow_retries=False) from error
    for hour in hours:
        if not settings.takes(names.group, hour.event):
            theirs = replace(names, group=settings.group_of(hour.event))
            raise dg.Failure(
                description=f"{quoted(hour.event)} is an event of {theirs.asset.to_user_string()}, not of "
                f"{names.asset.to_user_string()}: see [groups] in the TOML file.",
                allow_retries=False,
            )
    return hours


def _refuse_strange_events(
    context: dg.AssetExecutionContext, config: HoursConfig, hours: Collection[Hour], names: Names
) -> None:
    """A mistyped event must not look like a job well done. One that is known may have no hour in the range."""
    known = {*map(unescape_event, context.instance.get_dynamic_partitions(names.events))}
    if strange := sorted({*config.events} - known - {hour.event for hour in hours}):
        raise dg.Failure(
            description=f"There is no event {quoted(strange[0])} of {names.asset.to_user_string()}: no source objects, "
            "no hour files in this range, and no partitions. Nothing was done.",
            allow_retries=False,
        )


def _in_range(config: HoursConfig, site: Pipeline, settings: Settings) -> list[Hour]:
    """The hours of a range that have sources or an hour file.

    Raises:
        KeyGrammarError: An end of it is not a valid hour.
    """
    start, now = f"{settings.start_date:%Y-%m-%d}-00:00", label_of(datetime.now(UTC))
    first = max(parse_label(config.first), start) if config.first else start
    last = min(parse_label(config.last), now) if config.last else now
    scope = Scope(first, last, tuple(config.events) or None, start_label=start, now_label=now)
    return sorted({*observe(site, scope).hours, *target_hours(site, scope)})


@dataclass
class _Done:
    """What a run did, for its log.

    Attributes:
        written: Hours whose file was written or removed.
        unchanged: Hours that were up to date already.
        changes: The rows that came and left, of all hours.
        left: What all of them leave out or keep.
    """

    written: int = 0
    unchanged: int = 0
    changes: Changes = field(default_factory=Changes)
    left: LeftOut = field(default_factory=LeftOut)

    def add(self, result: HourResult) -> Changes:
        """Count an hour, and say what changed in it."""
        changes = made_changes(result)
        self.written += result.plan.writes
        self.unchanged += not result.plan.writes
        self.changes += changes
        self.left += what_is_left_out(result)
        return changes

    def sentence(self, failed: int) -> str:
        """`2 hours written: +1,204 rows, -3 rows (from …); 1 hour as it was; 1 source is quarantined: …`."""
        was = "it was" if self.unchanged == 1 else "they were"
        said = [f"{counted(self.written, 'hour')} written" + (f": {self.changes.sentence()}" if self.written else "")]
        said += [f"{counted(self.unchanged, 'hour')} as {was}"] if self.unchanged else []
        said += [f"{counted(failed, 'hour')} failed"] if failed else []
        pairs = zip(self.left.clauses(short=False), self.left.changed_by(), strict=True)
        return "; ".join([*said, *(f"{clause} ({change})" for clause, (_, change) in pairs)])


def _materialization(
    result: HourResult, changes: Changes, metadata: dict[str, Any], names: Names
) -> dg.AssetMaterialization:
    event, hour = result.hour.partition_key.split("|")
    return dg.AssetMaterialization(
        names.asset,
        description=materialization_text(result, changes),
        partition=dg.MultiPartitionKey({"event": event, "hour": hour}),
        metadata=metadata,
        tags={DATA_VERSION_TAG: result.data_version},
    )


def _say_failure(failure: HourFailure) -> str:
    return f"{shortened(str(failure.hour))}: {shortened(words_of(failure.error), MOST_ERROR_WORDS)}"


def _trace(failure: HourFailure) -> BaseException | None:
    """The trace of an unforeseen error; the others say all in their message."""
    return None if isinstance(failure.error, S3AssetsError) else failure.error


def _failure(failures: list[HourFailure], hours: int) -> dg.Failure:
    """The run's red end: which hours failed and why. The others' results stand."""
    records = [
        dg.TableRecord({"hour": failure.hour.partition_key, "error": _say_failure(failure)}) for failure in failures
    ]
    schema = dg.TableSchema([dg.TableColumn("hour", "string"), dg.TableColumn("error", "string")])
    good = hours - len(failures)
    others = "" if not good else "; the other is up to date" if good == 1 else "; the others are up to date"
    return dg.Failure(
        description=f"{len(failures)} of {counted(hours, 'hour')} failed{others}. First: {_say_failure(failures[0])}",
        metadata={"failed_hours": dg.MetadataValue.table(records[:200], schema), "failed": len(failures)},
        allow_retries=False,
    )
