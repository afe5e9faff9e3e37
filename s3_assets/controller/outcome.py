"""What a tick may do, and what came of it: values that the sensor and the words are made of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.controller.survey import Strays, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from s3_assets.controller.records import Failing
    from s3_assets.controller.requests import Batch
    from s3_assets.controller.rhythm import Arrivals
    from s3_assets.controller.sweep import Place
    from s3_assets.controller.units import Unit
    from s3_assets.errors import S3AssetsError
    from s3_assets.hour_file.keys import Hour


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a tick may do.

    Attributes:
        seconds: Of the tick.
        requests: To S3.
        hot_days: Dates that every tick looks at: today (UTC) and those before it.
        hours_per_run: Most hours of a run.
        bytes_per_run: Most bytes of sources of a run.
        start_label: The first hour there is.
    """

    seconds: float
    requests: int
    hot_days: int
    hours_per_run: int
    bytes_per_run: int
    start_label: str


@dataclass(slots=True)
class Report:
    """What a tick saw and did, for its words.

    Attributes:
        limits: What the tick could use and ask for.
        sources: Source objects listed,
        hours: in so many hours.
        asked: Hours asked for,
        runs: in so many runs.
        under_way: Hours that differ and are in a queued or running run.
        resting: Hours that failed and are to be tried again later.
        of_lost_runs: Hours that differ and were in a run that was lost just now.
        stuck: Hours that failed in a way that trying again does not cure.
        left: Hours that differ and wait because enough runs are under way.
        strays: Keys and folders that belong to no hour.
        failures: What could not be listed, and why.
        too_large: Units that no tick can list within its budget.
        hot_is_whole: Whether all of the hot part was looked at.
        swept: Units that the sweep looked at.
        swept_all: Whether it went all the way round.
        at: The unit it goes on with.
        waits: Whether it stands still since enough runs are under way.
        progress: Share of the round that is done, from 0 to 1; an estimate.
        round_s: How long a whole round takes, in seconds; None where that can't be told yet.
        seconds: Used,
        requests: and used.
        requests_by_kind: Those, by the kinds of `store.metered`.
    """

    limits: Limits
    sources: int = 0
    hours: int = 0
    asked: int = 0
    runs: int = 0
    under_way: list[Hour] = field(default_factory=list)
    resting: list[Failing] = field(default_factory=list)
    of_lost_runs: list[Hour] = field(default_factory=list)
    stuck: list[Failing] = field(default_factory=list)
    left: int = 0
    strays: Strays = field(default_factory=Strays)
    failures: list[tuple[str, S3AssetsError]] = field(default_factory=list)
    too_large: list[Unit] = field(default_factory=list)
    hot_is_whole: bool = True
    swept: int = 0
    swept_all: bool = False
    at: Unit | None = None
    waits: bool = False
    progress: float = 0.0
    round_s: float | None = None
    seconds: float = 0.0
    requests: int = 0
    requests_by_kind: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True)
class Tick:
    """What came of a tick.

    Attributes:
        batches: Runs to ask for, the urgent ones first.
        new_events: Partition keys of events that are not known yet.
        place: Where the next tick goes on.
        settled: Hours that were looked at and are right, or on record as failing.
        under_way: Hours that differ and are asked for, or in a queued or running run: to be looked at again soon.
        looked_at: Units that were listed whole: of their hours, those that differ are in
        differing: with when the oldest source came that they lack, as far as it can be told (aware); None where it
            can't, as for an hour whose file is gone. Of an hour that was made before, it is when its last source came.
        window: The hours that there are.
        takes: Whether an event is ours.
        arrivals: What the recent dates show, of the events of which all of them could be listed.
        report: For the words.
    """

    batches: list[Batch]
    new_events: list[str]
    place: Place
    settled: AbstractSet[Hour]
    under_way: AbstractSet[Hour]
    looked_at: Collection[Unit]
    differing: Mapping[Hour, datetime | None]
    window: Window
    takes: Callable[[str], bool]
    arrivals: Mapping[str, Arrivals]
    report: Report
