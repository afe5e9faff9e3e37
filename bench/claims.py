"""What s3_assets is meant to reach, each as a number computed from results, a bound, and a plain verdict.

A bound says what was wanted before it was measured. One that is not met stays here, and says so.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.results import Results, Rounds

OURS, FAST, ON_AWS = "s3_assets", "s3_assets fast", "s3_assets as on AWS"
TODAY, SHELL, FLOOR = "today", "s5cmd, pigz", "floor"

BUILDS: Final = {"build_60": "60 x 1 MB", "build_1000": "1,000 x 10 KB"}
LATE: Final = {"late_100mb": "100 MB", "late_1gb": "1 GB"}
MIDDLE: Final = {"middle_100mb": "100 MB", "middle_1gb": "1 GB"}
MOST_MEMORY_MIB: Final = 150
LATE_MB: Final = 0.01


def median(rounds: Rounds, name: str) -> float:
    """Of one of their numbers."""
    return statistics.median(one[name] for one in rounds)


@dataclass(frozen=True, slots=True)
class Claim:
    """One of them.

    Attributes:
        words: What it says.
        bound: The number that it should be at most,
        at_least: or at least.
        measured: What it is, from medians.
        rounds: The same, round by round, where both sides ran as often.
        unit: Of the numbers; empty for a ratio.
    """

    words: str
    bound: float
    measured: float
    at_least: bool = False
    rounds: tuple[float, ...] = ()
    unit: str = "x"

    @property
    def is_met(self) -> bool:
        """The verdict."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def row(self) -> str:
        """As Markdown."""
        side = "at least" if self.at_least else "at most"
        spread = f"{min(self.rounds):.2f} to {max(self.rounds):.2f}" if len(self.rounds) > 1 else ""
        verdict = "met" if self.is_met else "**not met**"
        return f"| {self.words} | {side} {self.bound:g} {self.unit} | {self.measured:.2f} | {spread} | {verdict} |"


def claims(results: Results) -> Iterator[Claim]:
    """Of all that was measured; what was not is left out."""
    for name, about in BUILDS.items():
        yield from _of_build(results.get(name, {}), about)
    for name, about in LATE.items():
        yield from _of_late(results.get(name, {}), about)
    for name, about in MIDDLE.items():
        if rounds := results.get(name, {}).get(OURS):
            yield _client_bytes(rounds, f"one late file in the middle of {about}", 12)
            yield _memory(rounds, f"one late file in the middle of {about}")
    yield from _of_backfill(results.get("backfill", {}))
    yield from _of_tick(results.get("ticks_100k", {}))


def _of_build(of: dict[str, Rounds], about: str) -> Iterator[Claim]:
    for ours, than_today, than_shell in ((OURS, 3.5, 1.7), (FAST, 5, 2.2)):
        for other, bound in ((TODAY, than_today), (SHELL, than_shell)):
            if ours in of and other in of:
                yield _times(of, f"first build from {about}: time of `{other}` to `{ours}`", other, ours, bound)
        if ours in of:
            yield _memory(of[ours], f"first build from {about}, `{ours}`")
    if OURS in of and TODAY in of:
        words = f"first build from {about}: size to `gzip -9`"
        yield Claim(words, 1.01, median(of[OURS], "size_mb") / median(of[TODAY], "size_mb"))
    if FAST in of and FLOOR in of:
        cpu = {name: [one["cpu_s"] + one["server_cpu_s"] for one in of[name]] for name in (FAST, FLOOR)}
        words = f"first build from {about}: CPU of client and server, `{FAST}` to `{FLOOR}`"
        yield Claim(
            words, 2, statistics.median(cpu[FAST]) / statistics.median(cpu[FLOOR]), rounds=_pairs(cpu[FAST], cpu[FLOOR])
        )


def _of_late(of: dict[str, Rounds], about: str) -> Iterator[Claim]:
    words = f"one late file at the end of {about}"
    if OURS not in of:
        return
    yield _client_bytes(of[OURS], words, 0.3)
    yield _memory(of[OURS], words)
    if TODAY in of:
        yield _times(of, f"{words}: time of `{TODAY}` to `{OURS}`", TODAY, OURS, 15 if about == "100 MB" else 30)
    for name in (OURS, ON_AWS):
        if about == "1 GB" and {name, FLOOR} <= of.keys():
            ratio = median(of[name], "wall_s") / median(of[FLOOR], "wall_s")
            walls = [[one["wall_s"] for one in of[which]] for which in (name, FLOOR)]
            yield Claim(f"{words}: time of `{name}` to one copy by the server", 1.2, ratio, rounds=_pairs(*walls))


def _of_backfill(of: dict[str, Rounds]) -> Iterator[Claim]:
    if {"work", "dagster", "twice"} <= of.keys():
        hours = of["dagster"][0]["hours"]
        shares = [1 - work["wall_s"] / whole["wall_s"] for work, whole in zip(of["work"], of["dagster"], strict=False)]
        share = 1 - median(of["work"], "wall_s") / median(of["dagster"], "wall_s")
        rounds = tuple(100 * one for one in shares)
        words = f"{hours:,} hours in one run: Dagster's own share of the time"
        yield Claim(words, 20, 100 * share, rounds=rounds, unit="%")
        memory = [[one["memory_mib"] for one in of[kind]] for kind in ("twice", "dagster")]
        ratio = median(of["twice"], "memory_mib") / median(of["dagster"], "memory_mib")
        words = f"{2 * hours:,} hours in one run: memory to that for {hours:,}"
        yield Claim(words, 1.2, ratio, rounds=_pairs(*memory))


def _of_tick(of: dict[str, Rounds]) -> Iterator[Claim]:
    for tick in of.get(OURS, []):
        words = f"a tick over {tick['objects']:,} objects"
        yield Claim(words, 10, tick["wall_s"]["median"], unit="s")
        yield Claim(f"{words}: cores", 1, tick["cpu_s"]["median"] / tick["wall_s"]["median"], unit="")


def _times(of: dict[str, Rounds], words: str, slow: str, quick: str, bound: float) -> Claim:
    rounds = _pairs([one["wall_s"] for one in of[slow]], [one["wall_s"] for one in of[quick]])
    return Claim(words, bound, median(of[slow], "wall_s") / median(of[quick], "wall_s"), at_least=True, rounds=rounds)


def _client_bytes(rounds: Rounds, words: str, bound: float) -> Claim:
    moved = tuple(one["mb_down"] + one["mb_up"] - LATE_MB for one in rounds)
    return Claim(f"{words}: sent and received beyond the file itself", bound, statistics.median(moved), unit="MB")


def _memory(rounds: Rounds, words: str) -> Claim:
    return Claim(f"{words}: memory", MOST_MEMORY_MIB, max(one["memory_mib"] for one in rounds), unit="MiB")


def _pairs(some: list[float], others: list[float]) -> tuple[float, ...]:
    """Ratios round by round; none where one side ran less often."""
    return tuple(one / other for one, other in zip(some, others, strict=True)) if len(some) == len(others) else ()


def table(results: Results) -> str:
    """All of them as Markdown."""
    rows = [claim.row() for claim in claims(results)]
    head = ["| | wanted | measured | round by round | |", "|---|---|---:|---|---|"]
    return "\n".join([*head, *rows])
