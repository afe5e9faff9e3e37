"""How hard Hypothesis tries here, and a Slack that answers what it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from s3_assets_tests.alerts.slack_stand_in import SlackStandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile("alerts", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("alerts")

PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture
def slack(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlackStandIn]:
    """A Slack on loopback; Slack's client would go there through a proxy of the environment."""
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with SlackStandIn() as stand_in:
        yield stand_in
