"""One pipeline, from source objects to hour files: its assets, checks, jobs, sensors, resources, under its own names.

Several stand side by side in one code location, each with its own settings, partitions and resources, beside assets
that are none of ours. The default code location is one of them, without a name and with the settings of the
environment. Nothing is decided here but which definitions belong together.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import dagster as dg
from dagster_aws.s3 import S3Resource

from s3_assets.dagster.alert_scope import AlertScope
from s3_assets.dagster.alerts import alerts_sensor
from s3_assets.dagster.assets import asset_owners, hourly_gzip, source_csv
from s3_assets.dagster.audit import hour_files_equal_sources, verify_job
from s3_assets.dagster.jobs import hourly_gzip_job
from s3_assets.dagster.names import ASSET_GROUP, Names
from s3_assets.dagster.partitions import event_hours
from s3_assets.dagster.report import delivery_report, delivery_report_job, delivery_report_schedule
from s3_assets.dagster.resources import from_environment, from_values
from s3_assets.dagster.rhythm import rhythm_kept
from s3_assets.dagster.sensors import source_sensor
from s3_assets.dagster.written import SettingValue, as_variables, check
from s3_assets.errors import SettingsError
from s3_assets.settings import grid_start, group_names

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")


@dataclass(frozen=True)
class HourlyPipeline:
    """A pipeline to be defined; what can't be used is said when it is made.

    Attributes:
        name: Small letters, digits and `_`: what its assets' keys and all of its names begin with. Jobs, sensors and
            partitions keep their history under it. Empty: the names of the default code location.
        settings: Its settings by their names in the table (docs/settings.md), such as `source`, and these alone.
            None: the `S3_ASSETS_…` variables of the environment.
        key_prefix: What the keys of its assets begin with, in place of its name.
        asset_group: The group of its assets in the UI.
        groups: Which groups of its events it takes, `""` for the events in no group; None for all of them. The others
            are for another code location, which must have another name. What is in neither is made by nobody.
        alerts: What its own `alerts_sensor` tells of.
        s3: Credentials, region and endpoint; what it leaves out is the environment's.
    """

    name: str = ""
    settings: Mapping[str, SettingValue] | None = None
    key_prefix: str | Sequence[str] | None = None
    asset_group: str = ASSET_GROUP
    groups: Sequence[str] | None = None
    alerts: AlertScope = "pipeline"
    s3: S3Resource = field(default_factory=S3Resource)

    def __post_init__(self) -> None:
        """Check it.

        Raises:
            SettingsError: With every problem there is.
        """
        if self.name and not _NAME.fullmatch(self.name):
            needs = "needs small letters, digits and _, as it becomes part of the names of assets, jobs and sensors"
            raise SettingsError([f"name: found {self.name[:80]!r}; {needs}, for example orders"])
        if self.settings is None:
            return
        try:
            check(self.settings)
        except SettingsError as error:
            whose = f"pipeline {self.name}" if self.name else "the pipeline without a name"
            raise SettingsError([f"{whose}: {line}" for line in error.problems]) from None

    def names(self, group: str = "") -> Names:
        """What the definitions of a group of events are called; of the events in no group where none is given."""
        prefix = (self.key_prefix,) if isinstance(self.key_prefix, str) else self.key_prefix
        return Names(group, self.name, None if prefix is None else tuple(prefix), self.asset_group)

    @property
    def asset(self) -> dg.AssetKey:
        """The key of its hour files' asset: what assets downstream depend on. A group's is in its `names`."""
        return self.names().asset

    def partitions(self, group: str = "") -> dg.MultiPartitionsDefinition:
        """The grid of a group of events: for assets downstream that have a partition for each hour file.

        Raises:
            SettingsError: The settings that say where it starts can't be used.
        """
        return event_hours(grid_start(self._environ, datetime.now(UTC).date()), self.names(group))

    def definitions(self) -> dg.Definitions:
        """All of its definitions, to be merged with others. No S3 call is made.

        It reads where the grid starts, and which groups and hints there are; all else is read when a run or a tick
        needs it. Its jobs run in one process with threads, whatever the executor of the code location.

        Raises:
            SettingsError: One of these can't be used.
        """
        environ = self._environ
        start = grid_start(environ, datetime.now(UTC).date())
        every = [self.names(group) for group in self._groups(environ)]
        own, owners = self.names(), asset_owners(environ)
        settings = from_environment() if self.settings is None else from_values(self.settings)
        jobs = [job(names) for names in every for job in (hourly_gzip_job, verify_job, delivery_report_job)]
        schedules = [delivery_report_schedule(names) for names in every]
        sensors = [source_sensor(environ, names) for names in every]
        named = [one.name for some in (jobs, schedules, sensors) for one in some]
        alerts = [] if self.alerts == "none" else [alerts_sensor(every, self.alerts, named)]
        return dg.Definitions(
            assets=[
                source_csv(own, owners),
                *(make(start, names, owners) for names in every for make in (hourly_gzip, delivery_report)),
            ],
            asset_checks=[rhythm_kept(own), *(hour_files_equal_sources(names) for names in every)],
            jobs=jobs,
            schedules=schedules,
            sensors=[*sensors, *alerts],
            resources={own.settings: settings, own.s3: self.s3},
        )

    def _groups(self, environ: Mapping[str, str]) -> Sequence[str]:
        """Those that it takes, the events in no group first."""
        there = ["", *group_names(environ)]
        if self.groups is None:
            return there
        if strange := sorted({*self.groups} - {*there}):
            names = ", ".join(map(repr, there))
            raise SettingsError(
                [f"groups: found {strange[0][:80]!r}; the groups are {names}: see [groups] in the TOML"]
            )
        if not self.groups:
            raise SettingsError(["groups: names none, so there is nothing to make; leave it out for all of them"])
        return [group for group in there if group in self.groups]

    @property
    def _environ(self) -> Mapping[str, str]:
        return os.environ if self.settings is None else as_variables(self.settings)
