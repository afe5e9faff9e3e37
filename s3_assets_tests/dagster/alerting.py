"""The alerts sensor as a daemon evaluates it, and a Slack for it to talk to."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from s3_assets.dagster.alerts import alerts_sensor
from s3_assets.dagster.names import Names
from s3_assets.dagster.resources import PipelineResource
from s3_assets_tests.alerts.slack_stand_in import TOKEN, SlackStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


@dataclass
class Daemon:
    """Evaluates the sensor, and keeps its cursor from one tick to the next.

    Attributes:
        wrong: What its last tick named as wrong now.
    """

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursor: str | None = None
    wrong: list[str] = field(default_factory=list)

    def tick(self) -> str:
        """One tick: what it says of itself, but for what is wrong now."""
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            definitions=self.definitions,
            resources={"pipeline": PipelineResource()},
        ) as context:
            result = alerts_sensor([Names()])(context)
        assert isinstance(result, dg.SensorResult)
        assert isinstance(result.skip_reason, dg.SkipReason)
        self.cursor = result.cursor
        said, *self.wrong = str(result.skip_reason.skip_message).split("; wrong now: ")
        return said


@contextmanager
def slack_for(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStandIn]:
    """A Slack on loopback, and a deployment that uses it; its S3 is nowhere."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with SlackStandIn() as stand_in:
        monkeypatch.setenv("S3_ASSETS_SLACK_TOKEN", TOKEN)
        monkeypatch.setenv("S3_ASSETS_SLACK_CHANNEL", "#data")
        monkeypatch.setenv("S3_ASSETS_SLACK_URL", stand_in.url)
        monkeypatch.setenv("S3_ASSETS_SOURCE", "s3://nowhere/source/")
        monkeypatch.setenv("S3_ASSETS_TARGET", "s3://nowhere/target/")
        yield stand_in


def wipe(instance: dg.DagsterInstance) -> None:
    """An instance on SQLite, as new: to make one takes longer than most tests."""
    instance.wipe()
    assert instance.schedule_storage is not None
    instance.schedule_storage.wipe()
