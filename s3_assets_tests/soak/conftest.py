"""How much is tried, and from which seed: a bounded share in every test run, all of it in a soak (`make soak`).

S3_ASSETS_SOAK=1 is all of it, 0.2 a fifth of each part. S3_ASSETS_SOAK_SEED repeats what a run drew: each test that
draws says its seed.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from math import ceil

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


def soak(share: float) -> Scale:
    """That share of a soak, of each part."""
    return Scale(
        full=True,
        histories=ceil(834 * share),
        server_histories=ceil(75 * share),
        races=ceil(50 * share),
        large_races=ceil(10 * share),
        every_small=max(1, round(1 / share)),
        every_large=max(1, round(1 / share)),
    )


@pytest.fixture(scope="session")
def scale() -> Scale:
    """As the environment says."""
    share = os.environ.get("S3_ASSETS_SOAK")
    if not share:
        return SHARE
    assert 0 < float(share) <= 1, "S3_ASSETS_SOAK is 1 for a whole soak, or a share such as 0.2"
    return soak(float(share))


@pytest.fixture
def drawn_from() -> int:
    """The seed of a test's random histories: a new one, or the one that is to be repeated."""
    return int(os.environ.get("S3_ASSETS_SOAK_SEED") or random.SystemRandom().randrange(1 << 32))
