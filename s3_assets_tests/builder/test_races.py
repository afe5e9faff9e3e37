"""Other builders and a store that fails, at the worst moments: the right rows or a typed error, nothing between."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.builder.build import MAX_TRIES, Pauses
from s3_assets.errors import (
    BodyCutError,
    ContendedError,
    PreconditionFailedError,
    S3AssetsError,
    StoreUnavailableError,
    UnreadableSourcesError,
    WriteConflictError,
)
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.contract import Download
from s3_assets_tests.builder.faults import ScriptedStore, fail

A, B, C = b"n\n1\n", b"n\n2\n", b"n\n3\n"


def another_adds(bench, name: str, data: bytes):
    """Another builder finds one more source and commits, from now on without a script."""

    def act() -> None:
        bench.put(name, data)
        other = bench.fresh()
        other.target = other.target_seen = bench.target
        other.build()

    return act


@pytest.mark.parametrize("first", [True, False])
def test_who_loses_the_race_plans_again_and_loses_nothing(bench, first):
    """Creating and replacing: the put of the slower one is refused, and its rows are added to the faster one's."""
    bench.put("07_00_a.csv", A)
    if not first:
        bench.build()
        bench.put("07_02_c.csv", C)
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("put", 1, another_adds(bench, "07_01_b.csv", B))
    result = bench.build()
    assert result.tries == 2
    assert bench.text() == (b"n\n1\n2\n" if first else b"n\n1\n2\n3\n")


def test_a_build_that_was_overtaken_finds_nothing_to_do(bench):
    """The faster one had all: no second write."""
    bench.put("07_00_a.csv", A)
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("put", 1, another_adds(bench, "07_00_a.csv", A))
    result = bench.build()
    assert (result.plan.verdict, result.tries, bench.writes()) == (Verdict.NOTHING, 2, 1)


@pytest.mark.parametrize(
    "error", [WriteConflictError("PutObject", "k", "409"), PreconditionFailedError("PutObject", "k", "412")]
)
def test_a_refused_write_is_tried_again(bench, error):
    """409 and 412 alike."""
    bench.put("07_00_a.csv", A)
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("put", 1, fail(error))
    assert bench.build().tries == 2
    assert bench.text() == b"n\n1\n"


def test_an_hour_file_that_grew_is_not_removed(bench):
    """Its last source went, and before the delete another builder added one: the delete is refused."""
    bench.policy = EventPolicy(on_vanished="drop", max_vanished_share=1.0)
    bench.put("07_00_a.csv", A)
    bench.build()
    bench.delete("07_00_a.csv")
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("delete", 1, another_adds(bench, "07_01_b.csv", B))
    result = bench.build()
    assert (result.plan.verdict, result.tries) == (Verdict.NOTHING, 2)
    assert bench.text() == b"n\n2\n"


def test_a_write_whose_answer_was_lost_is_found(bench):
    """The store retried it inside and then met its own write: 412, and yet all is well."""
    bench.put("07_00_a.csv", A)
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.after("put", 1, fail(PreconditionFailedError("PutObject", "k", "412")))
    result = bench.build()
    assert (result.plan.verdict, result.tries, bench.writes()) == (Verdict.NOTHING, 2, 1)
    assert result.etag == bench.info().etag


def test_an_hour_that_others_keep_changing_is_left_to_the_next_look(bench):
    """After a bounded number of tries, with growing pauses."""
    bench.put("07_00_a.csv", A)
    scripted = bench.target_seen = ScriptedStore(bench.target)
    for number in range(1, MAX_TRIES + 1):
        scripted.before("put", number, fail(WriteConflictError("PutObject", "k", "409")))
    with pytest.raises(ContendedError):
        bench.build()
    assert bench.writes() == 0
    assert bench.build().tries == 1


def test_pauses_grow_and_are_bounded():
    """At most 50 ms at first, two seconds in the end, a random share of it."""
    taken: list[float] = []
    pauses = Pauses(sleep=taken.append)
    for _ in range(200):
        pauses.take()
    assert taken[0] <= 0.05
    assert max(taken) <= 2
    assert len(set(taken)) > 100


def test_a_target_that_vanishes_while_it_is_read_is_planned_anew(bench):
    """Deleted by hand between the plan and the read of a segment that was to stand: built from the sources."""
    bench.policy = EventPolicy(header=False)
    rows = b"".join(b"%d\n" % (number * 7919 % 100_003) for number in range(200_000))
    bench.put("07_00_a.csv", rows)
    bench.build()
    bench.put("07_01_b.csv", b"5\n")
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("get", 2, lambda: bench.target.delete(bench.key()))
    result = bench.build()
    assert (result.plan.verdict, result.tries) == (Verdict.BUILD, 2)
    assert bench.text() == rows + b"5\n"


def test_a_target_that_changes_between_the_two_reads_of_a_large_ledger_is_read_again(bench):
    """Its ledger is never put together from two versions."""
    bench.policy = EventPolicy(header=False)
    for number in range(2500):
        bench.put(f"07_00_{number * 7919 % 100_003}_{number}.csv", b"%d\n" % number)
    bench.build()
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("get", 2, another_adds(bench, "07_01_b.csv", b"2500\n"))
    result = bench.build()
    assert result.plan.verdict is Verdict.NOTHING
    assert len(bench.text().split()) == 2501
    scripted = bench.target_seen = ScriptedStore(bench.target)
    scripted.before("get", 2, lambda: bench.target.delete(bench.key()))
    assert bench.build().plan.verdict is Verdict.BUILD


def test_a_download_that_breaks_off_is_no_short_source(bench):
    """Nothing is written from half a source, nor is it quarantined."""
    bench.put("07_00_a.csv", A)
    bench.put("07_01_b.csv", B)

    class Cut(ScriptedStore):
        def get(self, key, **options):
            whole = self.inner.get(key, **options)
            return Download(whole.info, whole.start, whole.stop, [whole.read()[:-2]])

    bench.source_seen = Cut(bench.source)
    with pytest.raises(BodyCutError):
        bench.build()
    assert bench.writes() == 0


def test_a_listing_that_breaks_off_is_no_deletion(bench):
    """Under drop with the breaker wide open: what was not listed is unknown, not gone."""
    bench.policy = EventPolicy(on_vanished="drop", max_vanished_share=1.0)
    bench.put("07_00_a.csv", A)
    bench.put("07_01_b.csv", B)
    bench.build()

    class Broken(ScriptedStore):
        def list(self, prefix):
            yield next(self.inner.list(prefix))
            raise StoreUnavailableError("ListObjectsV2", prefix, "503")

    bench.source_seen = Broken(bench.source)
    with pytest.raises(StoreUnavailableError):
        bench.build()
    assert bench.writes() == 1
    assert bench.text() == b"n\n1\n2\n"


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("kind", ["list", "get", "put"])
@pytest.mark.parametrize("late", [False, True])
def test_a_store_that_fails_anywhere_leaves_the_hour_whole(bench, side, kind, late):
    """Whatever call fails first: a typed error, and the next build completes it.

    Nothing is written, but where one of two sources can't be read: the hour file has the other, and the error says so.
    """
    bench.put("07_00_a.csv", A)
    if late:
        bench.build()
    before = bench.writes()
    bench.put("07_01_b.csv", B)
    scripted = ScriptedStore(bench.source if side == "source" else bench.target)
    setattr(bench, f"{side}_seen", scripted)
    error = StoreUnavailableError("call", "k", "503")
    scripted.before(kind, 1, fail(error))
    if kind in {"source": {"list", "get"}, "target": {"get", "put"}}[side]:
        with pytest.raises((StoreUnavailableError, UnreadableSourcesError)) as caught:
            bench.build()
        if isinstance(caught.value, UnreadableSourcesError):
            assert (side, kind) == ("source", "get")
            assert list(caught.value.unreadable.values()) == [error]
            assert bench.text() in (b"n\n1\n", b"n\n2\n")
            assert bench.writes() == 1
        else:
            assert caught.value is error
            assert bench.writes() == before
    bench.build()
    assert bench.text() == b"n\n1\n2\n"


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["get", "put"]),
            st.integers(1, 4),
            st.sampled_from(["add", "409", "503", "lost"]),
            st.sampled_from(["source", "target"]),
        ),
        max_size=6,
    )
)
def test_any_script_of_faults_ends_in_all_rows(workers, script):
    """Others commit, the store refuses, fails, or does its work and says that it did not: nothing lost or doubled."""
    from s3_assets_tests.builder.bench import Bench

    bench = Bench(workers)
    for number in range(4):
        bench.put(f"07_00_{number}.csv", b"n\n%d\n" % number)
    bench.build()
    bench.put("07_00_4.csv", b"n\n4\n")
    stores = {"source": ScriptedStore(bench.source), "target": ScriptedStore(bench.target)}
    bench.source_seen, bench.target_seen = stores["source"], stores["target"]
    for at, (kind, number, fault, side) in enumerate(script):
        if fault == "add":
            stores[side].before(kind, number, another_adds(bench, f"07_00_{10 + at}.csv", b"n\n%d\n" % (10 + at)))
        elif fault == "409":
            stores["target"].before("put", number, fail(WriteConflictError("PutObject", "k", "409")))
        elif fault == "503":
            stores[side].before(kind, number, fail(StoreUnavailableError("call", "k", "503")))
        else:
            stores["target"].after("put", number, fail(PreconditionFailedError("PutObject", "k", "412")))
    for _ in range(40):
        try:
            if bench.build().plan.verdict is Verdict.NOTHING:
                break
        except S3AssetsError:
            continue
    listed = [info.key for info in bench.source.list("source/")]
    assert sorted(int(row) for row in bench.text().split()[1:]) == sorted(
        int(key.rpartition("_")[2].removesuffix(".csv")) for key in listed
    )
    full = bench.fresh()
    full.build()
    assert full.text() == bench.text()


def test_builders_side_by_side_lose_nothing(bench):
    """Eight at once on one hour, each seeing more sources than the last."""
    bench.put("07_00_0.csv", b"n\n0\n")
    errors: list[BaseException] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        try:
            start.wait()
            for step in range(4):
                bench.put(f"07_{number:02}_{step}.csv", b"n\n%d\n" % (10 * number + step))
                try:
                    bench.build()
                except ContendedError:
                    continue
        except BaseException as error:  # noqa: BLE001  (told below)
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    bench.build()
    expected = [0, *(10 * number + step for number in range(1, 9) for step in range(4))]
    assert [int(row) for row in bench.text().split()[1:]] == expected
