"""A bench per test, threads per session, and how hard Hypothesis tries here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from s3_assets.builder.pipeline import Workers
from s3_assets_tests.builder.bench import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

settings.register_profile(
    "builder",
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.load_profile("builder")


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Threads for all builds."""
    with Workers(fetch_threads=4, hour_threads=2, compress_threads=2) as workers:
        yield workers


@pytest.fixture
def bench(workers: Workers) -> Bench:
    """An empty one."""
    return Bench(workers)
