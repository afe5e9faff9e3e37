"""`sync` and `plan`: find the hours of a range, look at each, and make them right or say what would be done."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from s3_assets.builder.reconcile import (
    HourFailure,
    make_right,
    observe,
    plan_all,
    source_events,
    target_hours,
)
from s3_assets.cli.render import console, human_bytes, plain, printable
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.plan import Verdict
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3_assets.builder.build import BuildOptions, HourResult
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.cli.options import Range
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.sources import Listing


T = TypeVar("T")


def sync_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Make the hours right; the exit code."""
    with _opened(hours, rebuild=options.rebuild) as (pipeline, found, listing):
        done, failures = _collect(make_right(pipeline, found, options), len(found), _result_json)
        if as_json:
            _print_json(done, failures, listing)
        else:
            _print_results(done, failures, listing)
    return 1 if failures else 0


def plan_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Say what would make the hours right; the exit code."""
    with _opened(hours, rebuild=options.rebuild) as (pipeline, found, listing):
        plans, failures = _collect(plan_all(pipeline, found, options), len(found), _plan_json)
        if as_json:
            _print_json(plans, failures, listing)
        else:
            _print_plans(plans, failures, listing)
    return 1 if failures or any(plan["verdict"] == Verdict.BREAKER for plan in plans) else 0


def _collect(
    outcomes: Iterable[T | HourFailure], total: int, told: Callable[[T], dict[str, Any]]
) -> tuple[list[dict[str, Any]], list[HourFailure]]:
    """What is to be printed of each hour, and the failures, by event and hour; ledgers are let go of at once."""
    done: list[dict[str, Any]] = []
    failures: list[HourFailure] = []
    for outcome in _with_progress("hours", outcomes, total):
        if isinstance(outcome, HourFailure):
            failures.append(outcome)
        else:
            done.append(told(outcome))
    done.sort(key=lambda hour: (hour["event"], hour["hour"]))
    failures.sort(key=lambda failure: failure.hour)
    return done, failures


# --- finding hours -----------------------------------------------------------------------------------------


@contextmanager
def _opened(hours: Range, *, rebuild: bool) -> Iterator[tuple[Pipeline, list[Hour], Listing]]:
    """An open pipeline, the hours of the range, and the listing they came from.

    Those that have sources; those that lost them and may have to go; and to `rebuild`, those that have an hour file.
    """
    settings = load_settings(os.environ)
    scope = hours.scope(settings, datetime.now(UTC))
    with open_pipeline(settings) as pipeline:
        listing = observe(pipeline, scope)
        found = set(listing.hours)
        if rebuild or any(policy.on_vanished == "drop" for policy in (*settings.events.values(), settings.defaults)):
            there = target_hours(pipeline, scope)
            found |= {hour for hour in there if rebuild or settings.policy(hour.event).on_vanished == "drop"}
        if not found and not listing.rejected:
            _say_nothing_found(pipeline, hours)
        listing.hours.clear()  # only its keys were needed, and there may be very many
        yield pipeline, sorted(found), listing


def _say_nothing_found(pipeline: Pipeline, hours: Range) -> None:
    """A mistyped prefix or event must not look like a job well done."""
    there = source_events(pipeline)
    click.echo(f"nothing found below {printable(pipeline.source_uri(''))} in this range", err=True)
    missing = [event for event in hours.events if event not in there]
    if missing:
        names = ", ".join(printable(event) for event in there[:20]) or "none"
        click.echo(f"no source of event {printable(', '.join(missing))}; there are: {names}", err=True)


def _with_progress(what: str, outcomes: Iterable[Any], total: int) -> Iterator[Any]:
    """The same outcomes, with a progress bar on stderr where that is a terminal."""
    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        yield from progress.track(outcomes, total=total, description=what)


# --- saying ------------------------------------------------------------------------------------------------


def _print_plans(plans: list[dict[str, Any]], failures: list[HourFailure], listing: Listing) -> None:
    writing = [plan for plan in plans if plan["writes"]]
    held = [plan for plan in plans if plan["verdict"] == Verdict.BREAKER]
    if writing or held:
        table = Table("event", "hour", "verdict", box=None, pad_edge=False)
        table.add_column("read", justify="right")
        table.add_column("why")
        for plan in sorted([*writing, *held], key=lambda plan: (plan["event"], plan["hour"])):
            size = human_bytes(plan["bytes_to_read"])
            table.add_row(plain(plan["event"]), plan["hour"], plan["verdict"], size, plain(plan["reason"]))
        console().print(table)
    total = sum(plan["bytes_to_read"] for plan in writing)
    click.echo(
        f"{len(writing)} of {len(plans) + len(failures)} hours would change; {human_bytes(total)} to read"
        + (f"; {len(held)} held by the breaker" if held else "")
        + (f"; {len(failures)} failed" if failures else "")
    )
    _print_end(failures, listing)


def _print_results(results: list[dict[str, Any]], failures: list[HourFailure], listing: Listing) -> None:
    written = [result for result in results if result["writes"]]
    if written:
        table = Table("event", "hour", "did", box=None, pad_edge=False)
        for name in ("sources", "rows", "bytes", "down", "up"):
            table.add_column(name, justify="right")
        table.add_column("why")
        for result in written:
            table.add_row(
                plain(result["event"]),
                result["hour"],
                result["verdict"],
                f"{result['sources']:,}",
                f"{result['rows']:,}",
                human_bytes(result["size"]),
                human_bytes(result["bytes_down"]),
                human_bytes(result["bytes_up"]),
                plain(result["reason"]),
            )
        console().print(table)
    bad = sum(result["quarantined"] for result in results)
    click.echo(
        f"{len(results)} hours right: {len(written)} written, {len(results) - len(written)} as they were"
        + (f"; {bad} sources quarantined (see `s3-assets show EVENT HOUR`)" if bad else "")
        + (f"; {len(failures)} failed" if failures else "")
    )
    _print_end(failures, listing)


def _print_end(failures: list[HourFailure], listing: Listing) -> None:
    if listing.rejected:
        click.echo(f"{listing.rejected.total()} keys not taken in:", err=True)
        for key, reason in listing.named:
            click.echo(f"  {key!r}: {reason}", err=True)
        if listing.rejected.total() > len(listing.named):
            click.echo(f"  and {listing.rejected.total() - len(listing.named)} more", err=True)
    if failures:
        click.echo(f"{len(failures)} hours failed:", err=True)
        for failure in failures:
            click.echo(f"  {printable(str(failure.hour))}: {printable(_error_text(failure))}", err=True)


def _error_text(failure: HourFailure) -> str:
    return failure.error.describe() if isinstance(failure.error, S3AssetsError) else repr(failure.error)


def _print_json(hours: list[dict[str, Any]], failures: list[HourFailure], listing: Listing) -> None:
    document = {
        "hours": hours,
        "failed": [
            {"event": failure.hour.event, "hour": failure.hour.label, "error": _error_text(failure)}
            for failure in failures
        ],
        "not_taken_in": {
            "count": listing.rejected.total(),
            "reasons": dict(listing.rejected),
            "first": [{"key": key, "reason": reason} for key, reason in listing.named],
        },
    }
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _plan_json(plan: Plan) -> dict[str, Any]:
    return {
        "event": plan.hour.event,
        "hour": plan.hour.label,
        "verdict": str(plan.verdict),
        "writes": plan.writes,
        "reason": plan.reason,
        "bytes_to_read": plan.bytes_to_read,
        "fingerprint": plan.fingerprint,
        "actions": [
            {"change": str(action.change), "key": action.key, "size": action.size, "reason": action.reason}
            for action in plan.actions
        ],
    }


def _result_json(result: HourResult) -> dict[str, Any]:
    down, up = _moved(result)
    ledger = result.ledger
    return {
        **_plan_json(result.plan),
        "sources": len(result.sources),
        "late": len(result.late),
        "rows": 0 if ledger is None else ledger.rows,
        "quarantined": 0 if ledger is None else len(ledger.quarantined),
        "size": result.size,
        "etag": result.etag,
        "bytes_down": down,
        "bytes_up": up,
        "bytes_copied": result.traffic_source.bytes_copied + result.traffic_target.bytes_copied,
        "segments_reused": result.reused,
        "segments_made": result.made,
        "seconds": round(result.seconds, 3),
    }


def _moved(result: HourResult) -> tuple[int, int]:
    """Bytes that this host read and sent."""
    both = (result.traffic_source, result.traffic_target)
    return sum(traffic.bytes_down for traffic in both), sum(traffic.bytes_up for traffic in both)
