"""Builders killed before and after each request they make: readers see whole files, and the next run is right."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Self

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets.errors import NotFoundError, StoreUnavailableError
from s3_assets.hour_file.plan import Verdict
from s3_assets_tests.soak.cases import HOUR, PARTS, SMALL, Case, Stage, large, rows
from s3_assets_tests.soak.child import Builders
from s3_assets_tests.soak.chronicle import BrokenPromiseError, expect, ledger_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets_tests.soak.child import Site


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


class Reader:
    """Reads an hour file over and over, as others do, and judges all that it saw.

    Attributes:
        reads: How often it read a whole file.
    """

    def __init__(self, stage: Stage, site: Site) -> None:
        self._store = site.store()
        self._key = stage.target_key(site)
        self._rewritten = {name for name, data in stage.case.before.items() if stage.case.after.get(name) != data}
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._seen: list[bytes] = []
        self._error: BaseException | None = None
        self.reads = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._end.set()
        self._thread.join()

    def _read(self) -> None:
        try:
            while True:
                last = self._end.is_set()
                try:
                    data = self._store.get(self._key).read()
                    if not self._seen or data != self._seen[-1]:
                        self._seen.append(data)
                    self.reads += 1
                except (NotFoundError, StoreUnavailableError):  # a typed error is no half file
                    pass
                if last:
                    return
                self._end.wait(0.003)
        except BaseException as error:  # noqa: BLE001  (told below)
            self._error = error

    @property
    def running(self) -> bool:
        """Whether it still reads."""
        return self._thread.is_alive()

    def judge(self) -> int:
        """Each version was whole and held what the one before it did; how many there were."""
        assert self._error is None, self._error
        before: dict[str, str] = {}
        for data in self._seen:
            held = {source.key: source.etag for source in ledger_of(data).held}
            for key, etag in before.items():
                if key.rpartition("/")[2] not in self._rewritten:
                    expect(held.get(key) == etag, f"{key} was in the hour file, and is not any more")
            before = held
        return len(self._seen)


def kill_at_each(stage: Stage, builders: Builders, every: int) -> tuple[Counter[str], Counter[str]]:
    """Kill a builder at each point, or each so manieth; after which requests, and what was left on the server."""
    calls = builders.build(stage.set_up())["calls"]
    points = [(number, when) for number in range(1, len(calls) + 1) for when in ("before", "after")]
    killed: Counter[str] = Counter()
    left: Counter[str] = Counter()
    for number, when in points[min((every - 1) // 2, len(points) // 2) :: every]:
        site = stage.set_up()
        with Reader(stage, site) as reader:
            result = builders.build(site, kill=(number, when))
            if "killed" in result:  # else its threads made fewer requests this time
                assert result["killed"] == signal.SIGKILL
                killed[f"{when} {calls[number - 1]}"] += 1
            stage.build(site)
        reader.judge()
        assert stage.text(site) == stage.expected, f"killed {when} request {number}, {calls[number - 1]}"
        assert stage.build(site) in (Verdict.NOTHING, Verdict.EMPTY)
        left.update(clear(stage, site))
    return killed, left


def clear(stage: Stage, site: Site) -> Counter[str]:
    """What a killed builder left beside the hour file: found by its key, and thrown away."""
    key = stage.target_key(site)
    left: Counter[str] = Counter()
    for upload in list(stage.store.list_uploads(key)):
        stage.store.abort_upload(upload)
        left["open uploads" if upload.upload_id else "staged objects"] += 1
    assert list(stage.store.list_uploads(key)) == []
    assert list(stage.store.list(f".s3_assets-staging/{key}")) == []
    return left


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("case", SMALL, ids=lambda case: case.name)
@pytest.mark.parametrize("name", ["seaweedfs", pytest.param("ministack", marks=pytest.mark.soak)])
def test_a_killed_builder_of_a_small_hour_harms_nothing(scale, running, builders, workers, name, case, record_property):
    """One PUT, or one DELETE: nothing is left of it at all."""
    killed, left = kill_at_each(Stage(running(name), case, workers), builders, scale.every_small)
    _tell(record_property, name, case, killed, left)
    assert killed
    assert not left


@pytest.mark.timeout(3600)
def test_a_killed_builder_of_many_parts_harms_no_row(scale, running, builders, workers, record_property):
    """A multipart upload: what it leaves is found under the hour file's key, and no reader ever sees it."""
    every = 1 if scale.full else 7
    killed, left = kill_at_each(Stage(running("ministack"), PARTS, workers), builders, every)
    _tell(record_property, "ministack", PARTS, killed, left)
    assert killed


@pytest.mark.soak
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", ["seaweedfs", "ministack"])
def test_a_killed_builder_of_a_large_hour_harms_no_row(scale, running, builders, workers, name, record_property):
    """More than 16 MiB, parts copied on the server, committed in the way that each server honours."""
    case = large()
    killed, left = kill_at_each(Stage(running(name), case, workers), builders, scale.every_large)
    _tell(record_property, name, case, killed, left)
    assert killed


def test_the_next_build_aborts_what_a_killed_one_left_open(running, builders, workers):
    """Not at once, as a living builder may be using it; once half a day has gone by."""
    stage = Stage(running("ministack"), PARTS, workers)
    calls = builders.build(stage.set_up())["calls"]
    site = stage.set_up()
    key = stage.target_key(site)
    number = calls.index("CompleteMultipartUpload") + 1
    assert "killed" in builders.build(site, kill=(number, "before"))
    [left] = stage.store.list_uploads(key)
    assert builders.build(site)["verdict"] == Verdict.SPLICE
    assert list(stage.store.list_uploads(key)) == [left]
    other = replace(site, source_prefix=f"{site.target_prefix}more/", clock_ahead_s=12 * 3600 + 60)
    stage.store.put(f"{other.source_prefix}{HOUR.event}/{HOUR.date}/07_59_z.csv", b"n,x\n" + rows(90))
    assert "CompleteMultipartUpload" in builders.build(other)["calls"]
    assert list(stage.store.list_uploads(key)) == []


def test_the_reader_notices_a_file_that_is_written_in_two(running, workers):
    """The reader's judgement, proven on half a file and on one that lost a source."""
    stage = Stage(running("ministack"), SMALL[1], workers)
    site = stage.set_up()
    with Reader(stage, site) as reader:
        stage.build(site)
    assert reader.judge() >= 1
    whole = stage.store.get(stage.target_key(site)).read()
    reader._seen.append(whole[: len(whole) // 2])
    with pytest.raises(Exception, match="no ledger"):
        reader.judge()
    small = Stage(running("ministack"), Case("less", {}, {"07_10_b.csv": b"1,2\n"}), workers)
    other = small.set_up()
    small.build(other)
    with Reader(stage, site) as reader:
        builders_put(stage, site, small.store.get(small.target_key(other)).read(), reader)
    with pytest.raises(BrokenPromiseError, match="not any more"):
        reader.judge()


def builders_put(stage: Stage, site: Site, data: bytes, reader: Reader) -> None:
    """Replace the hour file once the reader saw it."""
    while not reader.reads and reader.running:
        os.sched_yield()
    stage.store.put(stage.target_key(site), data)


def _tell(record_property, name: str, case: Case, killed: Counter[str], left: Counter[str]) -> None:
    line = f"{name}, {case.name}: {killed.total()} kills {dict(killed)}; left behind: {dict(left)}"
    record_property("ran", line)
    sys.stdout.write(f"{line}\n")
