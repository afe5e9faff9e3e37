"""The check behind `make demo ONCE=1`: drop, reconcile, read back, compare with what the producers know.

Hour files are read with boto3, gzip and csv, by nothing of the pipeline, so it can't agree with itself by mistake.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass, field
from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from s3_assets.builder.reconcile import HourFailure, Scope, make_right, observe
from s3_assets.demo import sample
from s3_assets.hour_file.keys import KeyGrammar, label_of
from s3_assets.opening import open_pipeline
from s3_assets.store.metered import MeteredStore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from s3_assets.builder.build import HourResult
    from s3_assets.demo.bucket import DemoBucket, Shown
    from s3_assets.demo.sample import Drop, Expected
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.sources import Listing
    from s3_assets.store.metered import Traffic

_WIDTH = 120
_MOST_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class Pass:
    """One reconciliation of everything.

    Attributes:
        listing: What was seen at the source.
        results: What was done, by hour.
        failures: What could not be made right.
        seconds: Wall time.
        source: All requests and bytes at the source,
        target: and at the target.
    """

    listing: Listing
    results: dict[Hour, HourResult]
    failures: list[HourFailure]
    seconds: float
    source: Traffic
    target: Traffic

    @property
    def written(self) -> set[Hour]:
        """The hours whose file was written."""
        return {hour for hour, result in self.results.items() if result.plan.writes}


def reconcile(bucket: DemoBucket, now: datetime, *, event: str | None = None, day: str | None = None) -> Pass:
    """Make hours right, in this process, as `s3-assets sync` does.

    Args:
        bucket: Which.
        now: Aware; later hours are not looked at.
        event: Only this one.
        day: Only this one, `YYYY-MM-DD`.
    """
    began = time.monotonic()
    settings = bucket.settings()
    first, last = f"{day or settings.start_date}-00:00", f"{day}-23:00" if day else label_of(now)
    results: dict[Hour, HourResult] = {}
    failures: list[HourFailure] = []
    endpoint_url = bucket.server.endpoint_url
    with open_pipeline(settings, session=bucket.session(), endpoint_url=endpoint_url) as bare:
        source, target = MeteredStore(bare.source), MeteredStore(bare.target)
        pipeline = bare.with_stores(source, target)
        listing = observe(pipeline, Scope(first, last, None if event is None else (event,)))
        for outcome in make_right(pipeline, listing.hours):
            if isinstance(outcome, HourFailure):
                failures.append(outcome)
            else:
                results[outcome.hour] = outcome
    return Pass(listing, results, failures, time.monotonic() - began, source.traffic, target.traffic)


@dataclass(slots=True)
class OnceCheck:
    """Drops the sample in steps, reconciles after each, and looks whether every hour file is right.

    Attributes:
        bucket: An empty one.
        now: Aware; the sample's recent part is before it.
        out: Takes the lines to be shown.
        differences: What was not right so far, in words.
    """

    bucket: DemoBucket
    now: datetime
    out: Callable[[str], None]
    differences: list[str] = field(default_factory=list)
    _dropped: list[Drop] = field(default_factory=list)

    def run(self) -> bool:
        """Do all steps and say what was seen; whether everything was right."""
        first = self._build_all()
        self._add_late(first)
        self._change_few()
        self._bring_back()
        for line in self.differences[:_MOST_DIFFERENCES]:
            self.out(f"DIFFERS: {line}")
        if more := self.differences[_MOST_DIFFERENCES:]:
            self.out(f"DIFFERS: and {len(more)} more")
        return not self.differences

    def _build_all(self) -> Pass:
        began = time.monotonic()
        drops = sample.initial(self.now)
        self._drop(drops)
        self.out(f"dropped {len(drops)} source objects in {time.monotonic() - began:.1f} s")
        done = reconcile(self.bucket, self.now)
        self.out(f"reconciled {len(done.results)} hours in {done.seconds:.1f} s; reading back every hour file")
        self._compare(done)
        self._show(done)
        return done

    def _add_late(self, first: Pass) -> None:
        late, before = sample.late_customer(), self.bucket.targets()
        self._drop([late])
        done = reconcile(self.bucket, self.now, event=sample.CUSTOMERS, day=sample.CUSTOMER_DAY)
        self._expect_changed(before, {sample.SEVEN}, done)
        self.out("")
        self.out(f"then a late source of {len(late.data):,} bytes for {sample.SEVEN}:")
        if sample.SEVEN in done.results and sample.SEVEN in first.results:
            result = done.results[sample.SEVEN]
            self.out(
                f"  its hour file went from {first.results[sample.SEVEN].size:,} to {result.size:,} bytes; the hour's "
                f"sources have {sum(source.size for source in result.sources):,} bytes together"
            )
        self.out(
            f"  read: {done.source.bytes_down:,} bytes of sources, {done.target.bytes_down:,} of hour files; "
            f"written: {done.target.bytes_up:,}; {done.seconds:.1f} s"
        )
        eight = KeyGrammar.target_key(sample.EIGHT)
        if before.get(eight) == self.bucket.targets().get(eight):
            self.out(f"  {eight} was not touched")

    def _change_few(self) -> None:
        again, mended, before = sample.rewritten(self.now), sample.mended(self.now), self.bucket.targets()
        self.bucket.remove(sample.vanishing(self.now))
        self._drop([again, mended])
        done = reconcile(self.bucket, self.now)
        self._compare(done)
        self._expect_changed(before, {drop.hour for drop in (again, mended) if drop.hour is not None}, done)
        self.out(
            f"then one rewritten, one mended, one vanished (its rows stay): "
            f"{len(done.written)} of {len(done.results)} hour files written in {done.seconds:.1f} s"
        )

    def _bring_back(self) -> None:
        before = self.bucket.targets()
        self._drop([sample.vanishing(self.now)])
        done = reconcile(self.bucket, self.now)
        self._compare(done)
        self._expect_changed(before, set(), done)
        self.out(f"then the vanished one came back: {len(done.written)} hour files written")

    def _drop(self, drops: list[Drop]) -> None:
        self.bucket.drop(drops)
        self._dropped += drops

    # --- looking ---------------------------------------------------------------------------------------------

    def _compare(self, done: Pass) -> None:
        """Each hour file against the producers' own knowledge, and what the pipeline says against it too."""
        expected = sample.expected(self._dropped)
        self.differences += [f"{failure.hour}: {failure.error}" for failure in done.failures]
        wanted = {KeyGrammar.target_key(hour) for hour in expected}
        there = set(self.bucket.targets())
        self.differences += [f"{key} is missing" for key in sorted(wanted - there)]
        self.differences += [f"{key} should not be there" for key in sorted(there - wanted)]
        for hour, right in expected.items():
            if KeyGrammar.target_key(hour) in there:
                self._compare_hour(hour, right, done.results.get(hour))
        misplaced = {drop.key: drop.reason for drop in self._dropped if drop.hour is None}
        if dict(done.listing.named) != misplaced:
            self.differences.append(f"left out were {done.listing.named}, not {misplaced}")

    def _compare_hour(self, hour: Hour, right: Expected, result: HourResult | None) -> None:
        columns, rows = sample.hour_file_rows(self.bucket.read(hour))
        if columns != right.columns:
            self.differences.append(f"{hour}: its header is {columns}, not {right.columns}")
        if rows != right.rows:
            lost, more = Counter(right.rows) - Counter(rows), Counter(rows) - Counter(right.rows)
            how = f"{lost.total()} lost, {more.total()} too many" if lost or more else "all there, in another order"
            self.differences.append(f"{hour}: {len(rows)} rows for {len(right.rows)}: {how}")
        if result is None or result.ledger is None:
            self.differences.append(f"{hour}: nothing is said of it")
            return
        unusable = {bad.key: bad.reason for bad in result.ledger.quarantined}
        if unusable != right.unusable:
            self.differences.append(f"{hour}: quarantined are {unusable}, not {right.unusable}")
        known = len(result.ledger.held) + len(result.ledger.quarantined)
        if (known, result.ledger.rows) != (right.sources, len(right.rows)):
            said = f"its ledger says {known} sources and {result.ledger.rows} rows"
            self.differences.append(f"{hour}: {said}, not {right.sources} and {len(right.rows)}")

    def _expect_changed(self, before: dict[str, Shown], hours: set[Hour], done: Pass) -> None:
        after = self.bucket.targets()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        wanted = {KeyGrammar.target_key(hour) for hour in hours}
        if changed != wanted or done.written != hours:
            self.differences.append(f"changed were {sorted(changed)}, not {sorted(wanted)}")

    # --- saying ----------------------------------------------------------------------------------------------

    def _show(self, done: Pass) -> None:
        table = Table(box=None, pad_edge=False, header_style="")
        table.add_column("event")
        for name in ("hours", "sources", "late", "quarantined", "rows", "source bytes", "hour file bytes"):
            table.add_column(name, justify="right")
        events = sorted({hour.event for hour in done.results})
        groups = [(event, [r for hour, r in done.results.items() if hour.event == event]) for event in events]
        for name, results in [*groups, ("all", list(done.results.values()))]:
            ledgers = [result.ledger for result in results if result.ledger is not None]
            numbers = (
                len(results),
                sum(len(result.sources) for result in results),
                sum(len(result.late) for result in results),
                sum(len(ledger.quarantined) for ledger in ledgers),
                sum(ledger.rows for ledger in ledgers),
                sum(source.size for result in results for source in result.sources),
                sum(result.size for result in results),
            )
            table.add_row(name, *(f"{number:,}" for number in numbers))
        text = StringIO()
        Console(file=text, width=_WIDTH).print(table)
        self.out("")
        for line in text.getvalue().splitlines():
            self.out(line.rstrip())
        for hour in sorted(done.results):
            ledger = done.results[hour].ledger
            for bad in () if ledger is None else ledger.quarantined:
                self.out(f"quarantined: {bad.key}: {bad.reason}: {bad.detail}")
        for key, reason in done.listing.named:
            self.out(f"left out: {key}: {reason}")
