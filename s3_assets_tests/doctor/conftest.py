"""A deployment with sources on each server, a proxy before one, and a checkup of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from s3_assets.doctor import races
from s3_assets.doctor.checkup import checkup
from s3_assets.doctor.findings import Verdict
from s3_assets_tests.deployment import FIVE_FILES, Deployment, deploy
from s3_assets_tests.doctor.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from s3_assets.doctor.findings import Finding
    from s3_assets_tests.servers import Server


@dataclass(frozen=True)
class Report:
    """What a checkup said.

    Attributes:
        lines: Each finding with its area.
    """

    lines: list[tuple[str, Finding]]

    def of(self, *verdicts: Verdict) -> list[tuple[str, str]]:
        """Area and words of the findings with these verdicts."""
        return [(area, found.seen) for area, found in self.lines if found.verdict in verdicts]

    @property
    def faults(self) -> list[tuple[str, str]]:
        """The failures: each area, and what was seen with what to do."""
        return [(area, f"{one.seen} -> {one.todo}") for area, one in self.lines if one.verdict is Verdict.FAIL]

    def text(self) -> str:
        """All of it."""
        return "\n".join(f"{area} {one.verdict} {one.seen} {one.todo}" for area, one in self.lines)


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """Runs a checkup of an environment, without Dagster and Slack unless they are asked for, few races of a kind."""
    monkeypatch.setattr(races, "WRITERS", 3)  # SeaweedFS lets those who lose wait

    def run(
        environment: Mapping[str, str], *, without: tuple[str, ...] = ("dagster", "slack"), rounds: int = 1
    ) -> Report:
        for name in [name for name in os.environ if name.startswith(("AWS_", "S3_ASSETS_"))]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
        monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return Report(list(checkup(environment, without=without, rounds=rounds)))

    return run


def with_sources(server: Server) -> Deployment:
    """A new bucket with the five files."""
    made = deploy(server)
    for key, data in FIVE_FILES.items():
        made.drop(key, data)
    return made


@pytest.fixture(scope="module")
def standing(running: Callable[[str], Server]) -> Deployment:
    """A deployment on ministack; tests only look at it."""
    return with_sources(running("ministack"))


@pytest.fixture
def proxy(running: Callable[[str], Server]) -> Iterator[Proxy]:
    """Before ministack."""
    with Proxy(running("ministack").endpoint_url) as made:
        yield made


@pytest.fixture
def behind(standing: Deployment, proxy: Proxy) -> dict[str, str]:
    """The environment of `standing`, through the proxy; it is known what this server honours."""
    return {**standing.environment, "AWS_ENDPOINT_URL": proxy.url, "S3_ASSETS_LARGE_COMMIT": "complete"}
