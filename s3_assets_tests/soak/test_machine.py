"""Random histories of producers, builders, crashes and a failing store: every commit and the end are the model's."""

from __future__ import annotations

import sys
import uuid
from collections import Counter
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from s3_assets.store.contract import Download
from s3_assets_tests.soak.histories import (
    LONGEST_STEP_S,
    Place,
    World,
    hours,
    kinds,
    names,
    produced,
    puts,
    scripts,
    small_sizes,
    which,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_assets.store.contract import Store

STEPS = 10


class Histories(RuleBasedStateMachine):
    """One history; when it ends, the weather clears, all hours are made right, and are judged."""

    columns = "same"
    keep = True
    place: Callable[[], Place | None] = staticmethod(lambda: None)
    sabotage: Callable[[Store], object] = staticmethod(lambda store: store)
    told: list[World]

    @initialize(
        max_share=st.sampled_from([1.0, 1.0, 0.5]),
        union=st.integers(0, 3).map(lambda n: n < 3),
        first=st.lists(puts, min_size=2, max_size=6),
    )
    def begin_history(self, max_share, union, first):
        """Some sources are there."""
        self.world = World(self.columns, self.keep, max_share, union, place=self.place(), sabotage=self.sabotage)
        type(self).told.append(self.world)
        for step in first:
            self.world.do(step)

    @rule(steps=st.lists(produced, min_size=1, max_size=3))
    def produce(self, steps):
        """Producers at work."""
        for step in steps:
            self.world.do(step)

    @rule(hour=hours, script=scripts(), rebuild=st.integers(0, 9).map(lambda n: n == 9))
    def build(self, hour, script, rebuild):
        """A builder, the hour rebuilt now and then."""
        self.world.build(hour, script, rebuild=rebuild)

    @rule(step=produced, hour=hours, script=scripts(least=1))
    def produce_and_build(self, step, hour, script):
        """A change, and a builder that meets something."""
        self.world.do(step)
        self.world.build(hour, script)

    @rule(hour=hours, steps=st.lists(produced, min_size=1, max_size=2), others=scripts(1), script=scripts())
    def build_stale(self, hour, steps, others, script):
        """A look; changes and another builder; then the build of what was seen."""
        self.world.look(hour)
        for step in steps:
            self.world.do(step)
        self.world.build(hour, others)
        self.world.build_stale(0, script)

    @rule(hour=hours, which=which, script=scripts())
    def look_and_build_an_older_look(self, hour, which, script):
        """Looks pile up, and are built late."""
        self.world.look(hour)
        self.world.build_stale(which, script)
        self.world.look(hour)

    @rule(hour=hours, name=names, kind=kinds, seconds=st.integers(0, LONGEST_STEP_S))
    def begin_an_upload_and_wait(self, hour, name, kind, seconds):
        """It will appear with the time of now."""
        self.world.begin(hour, name, kind)
        self.world.wait(seconds)

    @rule()
    def settle(self):
        """Fine weather."""
        self.world.settle()

    def teardown(self):
        """The end, unless a promise was broken already."""
        if hasattr(self, "world") and not self.world.chronicle.broken:
            self.world.settle()
            self.world.audit()


def run(machine: type[Histories], histories: int, *, shrink: bool = True, drawn_from: int | None = None) -> list[World]:
    """Run so many histories, drawn from that seed, or always the same ones; all of their worlds."""
    machine.told = []
    if drawn_from is not None:
        machine = seed(drawn_from)(machine)
    phases = (Phase.generate, Phase.shrink) if shrink else (Phase.generate,)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=drawn_from is None,
            database=None,
            phases=phases,
            print_blob=True,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
    return machine.told


def count(worlds: list[World]) -> str:
    """What they were made of, in a line."""
    builds = sum(world.builds for world in worlds)
    commits = sum(world.chronicle.commits for world in worlds)
    met = sum((Counter(world.met) for world in worlds), Counter()).total()
    kinds = len({what for world in worlds for what in world.met})
    crashes = sum(world.crashes for world in worlds)
    made = f"{len(worlds)} histories, {builds} builds, {commits} commits judged"
    return f"{made}, {met} faults of {kinds} kinds met, {crashes} crashes"


def tell(record_property: Callable[[str, object], None], drawn_from: int, worlds: list[World]) -> None:
    """To the report, and to who watches."""
    line = f"seed {drawn_from}: {count(worlds)}"
    record_property("ran", line)
    sys.stdout.write(f"{line}\n")


@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("sizes", ["one put", "multipart"])
@pytest.mark.parametrize("keep", [True, False], ids=["keep", "drop"])
@pytest.mark.parametrize("columns", ["none", "same", "pinned", "any"])
def test_every_commit_and_the_end_are_the_models(scale, drawn_from, columns, keep, sizes, record_property):
    """In memory, over every policy and both ways to commit."""
    machine = type("Memory", (Histories,), {"columns": columns, "keep": keep})
    with small_sizes() if sizes == "multipart" else nullcontext():
        worlds = run(machine, scale.histories, drawn_from=drawn_from)
    tell(record_property, drawn_from, worlds)
    assert sum(world.chronicle.commits for world in worlds) > len(worlds) / 2


class WholeVersions:
    """Takes a piece out of an old version here: ministack sends all of it, whatever range is asked for."""

    def __init__(self, inner: Store) -> None:
        self.inner: Any = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def get(self, key, *, version_id=None, span=None, suffix=None, **options):
        """Start reading."""
        if version_id is None:
            return self.inner.get(key, span=span, suffix=suffix, **options)
        whole = self.inner.get(key, version_id=version_id, **options)
        start, stop = span or (max(0, whole.info.size - (suffix or whole.info.size)), whole.info.size)
        data = whole.read()[start:stop]
        return Download(whole.info, start, start + len(data), (data,))


@pytest.mark.timeout(3 * 3600)
@pytest.mark.parametrize("keep", [True, False], ids=["keep", "drop"])
@pytest.mark.parametrize("name", ["seaweedfs", "ministack"])
def test_on_a_real_server_too(scale, drawn_from, running, name, keep, record_property):
    """The same histories on a server; multipart where it takes parts below 5 MiB."""
    server = running(name)
    store = server.store(server.new_bucket(versioned=True))
    store.probe()

    def place() -> Place:
        own = uuid.uuid4().hex
        target = WholeVersions(store) if name == "ministack" else store
        return Place(store, f"{own}/source/", target, f"{own}/target/")

    columns = "any" if keep else "same"
    machine = type("Server", (Histories,), {"columns": columns, "keep": keep, "place": staticmethod(place)})
    with small_sizes() if name == "ministack" else nullcontext():
        worlds = run(machine, scale.server_histories, shrink=False, drawn_from=drawn_from)
    tell(record_property, drawn_from, worlds)
    assert sum(world.chronicle.commits for world in worlds) > len(worlds) / 2
