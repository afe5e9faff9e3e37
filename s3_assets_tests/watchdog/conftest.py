"""An instance of the test's own, and a Slack on loopback."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from s3_assets_tests.alerts.conftest import slack
from s3_assets_tests.watchdog.instance import Home, make_home

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["slack"]


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance on disk that nobody used, to be copied."""
    folder = tmp_path_factory.mktemp("watchdog") / "home"
    make_home(folder)
    return folder


@pytest.fixture
def home(new_home: Path, tmp_path: Path) -> Iterator[Home]:
    """One of the test's own."""
    made = Home(shutil.copytree(new_home, tmp_path / "home"))
    with made.instance:
        yield made
