"""Servers, one of a kind in a session, and settings over one of them; what a soak is, and that only a soak runs it."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from functools import cache
from typing import TYPE_CHECKING

import botocore.session
import pytest
from hypothesis import settings

from s3_assets.store import s3_probe
from s3_assets_tests.deployment import Deployment, deploy
from s3_assets_tests.scale import SCALE, SEED_VARIABLE, SHARE_VARIABLE, Scale, draw
from s3_assets_tests.servers import Server, start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

settings.register_profile("tests", deadline=None)  # a slow machine is no finding
settings.load_profile("tests")

botocore.session.create_loader = cache(botocore.session.create_loader)
"""Else each session reads botocore's descriptions of AWS, in 0.15 CPU-seconds, and tests make hundreds of them."""

s3_probe.PAIRS = 3
"""Else each store of a test's own would race for two seconds; `store/test_s3_commit` does so where it matters."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
"""A shell starts what it runs in the background deaf to Ctrl-C, and so is all that is started from there: Dagster's
code server then does not end on SIGTERM either, and tests would wait for it."""


@pytest.hookimpl(tryfirst=True)  # before pytest looks at -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what is tried harder in a soak, and skip what only a soak runs."""
    for item in items:
        if "scale" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.scaled)
        if not SCALE.full and item.get_closest_marker("soak"):
            item.add_marker(pytest.mark.skip(reason=f"only in a soak: {SHARE_VARIABLE} is not set"))


def pytest_collection_finish() -> None:
    """The package refuses variables that it does not know, here and in every process that a test starts."""
    for name in (SHARE_VARIABLE, SEED_VARIABLE):
        os.environ.pop(name, None)


@pytest.fixture(scope="session")
def scale() -> Scale:
    """How much to try."""
    return SCALE


@pytest.fixture
def drawn_from() -> int:
    """The seed of a test's random histories."""
    return draw()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Server]]:
    """Gives the server of a name, started when it is first asked for."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def get(name: str) -> Server:
            if name not in servers:
                servers[name] = stack.enter_context(start_server(name, tmp_path_factory.mktemp(name)))
            return servers[name]

        yield get


@pytest.fixture
def deployment(running: Callable[[str], Server], monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A new bucket on SeaweedFS, and the environment set up for it."""
    made = deploy(running("seaweedfs"))
    for name, value in made.environment.items():
        monkeypatch.setenv(name, value)
    return made
