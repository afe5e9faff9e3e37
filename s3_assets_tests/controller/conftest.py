"""A world per test, threads per session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets_tests.controller.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def workers() -> Iterator[Workers]:
    """Threads for all builds."""
    with Workers(fetch_threads=4, hour_threads=2, compress_threads=2) as workers:
        yield workers


@pytest.fixture
def world(workers: Workers) -> World:
    """Empty."""
    return World(workers)
