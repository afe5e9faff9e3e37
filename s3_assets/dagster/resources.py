"""Resources: the pipeline's settings as Dagster shows them in its launchpad, opened at run time only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import dagster as dg
from botocore.exceptions import BotoCoreError
from dagster_aws.s3 import S3Resource
from pydantic import Field

from s3_assets.builder.pipeline import Pipeline
from s3_assets.errors import SettingsError
from s3_assets.hints.contract import HintSource
from s3_assets.hints.hours import Watched
from s3_assets.hints.queue import HintQueue
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.opening import open_pipeline
from s3_assets.settings import SETTINGS, AlertSettings, Settings, load_alert_settings, load_settings

_MEANING = {setting.name: f"{setting.meaning} Default: {setting.variable} at run time." for setting in SETTINGS}


class PipelineResource(dg.ConfigurableResource[None]):
    """Where sources are and where hour files go. What is left out is read from the environment at run time."""

    source: str | None = Field(default=None, description=_MEANING["source"])
    target: str | None = Field(default=None, description=_MEANING["target"])
    config: str | None = Field(default=None, description=_MEANING["config"])
    source_pattern: str | None = Field(default=None, description=_MEANING["source_pattern"])
    fetch_threads: int | None = Field(default=None, description=_MEANING["fetch_threads"])
    hour_threads: int | None = Field(default=None, description=_MEANING["hour_threads"])
    hours_per_run: int | None = Field(default=None, description=_MEANING["hours_per_run"])
    large_commit: str | None = Field(default=None, description=_MEANING["large_commit"])

    def settings(self) -> Settings:
        """All settings, checked.

        Raises:
            SettingsError: With every problem there is.
        """
        return load_settings(self._environment())

    def alert_settings(self) -> AlertSettings:
        """What alerts need, whatever is wrong with the rest.

        Raises:
            SettingsError: With every problem there is in the variables of alerts.
        """
        return load_alert_settings(self._environment())

    def _environment(self) -> dict[str, str]:
        given = {setting.variable: getattr(self, setting.name, None) for setting in SETTINGS}
        return {**os.environ, **{name: str(value) for name, value in given.items() if value is not None}}

    @contextmanager
    def open(self, s3: S3Resource) -> Iterator[Pipeline]:
        """The pipeline over S3, with the credentials, region and endpoint of `s3`, or the environment's."""
        with open_pipeline(self.settings(), session=session_of(s3), endpoint_url=s3.endpoint_url) as pipeline:
            yield pipeline

    def hint_source(self, s3: S3Resource) -> HintSource | None:
        """The queue of hints, with the credentials of `s3`; None where there is none. Nothing is sent."""
        settings = self.settings()
        if settings.hints_queue is None:
            return None
        watched = Watched(settings.source_bucket, settings.source_prefix, KeyGrammar(settings.source_pattern))
        return HintQueue(settings.hints_queue, watched, session=session_of(s3))


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


def from_environment() -> dict[str, object]:
    """The resources of a deployment that is set up by environment variables.

    A variable that is set when definitions load is shown by its name in the launchpad; its value is read when a run
    or a tick needs it, and so is one that is set only there.
    """
    given: dict[str, Any] = {
        setting.name: dg.EnvVar(setting.variable)
        for setting in SETTINGS
        if setting.variable in os.environ and setting.name in {"source", "target", "config", "source_pattern"}
    }
    return {"pipeline": PipelineResource(**given), "s3": S3Resource()}
