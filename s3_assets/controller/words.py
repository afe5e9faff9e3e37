"""What a tick says: one line, short and in words, and what there is to say about single keys, units and hours."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3_assets.controller.outcome import Report
    from s3_assets.controller.records import Failing

NAMED = 5
"""How many hours, keys or events are named; the rest is counted."""


def in_words(report: Report, new_events: list[str], hints: str = "") -> str:
    """The tick's message.

    Args:
        report: Of the tick.
        new_events: Partition keys added.
        hints: What there is to say about hints; empty for nothing.
    """
    said = [hints] if hints else []
    if report.at is not None or report.hours:
        said.append(f"{report.sources:,} source objects listed in {_count(report.hours, 'hour')}")
        said += _what_differs(report)
    if new_events:
        said.append(f"new events: {_some(new_events)}")
    if report.strays.total:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report.strays.reasons.most_common(NAMED))
        said.append(f"{report.strays.total} keys or folders not taken in ({reasons})")
    if report.failures:
        names = _some([name for name, _ in report.failures])
        said.append(f"{len(report.failures)} could not be listed ({names}), nothing is concluded about them")
    if report.too_large:
        said.append(f"too large for one tick, taken in pieces: {_some(map(str, report.too_large))}")
    if report.at is not None:
        said.append(_sweep(report))
    if not report.hot_is_whole:
        said.append("no time for all recent dates, the next tick goes on there")
    limits = report.limits
    said.append(f"{report.seconds:.1f} of {limits.seconds:g} s, {report.requests} of {limits.requests} requests")
    return "; ".join(said)


def _what_differs(report: Report) -> Iterator[str]:
    differing = report.asked + report.left + len(report.under_way) + len(report.of_lost_runs)
    differing += len(report.resting) + len(report.stuck)
    if not differing:
        yield "none differs from what was last made"
        return
    yield f"{_count(differing, 'hour')} not right"
    if report.asked:
        yield f"asked for {report.asked} in {_count(report.runs, 'run')}"
    if report.under_way:
        yield f"{len(report.under_way)} under way"
    if report.left:
        yield f"{report.left} left for later: enough runs for now"
    if report.of_lost_runs:
        yield f"{len(report.of_lost_runs)} rest for a moment: their run was lost"
    if report.resting:
        first = min(failing.next_try for failing in report.resting)
        names = _some(str(failing.hour) for failing in report.resting)
        yield f"{len(report.resting)} rest after failing, the first until {first:%H:%M:%S} UTC ({names})"
    if report.stuck:
        names = _some(f"{failing.hour}: {failing.error}" for failing in report.stuck)
        yield f"{len(report.stuck)} stuck until somebody does something ({names})"


def details(report: Report) -> Iterator[str]:
    """Lines for the tick's log: what a person would ask about next."""
    if report.strays.named:
        named = "".join(f"\n  {key!r}: {reason}" for key, reason in report.strays.named)
        more = report.strays.total - len(report.strays.named)
        yield f"not taken in:{named}" + (f"\n  and {more} more" if more else "")
    if report.failures:
        named = "".join(f"\n  {name}: {error.describe()}" for name, error in report.failures[:NAMED])
        yield f"could not be listed:{named}"
    failing = [*report.stuck, *report.resting]
    if failing:
        yield "failing:" + "".join(f"\n  {_failing(one)}" for one in failing[: 2 * NAMED])


def _failing(failing: Failing) -> str:
    tries = "once" if failing.tries == 1 else f"{failing.tries} times"
    until = f"next try after {failing.next_try:%Y-%m-%d %H:%M:%S}, or when its hour file is replaced"
    return f"{failing.hour}: {failing.words}; {tries} since {failing.since:%Y-%m-%d %H:%M:%S}; {until} (UTC)"


def _sweep(report: Report) -> str:
    if report.swept_all:
        return "the sweep looked at everything"
    whole = "" if report.round_s is None else f", a whole round takes about {_duration(report.round_s)}"
    if report.waits:
        at = f" at {report.at}" if report.at is not None and report.at.event else ""
        return f"the sweep waits{at} until fewer runs are under way{whole}"
    looked = f"the sweep looked at {_count(report.swept, 'period')}"
    if report.at is None or not report.at.event:
        return f"{looked}, and so ended its round{whole}"
    return f"{looked}, is {report.progress:.0%} round, goes on at {report.at}{whole}"


def _duration(seconds: float) -> str:
    whole = timedelta(seconds=round(seconds))
    if whole < timedelta(minutes=2):
        return f"{seconds:.0f} s"
    if whole < timedelta(hours=2):
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:NAMED]) + (", …" if len(every) > NAMED else "")
