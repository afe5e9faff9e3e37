"""How much is tried: a bounded share in every test run, all of it where S3_ASSETS_SOAK is set (`make soak`)."""

from __future__ import annotations

import os
from dataclasses import dataclass

import pytest


@dataclass(frozen=True)
class Scale:
    """How much to try.

    Attributes:
        full: Whether this is a soak.
        histories: Of each kind in memory.
        server_histories: On each real server.
        races: Of each kind on each server.
        large_races: The same of large hours.
        every_small: Each how manieth point of a small build is a kill; 1 is all.
        every_large: The same of a large one; 0 is none.
    """

    full: bool
    histories: int
    server_histories: int
    races: int
    large_races: int
    every_small: int
    every_large: int


SHARE = Scale(full=False, histories=12, server_histories=3, races=1, large_races=0, every_small=5, every_large=0)
SOAK = Scale(full=True, histories=834, server_histories=75, races=50, large_races=10, every_small=1, every_large=1)


@pytest.fixture(scope="session")
def scale() -> Scale:
    """As the environment says."""
    return SOAK if os.environ.get("S3_ASSETS_SOAK") else SHARE
