"""One tick: look at what is urgent, sweep on, compare with what was last made, and say what to ask for.

Nothing here writes anything, and nothing that a tick could not look at is taken for anything.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from zlib import crc32

from s3_assets.controller.budget import Budget
from s3_assets.controller.outcome import Limits, Report, Tick
from s3_assets.controller.records import pause_after
from s3_assets.controller.requests import Batch, Wanted, batches
from s3_assets.controller.rhythm import Arrivals, arrivals
from s3_assets.controller.survey import Strays, Surveyor, UnitSeen, Window, look_at, surveyor
from s3_assets.controller.sweep import Place, Sweep, events_there, rotated
from s3_assets.controller.units import Unit, hint_units
from s3_assets.errors import OutOfBudgetError, StoreUnavailableError
from s3_assets.hour_file.changes import differs
from s3_assets.hour_file.keys import Hour, escape_event, label_of
from s3_assets.store.metered import MeteredStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.controller.records import Failing, LostRun, Records, UnderWay
    from s3_assets.controller.survey import HourSeen

POINTED_SHARE, HOT_SHARE = 0.4, 0.65
"""Share of a tick's budget for what hints and failures point to, and of the rest for the hot part.

So the sweep always gets on: a fifth of the budget is its own, and all that the others leave.
"""

FAIR_SHARE = 0.1
"""A unit that does not fit into less of a tick's budget than this is not called too large."""

URGENT_RUNS = 10
"""With so many of the sensor's urgent runs queued or running, it asks for no more: what differs then goes together.

Nor does it ask for one that is not full while another still waits in the queue. A run costs some seconds, however few
hours it holds: where it takes longer than the next tick is away, small ones would pile up, and take all of the time.
"""

RUNS_UNDER_WAY = 10
"""With so many of its other runs queued or running, the sweep waits: what it asked for would only get old."""

LOST_LOOK = timedelta(minutes=10)
"""So long after its rest an hour of a lost run is looked at in every tick; later, the sweep finds it."""

MOST_DUE = 1000
"""Hours that failed and are to be tried again, which one tick looks at."""


def run_tick(  # noqa: PLR0913  (what it looks at, what it knows, and how far it may go)
    pipeline: Pipeline,
    records: Records,
    place: Place,
    limits: Limits,
    now: datetime,
    *,
    takes: Callable[[str], bool] = lambda _: True,
    hinted: Sequence[Hour] = (),
    hints_only: bool = False,
    expected: Collection[str] = (),
    clock: Callable[[], float] = time.monotonic,
) -> Tick:
    """Look, compare, decide.

    Args:
        pipeline: What to look at.
        records: What is known of earlier work.
        place: Where the last tick stopped.
        limits: How much to do.
        now: Aware.
        takes: Whether an event is ours; others are not looked at.
        hinted: Hours to look at first.
        hints_only: Leave the hot part and the sweep to a later tick.
        expected: Events to say something about also where they are not there.
        clock: Monotonic, in seconds.

    Raises:
        StoreError: Not even the events could be listed: nothing is known.
    """
    source, target = MeteredStore(pipeline.source), MeteredStore(pipeline.target)
    metered = pipeline.with_stores(source, target)

    def spent() -> int:
        return sum(source.traffic.requests.values()) + sum(target.traffic.requests.values())

    known = _Known(records.failing(), records.lost(), records.left_out())
    budget = Budget(seconds=limits.seconds, requests=limits.requests, clock=clock, spent_requests=spent)
    with surveyor() as threads:
        tick = _Tick(metered, records, known, limits, now, budget, threads, takes, hinted)
        place = tick.run(place, hints_only=hints_only, expected=expected)
    done = tick.end(place)
    for store in (source, target):
        done.report.requests_by_kind.update(store.traffic.requests)
    return done


@dataclass(frozen=True, slots=True)
class _Known:
    """What went wrong before. It is read before the budget begins, which is for S3."""

    failing: Mapping[Hour, Failing]
    lost: Collection[LostRun]
    left_out: Collection[Hour]


class _Tick:
    """What a tick gathers on its way."""

    def __init__(  # noqa: PLR0913, PLR0917  (it is made in one place)
        self,
        pipeline: Pipeline,
        records: Records,
        known: _Known,
        limits: Limits,
        now: datetime,
        budget: Budget,
        threads: Surveyor,
        takes: Callable[[str], bool],
        hinted: Sequence[Hour],
    ) -> None:
        self.pipeline = pipeline
        self.records = records
        self.limits = limits
        self.now = now
        self.budget = budget
        self.threads = threads
        self.takes = takes
        self.window = Window(limits.start_label, label_of(now))
        self.report = Report(limits)
        self.wanted: dict[Hour, Wanted] = {}
        self.right: set[Hour] = set()
        self.differing: set[Hour] = set()
        self.looked_at: list[Unit] = []
        self.lacking: dict[Hour, datetime | None] = {}
        self.counted: set[Hour] = set()
        self.arrivals: dict[str, Arrivals] = {}

        self.failing = {hour: failing for hour, failing in known.failing.items() if takes(hour.event)}
        self.hinted = [hour for hour in hinted if self.window.holds(hour) and takes(hour.event)]
        self.pointed_at: dict[str, list[Hour]] = {}
        self.left_out = [hour for hour in known.left_out if self.window.holds(hour) and takes(hour.event)]
        for hour in [*self.failing, *self.hinted, *self.left_out]:
            self.pointed_at.setdefault(hour.event, []).append(hour)
        self.lost_rest, self.lost_tries = _rest_of_lost(known.lost)

    def run(self, place: Place, *, hints_only: bool, expected: Collection[str]) -> Place:
        """Look at everything that there is time for; where the next tick goes on."""
        if hints_only:
            self._look_first(hint_units(self.hinted), self.budget)
            return place
        there, strays = self._events_there()
        events = [event for event in there if self.takes(event)]
        self.arrivals = {event: Arrivals() for event in expected if self.takes(event) and event not in set(events)}
        self.report.strays.take(strays)
        self._look_first(hint_units([*self.hinted, *self._due()]), self.budget.part(POINTED_SHARE))
        self._settle_gone(set(there))
        place = self._hot(events, place, self.budget.part(HOT_SHARE))
        place = self._sweep(events, place)
        return replace(place, looked=self.now.timestamp())

    def _events_there(self) -> tuple[list[str], Strays]:
        try:
            return self.threads.ask(self.budget, lambda: events_there(self.pipeline, self.budget.watch))
        except OutOfBudgetError as error:
            where = self.pipeline.source_uri("")
            detail = f"no answer within {error.seconds:.0f} s: neither the events at {where} nor any error"
            raise StoreUnavailableError(
                "ListObjectsV2",
                self.pipeline.source_prefix,
                detail,
                hint="check that the store is reachable, AWS_ENDPOINT_URL and the region; the next tick looks again",
            ) from None

    def end(self, place: Place) -> Tick:
        """Sum it up."""
        newest = sorted(self.wanted.values(), key=lambda one: _age(one.hour), reverse=True)
        report, limits = self.report, self.limits

        def is_full(batch: Batch) -> bool:
            return len(batch.hours) >= limits.hours_per_run or 2 * batch.size >= limits.bytes_per_run

        runs = self._in_runs(newest)
        urgent = [batch for batch in runs if batch.is_urgent and (is_full(batch) or not self.under_way.urgent_waits)]
        urgent = urgent[: max(0, URGENT_RUNS - self.under_way.urgent)]
        others = [batch for batch in runs if not batch.is_urgent][: self._room()]
        asked = [*urgent, *others]
        report.asked, report.runs = sum(len(batch.hours) for batch in asked), len(asked)
        report.left = len(self.wanted) - report.asked
        report.hours = len(self.counted)
        report.seconds, report.requests = self.budget.seconds_used, self.budget.requests_used
        new = {escape_event(hour.event) for hour in self.counted} - set(self.records.events())
        settled = self.right | {failing.hour for failing in [*report.resting, *report.stuck]} | {*report.of_lost_runs}
        under_way = {hour for batch in asked for hour in batch.hours} | {*report.under_way}
        return Tick(
            batches=asked,
            new_events=sorted(new),
            place=place,
            settled=settled,
            under_way=under_way,
            looked_at=self.looked_at,
            differing=self.lacking,
            window=self.window,
            takes=self.takes,
            arrivals=dict(self.arrivals),
            report=report,
        )

    # --- what is urgent --------------------------------------------------------------------------------------

    def _due(self) -> list[Hour]:
        """Hours that failed, or whose run was lost, and have rested: the sweep may be far from them."""
        due = {hour for hour, failing in self.failing.items() if failing.next_try <= self.now}
        due |= {hour for hour, rest in self.lost_rest.items() if rest <= self.now < rest + LOST_LOOK}
        due |= {hour for hour in self.left_out if _minute_of(hour) == self.now.minute}
        ours = (hour for hour in due if self.window.holds(hour) and self.takes(hour.event))
        return sorted((hour for hour in ours if not self.under_way.holds(hour)), key=_age, reverse=True)[:MOST_DUE]

    def _settle_gone(self, there: Collection[str]) -> None:
        """Look at hours that leave out sources, of events of which nothing is left: no listing shows them."""
        gone = dict.fromkeys(Unit.of_hour(hour) for hour in self.left_out if hour.event not in there)
        self._compare([UnitSeen(unit, {}, {}, Strays()) for unit in gone], is_urgent=True)

    def _look_first(self, units: Sequence[Unit], budget: Budget) -> None:
        """Look at units that something points to: their hour files too."""
        group: list[UnitSeen] = []
        for unit, seen in self.threads.each(units, self._look(budget, targets=True), budget):
            if isinstance(seen, UnitSeen):
                group.append(seen)
            elif not isinstance(seen, OutOfBudgetError):
                self.report.failures.append((str(unit), seen))
        self._compare(group, is_urgent=True)

    def _hot(self, events: Sequence[str], place: Place, budget: Budget) -> Place:
        """Look at the recent dates of all events; where there is no time for all, the next tick goes on there."""
        today = self.now.astimezone(UTC).date()
        days = ((today - timedelta(days=day)).isoformat() for day in range(self.limits.hot_days))
        dates = [date for date in days if f"{date}-23:00" >= self.window.start_label]
        order = rotated(events, place.hot)
        units = [Unit(event, date) for event in order for date in dates]
        is_fair = self._is_fair(budget)
        group: list[UnitSeen] = []
        stopped: Unit | None = None
        for unit, seen in self.threads.each(units, self._look(budget, targets=False), budget):
            if isinstance(seen, UnitSeen):
                group.append(seen)
            elif isinstance(seen, OutOfBudgetError):
                stopped = unit
            else:
                self.report.failures.append((str(unit), seen))
        made = self._compare(group, is_urgent=True)
        if dates:
            self._note_arrivals(group, made, len(dates))
        if stopped is None:
            return replace(place, hot="")
        self.report.hot_is_whole = False
        if stopped == units[0] and is_fair:  # no tick can list it: the sweep takes it apart
            self.report.too_large.append(stopped)
            return replace(place, hot=next((event for event in order if event != stopped.event), ""))
        return replace(place, hot=stopped.event)

    def _note_arrivals(self, group: Sequence[UnitSeen], made: Collection[Hour], dates: int) -> None:
        """Keep what the recent dates show of each event; of one that was not listed whole, nothing."""
        listed: dict[str, list[UnitSeen]] = {}
        for seen in group:
            listed.setdefault(seen.unit.event, []).append(seen)
        for event, some in listed.items():
            if len(some) == dates:
                self.arrivals[event] = arrivals({hour: one for seen in some for hour, one in seen.hours.items()}, made)

    # --- the sweep -------------------------------------------------------------------------------------------

    def _sweep(self, events: Sequence[str], place: Place) -> Place:
        if not place.began:
            place = replace(place, began=self.now.timestamp())
        if self._room() == 0:
            self.report.waits = True
            return self._tell(events, place, Unit(place.event, place.period))
        sweep = Sweep(self.pipeline, self.threads, self.budget, self.window, events)
        look = self._look(self.budget, targets=True)
        last: Unit | None = None
        stop: Unit | None = None
        is_fair = self._is_fair(self.budget)
        for unit, seen in self.threads.each(sweep.units(place), look, self.budget):
            if isinstance(seen, OutOfBudgetError):
                stop = self._in_pieces(unit) if last is None and is_fair else unit
            elif isinstance(seen, UnitSeen):
                self._compare([seen], is_urgent=False)
                stop = unit if self._is_full() else None  # what does not fit is found there again
            else:
                self.report.failures.append((str(unit), seen))
            if stop is not None:
                break
            last = unit
            self.report.swept += 1
        self.report.strays.take(sweep.strays)
        self.report.failures += sweep.failures
        if stop is None and sweep.stopped is not None:
            stop = self._past_the_dates_of(sweep.stopped, events, place, is_fair=is_fair and last is None)
        if stop is None:
            self.report.swept_all = place.event == "" and place.period == ""
            now = self.now.timestamp()
            stop, place = Unit("", ""), replace(place, began=now, took=max(now - place.began, 0.0))
        return self._tell(events, replace(place, event=stop.event, period=stop.period), stop)

    def _past_the_dates_of(self, event: str, events: Sequence[str], place: Place, *, is_fair: bool) -> Unit:
        """Where to go on when there was no budget to list the dates of `event`."""
        if is_fair:  # and there never is: the others must not wait for it
            error = OutOfBudgetError(seconds=self.budget.seconds_used, requests=self.budget.requests_used)
            self.report.failures.append((f"the dates of {event}", error))
            return Unit(next((other for other in events if other > event), ""), "")
        return Unit(event, place.period if event == place.event else "")

    def _is_fair(self, budget: Budget) -> bool:
        """Whether a unit that does not fit into `budget` is itself to blame."""
        limits = self.limits
        return (
            budget.seconds_left >= FAIR_SHARE * limits.seconds and budget.requests_left >= FAIR_SHARE * limits.requests
        )

    def _in_pieces(self, unit: Unit) -> Unit:
        """The first piece of a unit that not even a fresh tick can list."""
        self.report.too_large.append(unit)
        if unit.finer is not None:
            return unit.finer
        # An hour that can't be listed here: the run that makes it right can, so it is asked for unseen.
        hour = Hour(unit.event, f"{unit.period}:00")
        if hour not in self.counted and self.window.holds(hour) and not self._is_held(hour, None):
            self._want(hour, 0, is_urgent=False)
        return unit.next

    def _tell(self, events: Sequence[str], place: Place, at: Unit) -> Place:
        """Put the place into the report."""
        report = self.report
        report.at = at
        done = bisect_left(events, at.event) / len(events) if events else 1.0
        if events and at.period:
            done += self.window.share_before(at.period) / len(events)
        report.progress = done
        elapsed = self.now.timestamp() - place.began
        report.round_s = place.took or (elapsed / done if done and elapsed > 0 else None)
        return place

    # --- comparing -------------------------------------------------------------------------------------------

    @cached_property
    def under_way(self) -> UnderWay:
        """As of the first time that it is asked for: after the first listing, and before any version is read."""
        return self.records.under_way()

    def _room(self) -> int:
        """How many more runs of hours that are not urgent may be asked for."""
        return max(0, RUNS_UNDER_WAY - self.under_way.runs)

    def _is_full(self) -> bool:
        """Whether more hours were found than there is room for."""
        others = [one for one in self.wanted.values() if not one.is_urgent]
        return len(self._in_runs(others)) > self._room()

    def _in_runs(self, wanted: Sequence[Wanted]) -> list[Batch]:
        """Batches. The more runs an hour was lost in, the fewer go with it: what kills its process is soon alone."""
        limits = self.limits
        by_tries: dict[int, list[Wanted]] = {}
        for one in wanted:
            by_tries.setdefault(min(self.lost_tries[one.hour], 20), []).append(one)
        return [
            batch
            for tries, some in sorted(by_tries.items())
            for batch in batches(
                some, hours_per_run=max(1, limits.hours_per_run >> tries), bytes_per_run=limits.bytes_per_run
            )
        ]

    def _look(self, budget: Budget, *, targets: bool) -> Callable[[Unit], UnitSeen]:
        return lambda unit: look_at(self.pipeline, unit, self.window, budget, targets=targets)

    def _compare(self, group: Sequence[UnitSeen], *, is_urgent: bool) -> Collection[Hour]:
        """Say of each hour of these units whether it is right, and what is to be done if not; those ever made."""
        _ = self.under_way
        hours = {seen.unit: self._in_question(seen) for seen in group}
        every = {hour for some in hours.values() for hour in some}
        versions = self.records.versions(every) if every else {}
        for seen in group:
            self.looked_at.append(seen.unit)
            if seen.targets is not None:  # those of the hot part are seen by the sweep too
                self.report.strays.take(seen.strays)
            for hour in hours[seen.unit]:
                found = seen.hours.get(hour)
                if hour not in self.counted and (found or hour in (seen.targets or ())):
                    self.counted.add(hour)
                    self.report.sources += found.sources if found else 0
                etag = None if seen.targets is None else seen.targets.get(hour, "")
                wrong = differs(
                    found.fingerprint if found else None,
                    versions.get(hour),
                    is_there=None if etag is None else etag != "",
                    policy=self.pipeline.policy(hour.event),
                )
                if wrong:
                    self.lacking.setdefault(hour, _lacks_since(found, versions.get(hour), is_gone=etag == ""))
                    self._judge(hour, found.size if found else 0, etag, is_urgent=is_urgent)
                else:
                    self._is_right(hour, etag)
        return versions.keys()

    def _in_question(self, seen: UnitSeen) -> Collection[Hour]:
        """The hours of a unit that there is something to say about."""
        pointed_at = [hour for hour in self.pointed_at.get(seen.unit.event, ()) if seen.unit.holds(hour)]
        return dict.fromkeys([*seen.hours, *(seen.targets or ()), *pointed_at])

    def _judge(self, hour: Hour, size: int, etag: str | None, *, is_urgent: bool) -> None:
        """An hour differs: ask for it, unless it is under way or rests.

        The hot part sees no hour files. So one that rests is judged once more where the sweep sees its file, which
        somebody may have replaced.
        """
        if hour in self.differing and (etag is None or not self._was_let_go(hour, etag)):
            return
        self.differing.add(hour)
        self.right.discard(hour)
        if not self._is_held(hour, etag):
            self._want(hour, size, is_urgent=is_urgent)

    def _was_let_go(self, hour: Hour, etag: str) -> bool:
        """Whether an hour that was named as resting does not rest, since its file is another; it is named no more."""
        failing = self.failing.get(hour)
        for named in (self.report.stuck, self.report.resting):
            if failing in named and _was_replaced(failing, etag):
                named.remove(failing)
                return True
        return False

    def _is_right(self, hour: Hour, etag: str | None) -> None:
        """An hour's sources are those on record.

        Where it is on record as failing too, it is tried again when its time comes, or when somebody put another
        hour file there: so that it is on record that it fails no more.
        """
        if hour in self.differing:
            return
        if hour not in self.failing:
            self.right.add(hour)
        elif hour not in self.wanted and not self._is_held(hour, etag):
            self._want(hour, 0, is_urgent=True)

    def _is_held(self, hour: Hour, etag: str | None) -> bool:
        """Whether an hour is not to be asked for now, since it is under way or rests; then it is named."""
        if self.under_way.holds(hour):
            self.report.under_way.append(hour)
            return True
        if self.lost_rest.get(hour, self.now) > self.now:
            self.report.of_lost_runs.append(hour)
            return True
        failing = self.failing.get(hour)
        if failing is None or failing.next_try <= self.now or _was_replaced(failing, etag):
            return False
        named = self.report.stuck if failing.permanent else self.report.resting
        if failing not in named:
            named.append(failing)
        return True

    def _want(self, hour: Hour, size: int, *, is_urgent: bool) -> None:
        self.wanted[hour] = Wanted(hour, size, is_urgent)


def _minute_of(hour: Hour) -> int:
    """At which minute of each hour an hour that leaves out sources is looked at, though no listing may show it."""
    return crc32(hour.partition_key.encode()) % 60


def _age(hour: Hour) -> tuple[str, str]:
    """Sorts hours by time, then by event."""
    return hour.label, hour.event


def _lacks_since(found: HourSeen | None, recorded: str | None, *, is_gone: bool) -> datetime | None:
    """Since when an hour that differs lacks a source, as `Tick.differing` says it."""
    if found is None:
        return None
    if recorded is None:
        return found.first_came
    return None if is_gone else found.last_came


def _was_replaced(failing: Failing, etag: str | None) -> bool:
    """Whether the hour file is another than when the hour failed: somebody did something."""
    return failing.target_etag != "" and etag is not None and etag != failing.target_etag


def _rest_of_lost(lost: Iterable[LostRun]) -> tuple[dict[Hour, datetime], Counter[Hour]]:
    """Until when the hours of lost runs rest, and in how many each was."""
    tries: Counter[Hour] = Counter()
    last: dict[Hour, datetime] = {}
    for run in lost:
        for hour in run.hours:
            tries[hour] += 1
            last[hour] = max(run.ended, last.get(hour, run.ended))
    return {hour: ended + pause_after(tries[hour]) for hour, ended in last.items()}, tries
