"""A test that cannot fail is a defect: for each promise a build broken on purpose, and a history that notices."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.builder import build, make
from s3_assets.builder.pipeline import Pipeline
from s3_assets.errors import S3AssetsError, StoreError
from s3_assets.hour_file.plan import Verdict, make_plan
from s3_assets_tests.soak.bodies import KINDS
from s3_assets_tests.soak.chronicle import BrokenPromiseError
from s3_assets_tests.soak.histories import HOURS, NAMES, World
from s3_assets_tests.soak.test_machine import Histories, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets.store.contract import Store
    from s3_assets_tests.soak.histories import Step

ENOUGH = 400
"""Histories, at most: each mutant is found in far fewer."""


class Unconditional:
    """A target that is written whatever stands there."""

    def __init__(self, inner: Store) -> None:
        self.inner: Any = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def put(self, key, data, **_conditions):
        """Overwrite."""
        return self.inner.put(key, data)


def drop_the_first_source(patch):
    """The first source of a batch is forgotten."""

    def planned(*args, **options):
        plan = make_plan(*args, **options)
        return replace(plan, read=plan.read[1:]) if len(plan.read) > 1 else plan

    patch.setattr(build, "make_plan", planned)


def overwrite_instead_of_splicing(patch):
    """A late source takes the place of what stood."""

    def planned(*args, **options):
        plan = make_plan(*args, **options)
        return replace(plan, stay=()) if plan.verdict is Verdict.SPLICE and plan.read else plan

    patch.setattr(build, "make_plan", planned)


def trust_last_modified(patch):
    """What is not newer than the hour file is taken for known."""

    def decided(pipeline, hour, seen, options):
        target = seen.target
        if target is not None and target.ledger is not None and not options.rebuild:
            known = {source.key for source in (*target.ledger.held, *target.ledger.quarantined)}
            newer = [s for s in seen.sources if s.key in known or s.last_modified > target.last_modified]
            seen = replace(seen, sources=tuple(newer))
        return decide(pipeline, hour, seen, options)

    decide = build._decide
    patch.setattr(build, "_decide", decided)


def read_a_failed_listing_as_empty(patch):
    """What a listing gave before it failed is taken for all there is."""
    whole = Pipeline.list_sources

    def listed(self, prefix=""):
        try:
            yield from whole(self, prefix)
        except StoreError:
            return

    patch.setattr(Pipeline, "list_sources", listed)


def list_before_the_ledger_is_read(patch):
    """The listing may be older than the hour file that it is compared with."""

    def seen(pipeline, hour):
        listed = list(pipeline.list_sources(pipeline.grammar.hour_prefix(hour)))

        class Listed:
            grammar = pipeline.grammar
            target = pipeline.target
            target_key = pipeline.target_key

            def list_sources(self, _prefix):
                return iter(listed)

        return see(Listed(), hour)

    see = build.see
    patch.setattr(build, "see", seen)


def tell_rewrites_by_size(patch):
    """A source of the same size is taken for the same."""

    def planned(hour, ledger, sources, *args, **options):
        known = {} if ledger is None else {s.key: s for s in (*ledger.held, *ledger.quarantined)}
        told = [
            replace(s, etag=known[s.key].etag) if s.key in known and known[s.key].size == s.size else s for s in sources
        ]
        return make_plan(hour, ledger, told, *args, **options)

    patch.setattr(build, "make_plan", planned)


def read_whatever_is_there(patch):
    """A source is read without regard to the version that was listed."""

    def opened(self, source):
        return self._pipeline.source.get(self._pipeline.source_prefix + source.key)

    patch.setattr(make.SegmentMaker, "_open", opened)


def take_a_cut_body_for_whole(patch):
    """A body that ends early is taken for all there is."""
    patch.setattr("s3_assets.store.contract.Download.__iter__", lambda self: _what_came(self._chunks))


def _what_came(chunks):
    try:
        yield from chunks
    except S3AssetsError:
        return


def forget_the_quarantined(patch):
    """Unusable sources are left out without a word."""

    def planned(*args, **options):
        return replace(make_plan(*args, **options), unusable=())

    patch.setattr(build, "make_plan", planned)


def keep_what_must_go(patch):
    """Under drop, rows of vanished sources stay."""

    def planned(hour, ledger, sources, policy, **options):
        return make_plan(hour, ledger, sources, replace(policy, on_vanished="keep"), **options)

    patch.setattr(build, "make_plan", planned)


def never_open_the_breaker(patch):
    """Under drop, all may go at once."""

    def planned(*args, **options):
        return make_plan(*args, **options | {"accept_vanished": True})

    patch.setattr(build, "make_plan", planned)


def ignore_if_match(patch):
    """Who is last wins; see `Unconditional`."""


FOUND_BY_CHANCE = {
    drop_the_first_source: True,
    overwrite_instead_of_splicing: True,
    ignore_if_match: True,
    trust_last_modified: True,
    tell_rewrites_by_size: True,
    read_whatever_is_there: True,
    forget_the_quarantined: True,
    keep_what_must_go: False,
}
"""How a build is broken, and whether it shows under `keep`; under `drop` else."""

FOUND_LATE = (read_whatever_is_there, tell_rewrites_by_size, ignore_if_match, forget_the_quarantined)
"""Those that take random histories more than a second or two: in a soak."""

HOUR, A, B = HOURS[0], NAMES[0], NAMES[1]
ONE_ROW, MANY_ROWS = KINDS.index("one row"), KINDS.index("many rows")
TWO_BUILT = [("put", HOUR, A, MANY_ROWS), ("put", HOUR, B, ONE_ROW), ("build", HOUR, [])]

SHOWN = {
    drop_the_first_source: TWO_BUILT,
    overwrite_instead_of_splicing: [*TWO_BUILT, ("put", HOUR, NAMES[2], ONE_ROW), ("build", HOUR, [])],
    ignore_if_match: [
        ("put", HOUR, A, ONE_ROW),
        ("build", HOUR, [(4, False, ("produce_and_build", ("put", HOUR, B, ONE_ROW), HOUR))]),
    ],
    trust_last_modified: [
        ("begin", HOUR, A, ONE_ROW),
        ("wait", 7200),
        ("put", HOUR, B, ONE_ROW),
        ("build", HOUR, []),
        ("finish", 0),
        ("build", HOUR, []),
    ],
    read_a_failed_listing_as_empty: [*TWO_BUILT, ("build", HOUR, [(2, False, "cut")])],
    list_before_the_ledger_is_read: [
        *TWO_BUILT,
        ("build", HOUR, [(2, False, ("produce_and_build", ("put", HOUR, NAMES[2], ONE_ROW), HOUR))]),
    ],
    tell_rewrites_by_size: [*TWO_BUILT, ("put", HOUR, B, ONE_ROW), ("build", HOUR, [])],
    read_whatever_is_there: [
        ("put", HOUR, A, ONE_ROW),
        ("build", HOUR, [(3, False, ("put", HOUR, A, MANY_ROWS))]),
    ],
    take_a_cut_body_for_whole: [("put", HOUR, A, MANY_ROWS), ("build", HOUR, [(3, False, "clean end")])],
    forget_the_quarantined: [
        ("put", HOUR, A, KINDS.index("utf-16")),
        ("build", HOUR, []),
        ("put", HOUR, B, ONE_ROW),
        ("build", HOUR, []),
    ],
    keep_what_must_go: [*TWO_BUILT, ("delete", HOUR, A), ("put", HOUR, NAMES[2], ONE_ROW), ("build", HOUR, [])],
    never_open_the_breaker: [*TWO_BUILT, ("delete", HOUR, A), ("delete", HOUR, B), ("build", HOUR, [])],
}
"""For each broken build the history that shows it."""


@contextmanager
def broken(mutant: Callable[[Any], None]) -> Iterator[Callable[[Store], Any]]:
    """The package as that mutant has it; gives what is between a builder and the target."""
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        yield Unconditional if mutant is ignore_if_match else lambda store: store


def live(steps: list[Step], *, keep: bool, sabotage: Callable[[Store], Any]) -> None:
    """One history, in the order told, to its end."""
    world = World("same", keep, max_share=0.5, sabotage=sabotage)
    for step in steps:
        world.do(step)
    world.settle()


@pytest.mark.parametrize("mutant", SHOWN, ids=lambda mutant: mutant.__name__)
def test_a_history_made_for_it_shows_it(mutant, record_property):
    """And the same history passes where the build is whole."""
    keep = FOUND_BY_CHANCE.get(mutant, False)
    live(SHOWN[mutant], keep=keep, sabotage=lambda store: store)
    with broken(mutant) as sabotage, pytest.raises(BrokenPromiseError) as caught:
        live(SHOWN[mutant], keep=keep, sabotage=sabotage)
    record_property("found", str(caught.value))


@pytest.mark.scaled
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(one, marks=pytest.mark.soak if one in FOUND_LATE else (), id=one.__name__)
        for one in FOUND_BY_CHANCE
    ],
)
def test_random_histories_find_it(mutant, record_property):
    """Always the same ones: whether these find it is not left to chance."""
    attributes = {"columns": "same", "keep": FOUND_BY_CHANCE[mutant]}
    with broken(mutant) as sabotage:
        machine = type("Broken", (Histories,), attributes | {"sabotage": staticmethod(sabotage)})
        with pytest.raises(BrokenPromiseError) as caught:
            run(machine, ENOUGH, shrink=False)
    record_property("found", f"in history {len(machine.told)}: {caught.value}")
    sys.stdout.write(f"{mutant.__name__}: in history {len(machine.told)}\n")
