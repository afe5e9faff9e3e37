"""A store with a bucket of its own in each module."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from s3_assets.store.memory import MemoryStore
from s3_assets_tests.scale import SCALE

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_assets.store.contract import Store
    from s3_assets_tests.servers import Server

SERVERS = ("moto", "ministack", "seaweedfs")

IMPLEMENTATIONS = ("memory", "ministack", "seaweedfs")
IN_A_SOAK = (pytest.param("moto", marks=pytest.mark.soak),) if SCALE.full else ()
"""moto costs most and tells least; where it alone goes a way of its own, in `test_s3_commit`, it is always there."""


@pytest.fixture(scope="module", params=(*IMPLEMENTATIONS, *IN_A_SOAK))
def store(request: pytest.FixtureRequest, running: Callable[[str], Server]) -> Store:
    """Each implementation in turn, with an empty, versioned bucket."""
    if request.param == "memory":
        return MemoryStore()
    server = running(request.param)
    return server.store(server.new_bucket(versioned=True))


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest, running: Callable[[str], Server]) -> Server:
    """Each server in turn."""
    return running(request.param)


@pytest.fixture
def server_name(request: pytest.FixtureRequest, store: Store) -> str:
    """Which implementation `store` is."""
    return str(request.node.callspec.params["store"])


@pytest.fixture
def folder() -> str:
    """A prefix of the test's own."""
    return f"{uuid.uuid4().hex}/"
