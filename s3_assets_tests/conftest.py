"""Servers, one of a kind in a session, and settings over one of them."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from s3_assets_tests.deployment import Deployment, deploy
from s3_assets_tests.servers import Server, start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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
