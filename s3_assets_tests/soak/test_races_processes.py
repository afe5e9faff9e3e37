"""Four processes on one hour, at once or in an order that is given, with looks out of date: no update is lost."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets_tests.soak.cases import HOUR, PARTS, Case, Stage, large, rows
from s3_assets_tests.soak.child import Builders
from s3_assets_tests.soak.chronicle import BrokenPromiseError, expect, ledger_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets_tests.soak.child import Site

RACERS = 4
IN_TURNS = 0
ONE = Case("one put", {"07_00_a.csv": rows(0)}, {"07_00_a.csv": rows(0)})
STILL = replace(PARTS, after=PARTS.before)


@pytest.fixture(scope="module")
def builders() -> Iterator[Builders]:
    """A process that forks builders."""
    with Builders() as builders:
        yield builders


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    """Threads of the builds in this process."""
    with Workers(fetch_threads=4, hour_threads=1, compress_threads=1) as workers:
        yield workers


def race(
    stage: Stage, builders: Builders, rounds: int, site: Site | None = None, *, uploading: int = 0
) -> Counter[str]:
    """One race over sources of its own, of so many rounds, or `IN_TURNS`; so many of the racers commit by an upload.

    Raises:
        BrokenPromiseError: A source is not in the hour file although its builder said so, or its rows are not there
            once.
    """
    site = site or stage.set_up()
    own = replace(site, source_prefix=site.target_prefix + "racing/")
    racers = [replace(own, put_bytes=0)] * uploading + [own] * (RACERS - uploading)
    results = builders.race(racers, rounds) if rounds else builders.take_turns(racers)
    data = stage.store.get(stage.target_key(site)).read()
    ledger = ledger_of(data)
    held = {source.key for source in ledger.held}
    built = [key for result in results for key in result["built"]]
    for key in built:
        expect(key in held, f"{key} was committed, and is lost")
    for name in stage.case.before:
        expect(f"{HOUR.event}/{HOUR.date}/{name}" in held, f"{name} stood before, and is lost")
    stage.build(own)
    text = stage.text(site)
    late = {
        f"07_{41 + racer}_{step}.csv": b"%d%02d,late\n" % (racer, step)
        for racer in range(RACERS)
        for step in range(rounds or 1)
    }
    bodies = {**stage.case.before, **late}
    expect(
        text == b"n,x\n" + b"".join(bodies[name] for name in sorted(bodies)), "the rows are not those of the sources"
    )
    expect(list(stage.store.list_uploads(stage.target_key(site))) == [], "an upload was left open")
    return Counter(races=1, builds=len(built), tries=sum(result["tries"] for result in results))


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["seaweedfs", "ministack"])
@pytest.mark.parametrize("rounds", [1, 3])
def test_no_update_is_lost_in_one_put(scale, running, builders, workers, name, rounds, record_property):
    """All look, then all build; and once more while the others go on."""
    stage = Stage(running(name), ONE, workers)
    total = sum((race(stage, builders, rounds) for _ in range(scale.races)), Counter())
    _tell(record_property, name, f"one put, {rounds} each", total)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["seaweedfs", "ministack"])
def test_no_update_is_lost_between_a_put_and_an_upload(scale, running, builders, workers, name, record_property):
    """An hour that is about to grow large: some go by PUT, some by an upload, each in the way of that server."""
    stage = Stage(running(name), ONE, workers)
    total = sum((race(stage, builders, 3, uploading=2) for _ in range(scale.races)), Counter())
    _tell(record_property, name, "put against upload", total)


@pytest.mark.timeout(3600)
def test_no_update_is_lost_in_many_parts(scale, running, builders, workers, record_property):
    """Multipart uploads completed on condition."""
    stage = Stage(running("ministack"), STILL, workers)
    total = sum((race(stage, builders, 2) for _ in range(scale.races)), Counter())
    _tell(record_property, "ministack", "many parts", total)


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["seaweedfs", "ministack"])
def test_no_update_is_lost_in_a_large_hour(scale, running, builders, workers, name, record_property):
    """More than 16 MiB, committed in the way that each server honours."""
    case = large()
    stage = Stage(running(name), replace(case, after=case.before), workers)
    total = sum((race(stage, builders, 1) for _ in range(scale.large_races)), Counter())
    _tell(record_property, name, "large", total)


@pytest.mark.parametrize("name", ["seaweedfs", "ministack"])
def test_builders_that_ignore_if_match_are_noticed(running, builders, workers, name):
    """The judgement, proven by a race that is no luck: who looked before the others' sources were there writes last.

    Builders that heed it lose nothing in that race: all but the first to write look again.
    """
    stage = Stage(running(name), ONE, workers)
    assert race(stage, builders, IN_TURNS) == {"races": 1, "builds": RACERS, "tries": 2 * RACERS - 1}
    careless = replace(stage.set_up(), unconditional=True)
    with pytest.raises(BrokenPromiseError, match="is lost"):
        race(stage, builders, IN_TURNS, careless)


def _tell(record_property, name: str, what: str, total: Counter[str]) -> None:
    line = f"{name}, {what}: {dict(total)}"
    record_property("ran", line)
    sys.stdout.write(f"{line}\n")
