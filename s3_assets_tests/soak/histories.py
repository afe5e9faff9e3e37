"""A world for random histories: producers, builders and two buckets, of which every change is chronicled.

All of it runs in one thread, also what a pipeline would do in several: a history that failed fails again. Builders
run side by side all the same: one runs from start to end within any call of another.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import strategies as st

from s3_assets.audit.differences import Kind
from s3_assets.audit.hours import AuditOptions, audit_hours
from s3_assets.builder.build import BuildOptions, Pauses, Seen, build_hour, see
from s3_assets.builder.pipeline import AHEAD_BYTES, Allowance, Pipeline
from s3_assets.builder.reconcile import HourFailure, make_right
from s3_assets.errors import (
    AccountingError,
    BreakerOpenError,
    RowsWouldLeaveError,
    S3AssetsError,
    StoreError,
    UnreadableSourcesError,
)
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.soak import bodies
from s3_assets_tests.soak.answers import TROUBLES, Troubled
from s3_assets_tests.soak.chronicle import Chronicle, Look
from s3_assets_tests.soak.columns import BrokenPromiseError, Rules, expect
from s3_assets_tests.soak.weather import FAULTS, KINDS_OF_CALLS, CrashError, Script, WeatherStore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from s3_assets.builder.build import HourResult
    from s3_assets.store.contract import ObjectInfo, Store, Upload

EVENT = "customer new+event"
HOURS = (Hour(EVENT, "2021-09-01-07:00"), Hour(EVENT, "2021-09-01-08:00"))
NAMES = ("00_file_9.csv", "00_file_10.csv", "15_a b+%|.csv", "15_고객.csv.gz", "59_z.csv")
"""What follows the hour in a key."""

SETTLE_TRIES = 4
LONGEST_STEP_S = 3 * 3600

Step = tuple[Any, ...]
"""One thing that happens: its name, and what it takes."""


class AtOnce(Executor):
    """Does what it is given at once, in the thread that gives it."""

    def submit(self, work, /, *args, **options):
        """Do it; the future is done."""
        future: Future[Any] = Future()
        try:
            future.set_result(work(*args, **options))
        except BaseException as error:  # noqa: BLE001  (a future holds any, a crash too)
            future.set_exception(error)
        return future


class OneThread:
    """Stands in for `Workers`, with no thread of its own."""

    hour_threads = 2
    compress_threads = 1

    def __init__(self) -> None:
        self.fetch = self.compress = self.hours = AtOnce()
        self.ahead = Allowance(AHEAD_BYTES)


class WatchedStore:
    """A target bucket that tells of each commit, and what it made of the object."""

    def __init__(self, inner: Store, tell: Callable[[str, ObjectInfo | None], None]) -> None:
        self.inner: Any = inner
        self._tell = tell

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def put(self, key, data, **options):
        """Write and tell."""
        info = self.inner.put(key, data, **options)
        self._tell(key, info)
        return info

    def delete(self, key, **options):
        """Delete and tell, if there was something."""
        there = self.inner.head(key)
        self.inner.delete(key, **options)
        if there is not None:
            self._tell(key, None)

    def start_upload(self, key, **options):
        """Begin an upload that tells when it is completed."""
        return _WatchedUpload(self.inner.start_upload(key, **options), self._tell)


class _WatchedUpload:
    def __init__(self, inner: Upload, tell: Callable[[str, ObjectInfo | None], None]) -> None:
        self.inner: Any = inner
        self._tell = tell

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def complete(self, **conditions):
        info = self.inner.complete(**conditions)
        self._tell(self.inner.key, info)
        return info


@dataclass(frozen=True)
class Place:
    """Two buckets, or two prefixes, of a history's own."""

    source: Store
    source_prefix: str
    target: Store
    target_prefix: str


@dataclass
class World:
    """Producers, builders and what became of them.

    Attributes:
        place: Where; None is in memory.
        columns: `none` (events without headers), `same`, `pinned` by the event's settings, or `any`.
        keep: Whether rows of vanished sources stay.
        max_share: The breaker's.
        union: Whether sources with other columns are let in.
        sabotage: Wraps the target that builders see, to prove that the oracle notices.
    """

    columns: str
    keep: bool
    max_share: float = 1.0
    union: bool = True
    place: Place | None = None
    sabotage: Callable[[Store], Any] = lambda store: store
    clock: datetime = datetime(2021, 9, 1, 7, 30, tzinfo=UTC)
    serial: int = 0
    crashes: int = 0
    builds: int = 0
    met: list[str] = field(default_factory=list)
    uploads: list[tuple[Hour, str, bodies.Body, Any]] = field(default_factory=list)
    looks: list[tuple[int, Hour, Seen]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.place is None:
            stores = [MemoryStore(name, clock=lambda: self.clock) for name in ("sources", "targets")]
            self.place = Place(stores[0], "source/", stores[1], "target/")
        self.source = Troubled(self.place.source)
        places = {self._key(hour, name): place for hour in HOURS for place, name in enumerate(NAMES)}
        self.chronicle = Chronicle(
            self.keep,
            self.max_share,
            Rules(pinned=self.columns == "pinned", union=self.union),
            alike={"none": (), "same": bodies.HEADS[0].names}.get(self.columns),
            order=places.__getitem__,
        )
        self.policy = EventPolicy(
            header=self.columns != "none",
            columns=bodies.PINNED if self.columns == "pinned" else (),
            on_schema_change="union" if self.union else "quarantine",
            on_vanished="keep" if self.keep else "drop",
            max_vanished_share=self.max_share,
            **bodies.LIMITS,
        )
        watched = WatchedStore(self.place.target, self._committed)
        self.pipeline = Pipeline(
            source=self.source,
            source_prefix=self.place.source_prefix,
            target=self.sabotage(watched),
            target_prefix=self.place.target_prefix,
            grammar=KeyGrammar(),
            policy=lambda _: self.policy,
            workers=OneThread(),
            clock=lambda: self.clock,
        )
        self._hours = {self.pipeline.target_key(hour): hour for hour in HOURS}
        self._looks: list[_Running] = []  # of each builder that runs, the innermost last

    def _committed(self, key: str, info: ObjectInfo | None) -> None:
        data = None if info is None else self.place.target.get(key, if_match=info.etag).read()
        etag = None if info is None else info.etag
        self.chronicle.target_is(self._hours[key].label, etag, data, self._looks[-1].look(self))

    # --- what happens ---------------------------------------------------------------------------------------

    def do(self, step: Step) -> None:
        """Let one thing happen."""
        name, *rest = step
        getattr(self, name)(*rest)

    def put(self, hour: Hour, name: str, kind: int) -> None:
        """A producer writes a source object, or writes it anew."""
        self._put(hour, name, self._body(kind))

    def put_again(self, hour: Hour, name: str, which: int) -> None:
        """A producer puts bytes back that some source object had before."""
        known = list(self.chronicle.bodies.values())
        if known:
            self._put(hour, name, known[which % len(known)])

    def _put(self, hour: Hour, name: str, body: bodies.Body) -> None:
        info = self.place.source.put(self._whole(hour, name), body.data, content_type="text/csv")
        self._is_now(hour, name, info.etag, body)

    def _is_now(self, hour: Hour, name: str, etag: str | None, body: bodies.Body | None = None) -> None:
        self.source.troubles.pop(self._whole(hour, name), None)
        self.chronicle.source_is(hour.label, self._key(hour, name), etag, body)

    def delete(self, hour: Hour, name: str) -> None:
        """A source object vanishes."""
        self.place.source.delete(self._whole(hour, name))
        self._is_now(hour, name, None)

    def overwrite_all(self, hour: Hour, kind: int) -> None:
        """All source objects of an hour are rewritten alike, as by a broken export."""
        for key in self.chronicle.current(hour.label):
            self.put(hour, self._name(key), kind)

    def delete_all(self, hour: Hour) -> None:
        """All source objects of an hour vanish."""
        for key in self.chronicle.current(hour.label):
            self.delete(hour, self._name(key))

    def begin(self, hour: Hour, name: str, kind: int) -> None:
        """A producer begins a multipart upload: once finished, it appears with the time of its beginning."""
        body = self._body(kind)
        upload = self.place.source.start_upload(self._whole(hour, name), content_type="text/csv")
        upload.put_part(1, body.data)
        self.uploads.append((hour, name, body, upload))

    def finish(self, which: int) -> None:
        """One of those uploads is completed."""
        if self.uploads:
            hour, name, body, upload = self.uploads.pop(which % len(self.uploads))
            self._is_now(hour, name, upload.complete().etag, body)

    def trouble(self, hour: Hour, which: int, trouble: str) -> None:
        """From now on a source object can't be read, or is answered for wrongly."""
        current = sorted(self.chronicle.current(hour.label).items())
        key, etag = current[which % len(current)] if current else ("", "")
        if key and not (trouble in ("half", "nothing") and not self.chronicle.bodies[etag].data):
            self.source.troubles[self.place.source_prefix + key] = trouble
            self.chronicle.source_is(hour.label, key, etag, readable=False)

    def cure(self) -> None:
        """All source objects can be read again."""
        for hour in HOURS:
            for key, etag in self.chronicle.current(hour.label).items():
                if self.source.troubles.pop(self.place.source_prefix + key, None):
                    self.chronicle.source_is(hour.label, key, etag)

    def wait(self, seconds: int) -> None:
        """Time goes by."""
        self.clock += timedelta(seconds=seconds)

    def look(self, hour: Hour) -> None:
        """A builder looks at an hour, and will only build it later."""
        self.looks.append((self.chronicle.now, hour, see(self.pipeline, hour)))

    def build(self, hour: Hour, script: list[tuple[int | str, bool, Any]], *, rebuild: bool = False) -> None:
        """A builder makes an hour right, in such weather."""
        self._build(hour, None, script, rebuild=rebuild)

    def produce_and_build(self, step: Step, hour: Hour) -> None:
        """Something happens at the source, and a builder in fine weather is there at once."""
        self.do(step)
        self._build(hour, None, [])

    def build_stale(self, which: int, script: list[tuple[int | str, bool, Any]]) -> None:
        """A builder that looked before builds what it saw then."""
        if self.looks:
            looked, hour, seen = self.looks.pop(which % len(self.looks))
            self._build(hour, seen, script, looked=looked)

    def _build(
        self,
        hour: Hour,
        seen: Seen | None,
        script: list[tuple[int | str, bool, Any]],
        *,
        looked: int | None = None,
        rebuild: bool = False,
    ) -> None:
        play = Script()
        for number, late, what in script:
            act = what if isinstance(what, str) else lambda step=what: self.do(step)
            (play.after if late else play.before)[number] = act
        pipeline = self.pipeline.with_stores(
            WeatherStore(self.pipeline.source, play, sources=True), WeatherStore(self.pipeline.target, play)
        )
        self.builds += 1
        began = self.chronicle.now
        is_alone = seen is None and all(isinstance(what, str) for _, _, what in script)
        self._looks.append(_Running(began if looked is None else looked, rebuild, play.troubled))
        try:
            result = build_hour(
                pipeline, hour, seen=seen, options=BuildOptions(rebuild=rebuild), pauses=Pauses(sleep=lambda _: None)
            )
        except CrashError:
            self.crashes += 1
        except BreakerOpenError:
            expect(self.max_share < 1, "a breaker opened that there is not")
            expect(not is_alone or self.chronicle.may_open(hour.label), "the breaker opened without a reason")
        except (RowsWouldLeaveError, AccountingError) as error:
            expect(False, f"a build met a defect of its own: {error!r}")
        except UnreadableSourcesError as error:
            there = {self.place.source_prefix + key for key in error.unreadable}
            expect(there <= play.troubled, f"{there - play.troubled} could be read")
            if is_alone:
                self._judge_at_rest(hour, play.troubled)
        except S3AssetsError as error:
            dark = isinstance(error, StoreError) and self._all_of(hour) <= self._keys(play.troubled)
            expect(play.met or not is_alone or dark, f"a build failed in fine weather: {error!r}")
        else:
            self._believe(hour, result, began)
            if is_alone:
                self._judge_at_rest(hour)
        finally:
            self._looks.pop()
            self.met += play.met + [f"trouble {self.source.troubles.get(key, 'once')}" for key in play.troubled]

    def _judge_at_rest(self, hour: Hour, troubled: Collection[str] = ()) -> None:
        info = self.place.target.head(self.pipeline.target_key(hour))
        data = None if info is None else self.place.target.get(info.key, if_match=info.etag).read()
        self.chronicle.at_rest(hour.label, None if info is None else info.etag, data, self._keys(troubled))

    def _believe(self, hour: Hour, result: HourResult, began: int) -> None:
        """What a build says that it did was done: such an hour file stood once, and was written while it ran."""
        expect((result.etag or None) in self.chronicle.past[hour.label], "a build tells of an hour file that never was")
        gone = not result.etag  # by another's hand perhaps: removing what is gone already is no error
        expect(self.chronicle.now > began or gone or not result.plan.writes, "a build that says it wrote did not")

    def settle(self) -> None:
        """Producers rest: all hours are made right but for what can't be read; then this, too, and nothing is left."""
        if self.source.troubles:
            self._make_right(rest=False)
            self.cure()
        self._make_right(rest=True)

    def _make_right(self, *, rest: bool) -> None:
        troubled = set(self.source.troubles)
        self._looks = [_Running(self.chronicle.now, False, troubled, breaker_off=True)]
        for _ in range(SETTLE_TRIES):
            outcomes = list(make_right(self.pipeline, HOURS, BuildOptions(accept_vanished=True)))
            for outcome in outcomes:
                if isinstance(outcome, HourFailure):
                    error = outcome.error
                    if isinstance(error, BrokenPromiseError):
                        raise error
                    expect(not rest and self._is_trouble(outcome), f"an hour failed in fine weather: {error!r}")
            if all(_is_done(outcome) for outcome in outcomes):
                break
        else:
            expect(not rest, "builds never come to rest")
        self._looks = []
        for hour in HOURS:
            self._judge_at_rest(hour, troubled)

    def _is_trouble(self, outcome: HourFailure) -> bool:
        """Whether an hour failed since there is trouble with its sources, and is right but for it."""
        error, troubled = outcome.error, self._keys(self.source.troubles)
        if isinstance(error, UnreadableSourcesError):
            return error.unreadable.keys() <= troubled
        return isinstance(error, StoreError) and self._all_of(outcome.hour) <= troubled

    def _all_of(self, hour: Hour) -> set[str]:
        """Keys of the sources that an hour file would hold rows of."""
        current = self.chronicle.current(hour.label)
        return {key for key, etag in current.items() if self.chronicle.bodies[etag].count}

    def audit(self) -> None:
        """A deep audit of hours that came to rest finds nothing, whatever they went through.

        Of an hour without an hour file an audit can't know whether some source would have a row: that takes a build.
        """
        hours = [hour for hour in HOURS if self.chronicle.standing[hour.label].rows]
        for outcome in audit_hours(self.pipeline, hours, AuditOptions(deep=True, grace=timedelta(0))):
            if isinstance(outcome, HourFailure):
                raise outcome.error
            waits = {("waits", etag) for etag in self.chronicle.bodies}
            known = self.chronicle.standing[outcome.hour.label].known
            found = [
                difference
                for difference in outcome.differences  # a source came back as it once stood, waited, and went
                if difference.kind is not Kind.EVICTED or any(known.get(key) not in waits for key in difference.keys)
            ]
            expect(not found, f"the audit of {outcome.hour} says: {'; '.join(one.sentence() for one in found)}")

    # --- what it takes --------------------------------------------------------------------------------------

    def _body(self, kind: int) -> bodies.Body:
        self.serial += 1
        return bodies.write(kind, self.serial, self.columns)

    def _key(self, hour: Hour, name: str) -> str:
        return f"{hour.event}/{hour.date}/{hour.label[11:13]}_{name}"

    def _name(self, key: str) -> str:
        return key.rpartition("/")[2][3:]

    def _keys(self, whole: Collection[str]) -> set[str]:
        return {key.removeprefix(self.place.source_prefix) for key in whole}

    def _whole(self, hour: Hour, name: str) -> str:
        return self.place.source_prefix + self._key(hour, name)


@dataclass
class _Running:
    """A builder at work: since when, how, and the whole keys of the sources that it could not read."""

    since: int
    rebuild: bool
    troubled: set[str]
    breaker_off: bool = False

    def look(self, world: World) -> Look:
        """What it may have seen."""
        return Look(self.since, self.rebuild, world._keys(self.troubled), self.breaker_off)


def _is_done(outcome: HourResult | HourFailure) -> bool:
    return not isinstance(outcome, HourFailure) and outcome.plan.verdict in (Verdict.NOTHING, Verdict.EMPTY)


@contextmanager
def small_sizes() -> Iterator[None]:
    """Sizes at which the hour files of histories are large: multipart uploads, copies, many segments, streams."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("s3_assets.builder.commit.WHOLE_PUT_BYTES", 600)
        patch.setattr("s3_assets.builder.commit.MIN_PART_BYTES", 40)
        patch.setattr("s3_assets.builder.commit.PUT_PART_BYTES", 80)
        patch.setattr("s3_assets.builder.commit.COPY_PART_BYTES", 120)
        patch.setattr("s3_assets.store.parts.MIN_PART_BYTES", 40)
        patch.setattr("s3_assets.hour_file.layout.SEGMENT_BYTES", 60)
        patch.setattr("s3_assets.hour_file.layout.SMALL_SEGMENT_BYTES", 20)
        patch.setattr("s3_assets.builder.make.WHOLE_BYTES", 30)
        patch.setattr("s3_assets.builder.target.TAIL_BYTES", 200)
        yield


hours = st.sampled_from((HOURS[0], HOURS[0], HOURS[0], HOURS[1]))
names = st.sampled_from(NAMES)
forms = st.one_of(st.sampled_from(bodies.USABLE), st.sampled_from(bodies.USABLE[:3]), st.sampled_from(bodies.KINDS))
heads = st.one_of(st.just(0), st.integers(0, len(bodies.HEADS) - 1))


def named(strategy: st.SearchStrategy[Any], name: str) -> st.SearchStrategy[Any]:
    """The same, but with a short name: Hypothesis writes down what it draws from, over and over."""

    @st.composite
    def drawn(draw):
        return draw(strategy)

    drawn.__name__ = name
    return drawn()


kinds = named(st.builds(bodies.kind_of, forms, heads), "kinds")
which = st.integers(0, 7)
puts = st.tuples(st.just("put"), hours, names, kinds)
produced = named(
    st.one_of(
        puts,
        puts,
        st.tuples(st.just("put_again"), hours, names, which),
        st.tuples(st.just("delete"), hours, names),
        st.tuples(st.just("finish"), which),
        st.tuples(st.just("trouble"), hours, which, st.sampled_from(TROUBLES)),
        st.one_of(
            st.tuples(st.just("overwrite_all"), hours, kinds),
            st.tuples(st.just("delete_all"), hours),
            st.tuples(st.just("cure")),
        ),
    ),
    "produced",
)
calls = st.one_of(
    st.just("commit"), st.just("commit"), st.sampled_from(KINDS_OF_CALLS), st.integers(1, 6), st.integers(1, 24)
)
"""Most builds make few calls: what is to happen must happen at one of them, and the commit matters most."""


def scripts(depth: int = 2, *, least: int = 0) -> st.SearchStrategy[list[tuple[int | str, bool, Any]]]:
    """Weather of one build, in which others produce and build, in weather of their own."""
    meanwhile = [st.sampled_from(FAULTS), produced, st.tuples(st.just("produce_and_build"), produced, hours)]
    if depth:
        meanwhile.append(st.tuples(st.just("build"), hours, scripts(depth - 1)))
        meanwhile.append(st.tuples(st.just("build_stale"), which, scripts(depth - 1)))
    return named(st.lists(st.tuples(calls, st.booleans(), st.one_of(meanwhile)), min_size=least, max_size=4), "scripts")
