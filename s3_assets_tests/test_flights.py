"""Real data, out of order and late: hour files hold exactly the flights, by airport and hour."""

from __future__ import annotations

import gzip
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from s3_assets.builder.pipeline import Pipeline, Workers
from s3_assets.builder.reconcile import HourFailure, Scope, make_right, observe, target_hours
from s3_assets.hour_file.changes import differs
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.sources import listing_fingerprint
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.demo.flights import ROWS, FlightObject, flight_objects, read_flights, rows_by_hour

if TYPE_CHECKING:
    from s3_assets.store.contract import Store

pytestmark = pytest.mark.xdist_group("flights")  # reading them takes seconds, once in a process

QUARTERS = (
    Scope("2013-01-01-00:00", "2013-03-31-23:00"),
    Scope("2013-04-01-00:00", "2013-06-30-23:00"),
    Scope("2013-07-01-00:00", "2013-09-30-23:00"),
    Scope("2013-10-01-00:00", "2013-12-31-23:00"),
)
"""The whole year."""

TWO_WEEKS = Scope("2013-01-01-00:00", "2013-01-14-23:00")
TWO_DAYS = Scope("2013-01-01-00:00", "2013-01-02-23:00")
MONTH = Scope("2013-01-01-00:00", "2013-01-31-23:00")
IN_A_SOAK = (pytest.mark.soak, pytest.mark.slow)


def length(scope: Scope) -> str:
    """Of a range, for the names of tests."""
    return f"{scope.first_label[:10]}, {len(scope.dates)} days"


def pipeline_over(source: Store, target: Store, workers: Workers) -> Pipeline:
    """The default rules for every event."""
    return Pipeline(
        source=source,
        source_prefix="source/",
        target=target,
        target_prefix="target/",
        grammar=KeyGrammar(),
        policy=lambda _event: EventPolicy(),
        workers=workers,
    )


def in_passes(objects: tuple[FlightObject, ...], late_share: float) -> list[list[FlightObject]]:
    """All objects, shuffled: most come first, a share of them late, a tenth of that share last of all."""
    order = list(objects)
    random.Random(13).shuffle(order)
    late = int(len(order) * late_share)
    last = late // 10
    return [order[late:], order[last:late], order[:last]]


def drop(pipeline: Pipeline, objects: list[FlightObject]) -> None:
    """Put source objects, many at once."""
    puts = [
        pipeline.workers.fetch.submit(pipeline.source.put, f"source/{each.key}", each.data, content_type="text/csv")
        for each in objects
    ]
    for put in puts:
        put.result()


def check_targets(pipeline: Pipeline, objects: tuple[FlightObject, ...], scope: Scope) -> Counter[bytes]:
    """Each hour file holds the header and its rows in order, there is no other; gives all rows that were found."""
    header, _ = read_flights()
    expected = rows_by_hour(objects)
    assert target_hours(pipeline, scope) == sorted(expected)
    found: Counter[bytes] = Counter()
    for hour, rows in expected.items():
        data = gzip.decompress(pipeline.target.get(pipeline.target_key(hour)).read())
        assert data == header + b"".join(rows), hour
        found.update(data.splitlines(keepends=True)[1:])
    return found


def differing(pipeline: Pipeline, scope: Scope, recorded: dict[Hour, str]) -> list[Hour]:
    """The hours whose sources are not those on record."""
    return [
        hour
        for hour, sources in observe(pipeline, scope).hours.items()
        if differs(
            listing_fingerprint(sources, pipeline.policy(hour.event).content_token()),
            recorded.get(hour),
            is_there=hour in recorded,
            policy=pipeline.policy(hour.event),
        )
    ]


def check_in_passes(
    pipeline: Pipeline, objects: tuple[FlightObject, ...], scope: Scope, *, late_share: float
) -> Counter[bytes]:
    """Drop pass after pass; what differs after each are its own hours, and in the end everything is there once."""
    recorded: dict[Hour, str] = {}
    for part in in_passes(objects, late_share):
        drop(pipeline, part)
        changed = differing(pipeline, scope, recorded)
        assert set(changed) == {each.hour for each in part}
        for outcome in make_right(pipeline, changed):
            assert not isinstance(outcome, HourFailure), outcome
            assert outcome.plan.writes
            recorded[outcome.hour] = outcome.plan.fingerprint
    assert differing(pipeline, scope, recorded) == []
    return check_targets(pipeline, objects, scope)


def test_flights_are_what_they_are_known_to_be():
    """336,776 rows, none quoted, each in exactly one source object."""
    header, rows = read_flights()
    assert header.startswith(b"year,month,day,")
    assert len(rows) == ROWS
    assert not any(b'"' in row for row in rows)
    assert sum(len(part.rows) for part in flight_objects()) == ROWS
    assert {part.hour.event for part in flight_objects()} == {"EWR", "JFK", "LGA"}


@pytest.mark.parametrize("some", [TWO_DAYS, pytest.param(TWO_WEEKS, marks=IN_A_SOAK)], ids=length)
def test_some_days_on_a_real_server(running, some):
    """In three passes out of order, on SeaweedFS: exactly their rows, in key order."""
    objects = tuple(part for part in flight_objects() if some.holds(part.hour))
    server = running("seaweedfs")
    bucket = server.new_bucket(versioned=True)
    with Workers() as workers:
        pipeline = pipeline_over(server.store(bucket), server.store(bucket), workers)
        found = check_in_passes(pipeline, objects, some, late_share=0.1)
    assert found == Counter(row for part in objects for row in part.rows)


@pytest.mark.parametrize("some", [MONTH, *(pytest.param(quarter, marks=IN_A_SOAK) for quarter in QUARTERS)], ids=length)
def test_months_in_memory(some):
    """In three passes out of order: each flight in the file of its airport and hour, none twice."""
    objects = tuple(part for part in flight_objects() if some.holds(part.hour))
    with Workers() as workers:
        pipeline = pipeline_over(MemoryStore("raw"), MemoryStore("hourly"), workers)
        found = check_in_passes(pipeline, objects, some, late_share=0.02)
    assert found == Counter(row for part in objects for row in part.rows)


def test_the_quarters_are_the_whole_year():
    """Together they hold all 336,776 rows, each once."""
    parts = [part for part in flight_objects() for quarter in QUARTERS if quarter.holds(part.hour)]
    assert Counter(row for part in parts for row in part.rows) == Counter(read_flights()[1])
    assert sum(len(part.rows) for part in parts) == ROWS
