"""What the benchmarks' document says of bounds is computed from results, and says so when one is not met."""

from __future__ import annotations

from typing import Any

import pytest

from bench.claims import FAST, FLOOR, OURS, SHELL, TODAY, claims, table


def one(wall_s: float, **numbers: float) -> dict[str, Any]:
    """A result of one round."""
    usual = {"cpu_s": 1.0, "server_cpu_s": 1.0, "mb_down": 0.1, "mb_up": 0.1, "memory_mib": 60.0, "size_mb": 10.0}
    return {**usual, "wall_s": wall_s, **numbers}


def measured(results: dict[str, Any], words: str) -> tuple[float, bool]:
    """Of the one claim with these words, and whether it is met."""
    [claim] = [claim for claim in claims(results) if words in claim.words]
    return claim.measured, claim.is_met


@pytest.mark.parametrize("ours, is_met", [(2.0, True), (3.0, False)])
def test_a_time_is_a_ratio_of_medians(ours: float, is_met: bool) -> None:
    """One bad round does not decide; the rounds' own ratios are told beside it."""
    of = {OURS: [one(ours), one(ours), one(100.0)], TODAY: [one(9.0), one(9.0), one(9.0)]}
    assert measured({"build_60": of}, "time of `today` to `s3_assets`") == (9.0 / ours, is_met)
    assert f"0.09 to {9 / ours:.2f}" in table({"build_60": of})


@pytest.mark.parametrize(
    "of, words, value, is_met",
    [
        ({OURS: [one(1, size_mb=10.2)], TODAY: [one(9)]}, "size to `gzip -9`", 1.02, False),
        ({FAST: [one(1, cpu_s=4.0)], FLOOR: [one(1)]}, "CPU of client and server", 2.5, False),
        ({FAST: [one(1, cpu_s=2.0)], FLOOR: [one(1)]}, "CPU of client and server", 1.5, True),
        ({OURS: [one(1, memory_mib=100), one(1, memory_mib=151)]}, "memory", 151, False),
    ],
    ids=["size", "CPU beyond", "CPU", "one round's memory"],
)
def test_a_build_is_judged_by_what_it_took(of: dict[str, Any], words: str, value: float, is_met: bool) -> None:
    """Of memory, by the worst round."""
    assert measured({"build_60": of}, words) == (pytest.approx(value), is_met)


@pytest.mark.parametrize("part, bound", [("late_100mb", 0.3), ("middle_100mb", 12)])
def test_bytes_of_a_late_file_count_in_both_directions(part: str, bound: float) -> None:
    """Beyond its own 10 KB."""
    for beyond, is_met in ((-0.01, True), (0.01, False)):
        moved = (bound + beyond + 0.01) / 2
        results = {part: {OURS: [one(1, mb_down=moved, mb_up=moved)]}}
        assert measured(results, "sent and received") == (pytest.approx(bound + beyond), is_met)


def test_dagsters_share_and_the_memory_of_many_hours() -> None:
    """Twice the hours in twice the memory is growth."""
    of = {
        "work": [{"wall_s": 7.0}],
        "dagster": [{"wall_s": 10.0, "memory_mib": 40.0, "hours": 1000}],
        "twice": [{"wall_s": 20.0, "memory_mib": 80.0}],
    }
    assert measured({"backfill": of}, "own share") == (pytest.approx(30), False)
    assert measured({"backfill": of}, "memory") == (2, False)


def test_a_tick_is_judged_by_time_and_cores() -> None:
    """Both from medians."""
    tick = {"objects": 100_000, "wall_s": {"median": 9.0}, "cpu_s": {"median": 9.9}}
    results = {"ticks_100k": {OURS: [tick]}}
    assert measured(results, "cores") == (pytest.approx(1.1), False)
    assert [claim.measured for claim in claims(results)] == [9.0, pytest.approx(1.1)]


def test_what_was_not_measured_is_not_claimed() -> None:
    """Neither met nor not met."""
    assert list(claims({})) == []
    assert list(claims({"build_60": {TODAY: [one(9)], SHELL: [one(4)]}, "late_1gb": {TODAY: [one(9)]}})) == []
