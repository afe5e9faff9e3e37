"""What a plan is said to take is what the build then takes: every request and, but for compression, every byte."""

from __future__ import annotations

import random
from base64 import b85encode
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.builder.build import BuildOptions, plan_hour, see
from s3_assets.builder.estimate import expected_traffic
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store.metered import MeteredStore, Traffic
from s3_assets_tests.builder.bench import HOUR, Bench

if TYPE_CHECKING:
    from collections.abc import Callable

FAST = EventPolicy(compression="fast")
DROP = EventPolicy(on_vanished="drop", max_vanished_share=1.0)


def body(size: int, seed: int) -> bytes:
    """Rows of about `size` bytes that hardly compress."""
    text = b85encode(random.Random(seed).randbytes(size * 4 // 5)).replace(b",", b"~").replace(b'"', b"'")
    return b"id,n\n" + b"".join(b"%b,%d\n" % (text[at : at + 90], at) for at in range(0, len(text), 90))


def said_and_done(bench: Bench, **options: Any) -> tuple[Verdict, Traffic, Traffic]:
    """What planning and the estimate say that a build takes, and what it takes."""
    source, target = MeteredStore(bench.source), MeteredStore(bench.target)
    pipeline = bench.pipeline.with_stores(source, target)
    seen = see(pipeline, HOUR)
    plan = plan_hour(pipeline, HOUR, seen, BuildOptions(**options))
    rebuild = bool(options.get("rebuild"))
    expected = expected_traffic(plan, seen.target, bench.policy, rebuild=rebuild)
    said = total(source.traffic, target.traffic, expected)
    result = bench.build(**options)
    assert result.tries == 1
    return plan.verdict, said, total(result.traffic_source, result.traffic_target)


@pytest.fixture
def shrunk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tails and segments of a few kilobytes."""
    monkeypatch.setattr("s3_assets.builder.target.TAIL_BYTES", 3_000)
    monkeypatch.setattr("s3_assets.hour_file.layout.SEGMENT_BYTES", 10_000)
    monkeypatch.setattr("s3_assets.hour_file.layout.SMALL_SEGMENT_BYTES", 2_500)


def total(*some: Traffic) -> Traffic:
    """All together."""
    requests: Counter[str] = Counter()
    for one in some:
        requests.update(one.requests)
    sums = (sum(getattr(one, name) for one in some) for name in ("bytes_down", "bytes_up", "bytes_copied"))
    return Traffic(requests, *sums)


# --- hour files of one PUT -----------------------------------------------------------------------------------


def _nothing_new(bench: Bench) -> None:
    pass


def _late_at_the_end(bench: Bench) -> None:
    bench.put("07_59_late.csv", body(500, 9))


def _late_in_the_middle(bench: Bench) -> None:
    bench.put("07_15_late.csv", body(500, 9))


def _rewritten(bench: Bench) -> None:
    bench.put("07_20_c.csv", body(5_000, 9))


def _vanished(bench: Bench) -> None:
    bench.delete("07_10_b.csv")


def _all_vanished(bench: Bench) -> None:
    for name in ("07_00_a.csv", "07_10_b.csv", "07_20_c.csv", "07_30_d.csv"):
        bench.delete(name)


@pytest.mark.parametrize(
    "change",
    [_nothing_new, _late_at_the_end, _late_in_the_middle, _rewritten, _vanished, _all_vanished],
    ids=lambda change: change.__name__.strip("_"),
)
@pytest.mark.parametrize("policy", [EventPolicy(), EventPolicy(header=False), DROP], ids=["header", "bare", "drop"])
@pytest.mark.parametrize("size", [300, 2_000, 12_000], ids=["small", "beyond the tail", "a segment each"])
@pytest.mark.usefixtures("shrunk")
def test_every_request_of_a_small_hour_is_foreseen(
    workers, change: Callable[[Bench], None], policy: EventPolicy, size: int
) -> None:
    """The first build, the same after a change, and a rebuild; small files are at hand with their tail, others not."""
    bench = Bench(workers, policy)
    for number, name in enumerate(("07_00_a.csv", "07_10_b.csv", "07_20_c.csv", "07_30_d.csv")):
        bench.put(name, body(size, number))
    verdict, said, done = said_and_done(bench)
    assert verdict is Verdict.BUILD
    assert said.requests == done.requests
    assert said.bytes_down == done.bytes_down
    change(bench)
    for options in ({}, {"rebuild": True}):
        verdict, said, done = said_and_done(bench, **options)
        assert dict(said.requests) == dict(done.requests), (verdict, options)
        assert said.bytes_down == done.bytes_down
        assert said.bytes_up == pytest.approx(done.bytes_up, rel=0.15, abs=600)
        assert said.bytes_copied == done.bytes_copied == 0


def test_gzip_at_the_source_is_not_taken_to_shrink_again(workers) -> None:
    """As it is stored, so much is sent."""
    import gzip

    bench = Bench(workers)
    bench.put("07_00_a.csv.gz", gzip.compress(body(200_000, 1)))
    _, said, done = said_and_done(bench)
    assert said.bytes_up == pytest.approx(done.bytes_up, rel=0.15)


# --- large ones --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, size", [("07_59_late.csv", 500), ("07_25_late.csv", 500), ("07_20_big.csv", 50_000), ("07_05_late.csv", 90)]
)
@pytest.mark.usefixtures("shrunk")
def test_the_parts_of_a_large_hour_are_foreseen(workers, monkeypatch: pytest.MonkeyPatch, name, size) -> None:
    """Copied on the server, sent, and read to be sent with what is new; with sizes a thousandth of the real ones."""
    for module in ("commit", "estimate"):
        monkeypatch.setattr(f"s3_assets.builder.{module}.WHOLE_PUT_BYTES", 20_000)
        monkeypatch.setattr(f"s3_assets.builder.{module}.MIN_PART_BYTES", 5_000)
        monkeypatch.setattr(f"s3_assets.builder.{module}.PUT_PART_BYTES", 8_000)
        monkeypatch.setattr(f"s3_assets.builder.{module}.COPY_PART_BYTES", 30_000)
    monkeypatch.setattr("s3_assets.store.parts.MIN_PART_BYTES", 5_000)
    bench = Bench(workers, FAST)
    for index in range(1, 6):
        bench.put(f"07_{10 * index:02}_big.csv", body(40_000, index))
    bench.build()
    bench.put(name, body(size, 77))
    verdict, said, done = said_and_done(bench)
    assert verdict is Verdict.SPLICE
    assert done.requests["copy_part"] > 0
    assert dict(said.requests) == dict(done.requests)
    assert said.bytes_copied == pytest.approx(done.bytes_copied, rel=0.02)
    assert said.bytes_down == pytest.approx(done.bytes_down, rel=0.02, abs=300)
    assert said.bytes_up == pytest.approx(done.bytes_up, rel=0.1, abs=600)
