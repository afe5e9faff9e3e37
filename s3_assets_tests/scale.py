"""How much is tried, and from which seed: a bounded share in every test run, all of it in a soak (`make soak`).

S3_ASSETS_SOAK=1 is all of it, 0.2 a fifth of each part. S3_ASSETS_SOAK_SEED repeats what a run drew: each test that
draws says its seed. Both are read here, and are gone from the environment when the tests begin: the package refuses
variables that it does not know.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from math import ceil

SHARE_VARIABLE = "S3_ASSETS_SOAK"
SEED_VARIABLE = "S3_ASSETS_SOAK_SEED"


@dataclass(frozen=True)
class Scale:
    """How much to try.

    Attributes:
        full: Whether this is a soak.
        share: Of a soak; 0 where it is none.
        histories: Of each kind in memory.
        server_histories: On each real server.
        races: Of each kind on each server.
        large_races: The same of large hours.
        every_small: Each how manieth point of a small build is a kill; 1 is all.
        every_large: The same of a large one; 0 is none.
        chaos_s: Seconds of arrivals at a live deployment that is maltreated.
    """

    full: bool
    share: float
    histories: int
    server_histories: int
    races: int
    large_races: int
    every_small: int
    every_large: int
    chaos_s: int

    def examples(self, few: int, many: int) -> int:
        """How many Hypothesis tries of something: `few` in every run, that share of `many` in a soak."""
        return max(few, ceil(many * self.share))


DEFAULT = Scale(
    full=False,
    share=0,
    histories=12,
    server_histories=3,
    races=1,
    large_races=0,
    every_small=5,
    every_large=0,
    chaos_s=0,
)


def soak(share: float) -> Scale:
    """That share of a soak, of each part."""
    return Scale(
        full=True,
        share=share,
        histories=ceil(834 * share),
        server_histories=ceil(75 * share),
        races=ceil(50 * share),
        large_races=ceil(10 * share),
        every_small=max(1, round(1 / share)),
        every_large=max(1, round(1 / share)),
        chaos_s=max(60, round(240 * share)),
    )


def of_the_environment() -> Scale:
    """As it says."""
    share = os.environ.get(SHARE_VARIABLE)
    if not share:
        return DEFAULT
    assert 0 < float(share) <= 1, f"{SHARE_VARIABLE} is 1 for a whole soak, or a share such as 0.2"
    return soak(float(share))


def draw() -> int:
    """A new seed, or the one that is to be repeated."""
    return int(_GIVEN_SEED or random.SystemRandom().randrange(1 << 32))


SCALE = of_the_environment()
"""Of this run."""

_GIVEN_SEED = os.environ.get(SEED_VARIABLE)
