"""Resources: a pipeline's settings as Dagster shows them in its launchpad, opened at run time only.

A pipeline's settings are either those of the environment, `S3_ASSETS_…`, or all written down where the pipeline is
defined; the two are never mixed, or a target that was forgotten there would quietly be another pipeline's. No value of
a secret is in a resource's config, only the name of the variable that holds it.
"""

import os
import types
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

import boto3
import dagster as dg
from botocore.exceptions import BotoCoreError
from dagster_aws.s3 import S3Resource
from pydantic import Field

from s3_assets.builder.pipeline import Pipeline
from s3_assets.dagster.internals import resource_itself
from s3_assets.dagster.names import Names
from s3_assets.dagster.written import SettingValue, as_config, by_name
from s3_assets.errors import SettingsError
from s3_assets.hints.contract import HintSource
from s3_assets.hints.hours import Watched
from s3_assets.hints.queue import HintQueue
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.opening import open_pipeline
from s3_assets.settings import (
    PIPELINE_SETTINGS,
    AlertSettings,
    Setting,
    Settings,
    load_alert_settings,
    load_settings,
)

T = TypeVar("T")

OWN_SETTINGS = "`s3-assets` needs this pipeline's settings as S3_ASSETS_ variables: docs/library.md"
"""What an operator has to know of each command that an error names, where settings are not the environment's."""


class PipelineResource(dg.ConfigurableResource[None]):
    """Where sources are and where hour files go, and all else that a pipeline may be told.

    Settings that are written down are fields of `with_settings`, one for each row of the table.
    """

    environment: bool = Field(
        default=True, description="Whether what is left out here is read from the environment at run time."
    )

    def settings(self) -> Settings:
        """All settings, checked.

        Raises:
            SettingsError: With every problem there is.
        """
        return self._read(load_settings)

    def alert_settings(self) -> AlertSettings:
        """What alerts need, whatever is wrong with the rest.

        Raises:
            SettingsError: With every problem there is in the variables of alerts.
        """
        return self._read(load_alert_settings)

    def _read(self, load: Callable[[Mapping[str, str]], T]) -> T:
        given = {setting.variable: getattr(self, setting.name, None) for setting in PIPELINE_SETTINGS}
        told = {name: str(value) for name, value in given.items() if value is not None}
        if self.environment:
            return load({**os.environ, **told})
        try:
            return load(told)
        except SettingsError as error:
            raise SettingsError([by_name(line) for line in error.problems]) from None

    @contextmanager
    def open(self, s3: S3Resource) -> Iterator[Pipeline]:
        """The pipeline over S3, with the credentials, region and endpoint of `s3`, or the environment's."""
        with open_pipeline(self.settings(), session=session_of(s3), endpoint_url=s3.endpoint_url) as pipeline:
            yield pipeline if self.environment else replace(pipeline, aside=OWN_SETTINGS)

    def hint_source(self, s3: S3Resource) -> HintSource | None:
        """The queue of hints, with the credentials of `s3`; None where there is none. Nothing is sent."""
        settings = self.settings()
        if settings.hints_queue is None:
            return None
        watched = Watched(settings.source_bucket, settings.source_prefix, KeyGrammar(settings.source_pattern))
        return HintQueue(settings.hints_queue, watched, session=session_of(s3))


def resources_of(found: Any, names: Names) -> tuple[PipelineResource, S3Resource]:
    """Settings and credentials of a pipeline, from the resources of a run or a tick."""
    return resource_itself(found, names.settings), resource_itself(found, names.s3)


def session_of(s3: S3Resource) -> boto3.Session:
    """The credentials, region and profile of the resource; what it leaves out is the environment's.

    Raises:
        SettingsError: It names a profile that is not there.
    """
    try:
        return boto3.Session(
            aws_access_key_id=s3.aws_access_key_id,
            aws_secret_access_key=s3.aws_secret_access_key,
            aws_session_token=s3.aws_session_token,
            region_name=s3.region_name,
            profile_name=s3.profile_name,
        )
    except BotoCoreError as error:
        raise SettingsError([f"AWS: {error}"]) from error


def _with_settings() -> type[PipelineResource]:
    """The resource with a field for each setting of a pipeline."""
    own: dict[str, Any] = {
        setting.name: Field(default=None, description=f"{setting.meaning} {_default(setting)}")
        for setting in PIPELINE_SETTINGS
    }
    kinds = {setting.name: int | None if setting.unit else str | None for setting in PIPELINE_SETTINGS}
    about = {"__module__": __name__, "__doc__": PipelineResource.__doc__, "__annotations__": kinds}
    made: type[PipelineResource] = types.new_class(
        "PipelineSettings", (PipelineResource,), {}, lambda it: it.update(about | own)
    )
    return made


def _default(setting: Setting) -> str:
    return f"Default: {setting.variable} where the environment is read, else {setting.default or 'none'}."


PipelineSettings = _with_settings()


def from_environment() -> PipelineResource:
    """The settings of a deployment that is set up by environment variables.

    A variable that is set when definitions load is shown by its name in the launchpad; its value is read when a run
    or a tick needs it, and so is one that is set only there.
    """
    shown = {"source", "target", "config", "source_pattern"}
    given: dict[str, Any] = {
        setting.name: dg.EnvVar(setting.variable)
        for setting in PIPELINE_SETTINGS
        if setting.name in shown and setting.variable in os.environ
    }
    return PipelineSettings(**given)


def from_values(values: Mapping[str, SettingValue]) -> PipelineResource:
    """The settings of a pipeline that has all of them written down; `written.check` says whether they are good."""
    return PipelineSettings(environment=False, **as_config(values))
