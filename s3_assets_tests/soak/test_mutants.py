"""A test that cannot fail is a defect: for each promise a build broken on purpose, and a history that notices."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.builder import assemble, build, make
from s3_assets.builder.build import Pauses, build_hour
from s3_assets.builder.pipeline import Pipeline
from s3_assets.errors import AccountingError, BreakerOpenError, RowsWouldLeaveError, S3AssetsError, StoreError
from s3_assets.hour_file import schema
from s3_assets.hour_file.headers import Header
from s3_assets.hour_file.plan import Change, Verdict, make_plan
from s3_assets.hour_file.rows import EvenRows, RaggedRowError, Rows, column_names, laid_rows
from s3_assets_tests.soak.bodies import kind_of
from s3_assets_tests.soak.columns import BrokenPromiseError
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


def drop_a_standing_source(patch):
    """When something is spliced in, a source that stands is forgotten."""

    def planned(*args, **options):
        plan = make_plan(*args, **options)
        return replace(plan, stay=plan.stay[1:]) if plan.verdict is Verdict.SPLICE else plan

    patch.setattr(build, "make_plan", planned)


def vote_by_files(patch):
    """Each file has one vote on an hour's columns, however many rows it has."""
    vote = schema._vote
    patch.setattr(schema, "_vote", lambda speaking, on_change: vote([replace(s, rows=1) for s in speaking], on_change))


def judge_by_neighbours(patch):
    """Whenever something comes, all are judged beside each other; what stands has no more right than the rest."""

    def planned(*args, **options):
        plan = make_plan(*args, **options)
        return make_plan(*args, **options | {"rebuild": True}) if plan.verdict is Verdict.SPLICE else plan

    patch.setattr(build, "make_plan", planned)


def never_look_again(patch):
    """What waits for the others waits for ever."""

    def planned(hour, ledger, *args, **options):
        plan = make_plan(hour, ledger, *args, **options)
        again = {action.key for action in plan.actions if action.change is Change.RECHECK}
        waiting = () if ledger is None else [bad for bad in ledger.quarantined if bad.key in again]
        read = tuple(source for source in plan.read if source.key not in again)
        return replace(plan, read=read, unusable=(*plan.unusable, *waiting))

    patch.setattr(build, "make_plan", planned)


def believe_the_answers_own_length(patch):
    """A body is whole if it is as long as its own headers say, and of the version that they name."""

    def opened(self, source):
        return self._pipeline.source.get(self._pipeline.source_prefix + source.key, if_match=source.etag)

    patch.setattr(make.SegmentMaker, "_open", opened)


def fail_the_hour_for_one_source(patch):
    """A source that can't be read takes its hour down."""

    def leave(_self, _key, error):
        raise error

    patch.setattr(assemble._Assembler, "_leave", leave)


def take_any_first_line(patch):
    """The first line is a header, whatever it says."""
    patch.setattr("s3_assets.hour_file.intake.read_header", lambda line, _: Header(column_names(line), certain=True))


def take_rows_as_they_come(patch):
    """Rows keep their widths, blank lines are rows, and all ends of rows are as good."""

    class Uneven(EvenRows):
        def pieces(self, rows):
            self.rows += rows.outline.count(b"\n")
            yield rows.data

    patch.setattr("s3_assets.hour_file.intake.EvenRows", Uneven)


def parse_the_union_again(patch):
    """The hour's header is put together of names as they were read, without the quotes that they need."""

    def header(self):
        return b",".join(self.union) + b"\n"

    patch.setattr(schema._Builder, "header", header)


def ignore_if_match(patch):
    """Who is last wins; see `Unconditional`."""


def without_the_commit_guard(patch):
    """Nothing looks at what a commit would take out of an hour file."""
    patch.setattr(build, "check_commit", lambda *_, **__: None)


def without_reading_back(patch):
    """Nothing looks at what was written."""
    patch.setattr(assemble._Assembler, "_reads_back", lambda *_: True)

    def lay(self, rows, **_):
        return laid_rows(Rows.of(rows), len(column_names(self.own)), self.columns)

    patch.setattr(make.Fit, "lay", lay)


GUARDED = {
    overwrite_instead_of_splicing: (without_the_commit_guard, RowsWouldLeaveError),
    drop_a_standing_source: (without_the_commit_guard, RowsWouldLeaveError),
    judge_by_neighbours: (without_the_commit_guard, RowsWouldLeaveError),
    never_open_the_breaker: (without_the_commit_guard, BreakerOpenError),
    parse_the_union_again: (without_reading_back, (AccountingError, RaggedRowError)),
}
"""Defects that a guard of the package's own stops, and how: the oracle is tried without that guard."""

FOUND_BY_CHANCE = {
    drop_the_first_source: True,
    overwrite_instead_of_splicing: True,
    ignore_if_match: True,
    trust_last_modified: True,
    tell_rewrites_by_size: True,
    read_whatever_is_there: True,
    forget_the_quarantined: True,
    keep_what_must_go: False,
    drop_a_standing_source: True,
    vote_by_files: True,
    judge_by_neighbours: True,
    never_look_again: True,
    believe_the_answers_own_length: True,
    fail_the_hour_for_one_source: True,
    take_any_first_line: True,
    take_rows_as_they_come: True,
    parse_the_union_again: True,
}
"""How a build is broken, and whether it shows under `keep`; under `drop` else."""

FOUND_LATE = (
    read_whatever_is_there,
    tell_rewrites_by_size,
    ignore_if_match,
    forget_the_quarantined,
    never_look_again,
    believe_the_answers_own_length,
    fail_the_hour_for_one_source,
)
"""Those that take random histories more than a second or two: in a soak."""

COLUMNS = (vote_by_files, judge_by_neighbours, never_look_again, parse_the_union_again)
"""Those that show where sources have different columns."""

HOUR, A, B, C = HOURS[0], *NAMES[:3]
ONE_ROW, MANY_ROWS = kind_of("one row"), kind_of("many rows")
OTHER_COLUMNS = kind_of("one row", 9)
QUOTED_COLUMNS = kind_of("one row", 11)
ONE_MORE_COLUMN, ONLY_THAT_COLUMN = kind_of("one row", 3), kind_of("one row", 8)
TWO_BUILT = [("put", HOUR, A, MANY_ROWS), ("put", HOUR, B, ONE_ROW), ("build", HOUR, [])]
ONE_AND_TWO_OTHERS = [("put", HOUR, B, OTHER_COLUMNS), ("put", HOUR, C, OTHER_COLUMNS), ("build", HOUR, [])]

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
        ("put", HOUR, B, ONE_ROW),
        ("build", HOUR, []),
        ("put", HOUR, A, kind_of("utf-16")),
        ("build", HOUR, []),
        ("put", HOUR, C, ONE_ROW),
        ("build", HOUR, []),
    ],
    keep_what_must_go: [*TWO_BUILT, ("delete", HOUR, A), ("put", HOUR, NAMES[2], ONE_ROW), ("build", HOUR, [])],
    never_open_the_breaker: [*TWO_BUILT, ("delete", HOUR, A), ("delete", HOUR, B), ("build", HOUR, [])],
    drop_a_standing_source: [*TWO_BUILT, ("put", HOUR, C, ONE_ROW), ("build", HOUR, [])],
    vote_by_files: [("put", HOUR, A, MANY_ROWS), *ONE_AND_TWO_OTHERS],
    judge_by_neighbours: [("put", HOUR, A, ONE_ROW), ("build", HOUR, []), *ONE_AND_TWO_OTHERS],
    never_look_again: [
        ("put", HOUR, A, MANY_ROWS),
        ("put", HOUR, B, ONLY_THAT_COLUMN),
        ("build", HOUR, []),
        ("put", HOUR, C, ONE_MORE_COLUMN),
        ("build", HOUR, []),
    ],
    believe_the_answers_own_length: [
        ("put", HOUR, A, MANY_ROWS),
        ("trouble", HOUR, 0, "half"),
        ("build", HOUR, []),
    ],
    fail_the_hour_for_one_source: [
        ("put", HOUR, A, MANY_ROWS),
        ("put", HOUR, B, ONE_ROW),
        ("trouble", HOUR, 0, "archived"),
        ("build", HOUR, []),
    ],
    take_any_first_line: [("put", HOUR, A, kind_of("no rows selected")), ("build", HOUR, [])],
    take_rows_as_they_come: [("put", HOUR, A, kind_of("short rows")), ("build", HOUR, [])],
    parse_the_union_again: [("put", HOUR, A, MANY_ROWS), ("put", HOUR, B, QUOTED_COLUMNS), ("build", HOUR, [])],
}
"""For each broken build the history that shows it."""


@contextmanager
def broken(mutant: Callable[[Any], None], *, guarded: bool = False) -> Iterator[Callable[[Store], Any]]:
    """The package as that mutant has it, without the guard against it; gives what builders see the target through."""
    with pytest.MonkeyPatch.context() as patch:
        mutant(patch)
        if mutant in GUARDED and not guarded:
            GUARDED[mutant][0](patch)
        yield Unconditional if mutant is ignore_if_match else lambda store: store


def world_of(mutant: Callable[[Any], None], sabotage: Callable[[Store], Any] = lambda store: store) -> World:
    """Where it shows."""
    columns = "any" if mutant in COLUMNS else "same"
    return World(columns, FOUND_BY_CHANCE.get(mutant, False), max_share=0.5, sabotage=sabotage)


def live(world: World, steps: list[Step]) -> None:
    """One history, in the order told, to its end."""
    for step in steps:
        world.do(step)
    world.settle()


@pytest.mark.parametrize("mutant", SHOWN, ids=lambda mutant: mutant.__name__)
def test_a_history_made_for_it_shows_it(mutant, record_property):
    """And the same history passes where the build is whole."""
    live(world_of(mutant), SHOWN[mutant])
    with broken(mutant) as sabotage, pytest.raises(BrokenPromiseError) as caught:
        live(world_of(mutant, sabotage), SHOWN[mutant])
    record_property("found", str(caught.value))


@pytest.mark.parametrize("mutant", GUARDED, ids=lambda mutant: mutant.__name__)
def test_a_guard_of_the_package_stops_it(mutant):
    """Before anything is written: the hour file is as it was."""
    world = world_of(mutant)
    key = world.pipeline.target_key(HOUR)
    with broken(mutant, guarded=True):
        for step in SHOWN[mutant][:-1]:
            world.do(step)
        before = world.place.target.head(key)
        with pytest.raises(GUARDED[mutant][1]):
            build_hour(world.pipeline, HOUR, pauses=Pauses(sleep=lambda _: None))
        assert world.place.target.head(key) == before


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
    attributes = {"columns": "any" if mutant in COLUMNS else "same", "keep": FOUND_BY_CHANCE[mutant]}
    with broken(mutant) as sabotage:
        machine = type("Broken", (Histories,), attributes | {"sabotage": staticmethod(sabotage)})
        with pytest.raises(BrokenPromiseError) as caught:
            run(machine, ENOUGH, shrink=False)
    record_property("found", f"in history {len(machine.told)}: {caught.value}")
    sys.stdout.write(f"{mutant.__name__}: in history {len(machine.told)}\n")
