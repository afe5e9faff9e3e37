"""Which hours go into one run: few runs, none too long, the urgent ones apart and first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from s3_assets.hour_file.keys import Hour


@dataclass(frozen=True, slots=True)
class Wanted:
    """An hour to be made right.

    Attributes:
        hour: Which.
        size: Bytes of its sources.
        is_urgent: Recent, or named by a hint or by somebody; else the sweep found it.
    """

    hour: Hour
    size: int
    is_urgent: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """The hours of one run.

    Attributes:
        hours: In the order of urgency.
        size: Bytes of their sources.
        is_urgent: Whether the run goes before those that are not.
    """

    hours: tuple[Hour, ...]
    size: int
    is_urgent: bool


def batches(wanted: Iterable[Wanted], *, hours_per_run: int, bytes_per_run: int) -> list[Batch]:
    """Put hours into runs, in the order given, urgent ones and others apart.

    Args:
        wanted: In the order of urgency.
        hours_per_run: Most hours of a run.
        bytes_per_run: Most bytes of sources of a run; an hour that is larger has a run of its own.
    """
    every = list(wanted)
    return [
        batch
        for is_urgent in (True, False)
        for batch in _cut([one for one in every if one.is_urgent is is_urgent], hours_per_run, bytes_per_run)
    ]


def _cut(wanted: Sequence[Wanted], hours_per_run: int, bytes_per_run: int) -> list[Batch]:
    runs: list[list[Wanted]] = []
    size = 0
    for one in wanted:
        if not runs or len(runs[-1]) == hours_per_run or size + one.size > bytes_per_run:
            runs.append([])
            size = 0
        runs[-1].append(one)
        size += one.size
    return [Batch(tuple(one.hour for one in run), sum(one.size for one in run), run[0].is_urgent) for run in runs]
