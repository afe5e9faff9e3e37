"""`sync` and `plan`: find the hours of a range, look at each, and make them right or say what would be done."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from s3_assets.builder.reconcile import HourFailure, Scope, make_right, observe, plan_all, target_hours
from s3_assets.cli.render import console, human_bytes, plain
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.keys import label_of
from s3_assets.hour_file.plan import Plan, Verdict
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from s3_assets.builder.build import BuildOptions, HourResult
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.cli.options import Range
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.sources import Listing


def sync_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Make the hours right; the exit code."""
    with _opened(hours) as (pipeline, found, listing):
        results: list[HourResult] = []
        failures: list[HourFailure] = []
        for outcome in _with_progress("hours", make_right(pipeline, found, options), len(found)):
            if isinstance(outcome, HourFailure):
                failures.append(outcome)
            else:
                results.append(outcome)
        results.sort(key=lambda result: result.hour)
        failures.sort(key=lambda failure: failure.hour)
        if as_json:
            _print_json([_result_json(result) for result in results], failures, listing)
        else:
            _print_results(results, failures, listing)
    return 1 if failures else 0


def plan_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Say what would make the hours right; the exit code."""
    with _opened(hours) as (pipeline, found, listing):
        plans: list[Plan] = []
        failures: list[HourFailure] = []
        for outcome in _with_progress("hours", plan_all(pipeline, found, options), len(found)):
            if isinstance(outcome, HourFailure):
                failures.append(outcome)
            else:
                plans.append(outcome)
        plans.sort(key=lambda plan: plan.hour)
        failures.sort(key=lambda failure: failure.hour)
        if as_json:
            _print_json([_plan_json(plan) for plan in plans], failures, listing)
        else:
            _print_plans(plans, failures, listing)
    return 1 if failures or any(plan.verdict is Verdict.BREAKER for plan in plans) else 0


# --- finding hours -----------------------------------------------------------------------------------------


@contextmanager
def _opened(hours: Range) -> Iterator[tuple[Pipeline, list[Hour], Listing]]:
    """An open pipeline, the hours of the range that have sources (or lost them), and the listing they came from."""
    settings = load_settings(os.environ)
    start = f"{settings.start_date:%Y-%m-%d}-00:00"
    now = label_of(datetime.now(UTC))
    scope = Scope(
        max(hours.first_label or start, start), min(hours.last_label or now, now), tuple(hours.events) or None
    )
    with open_pipeline(settings) as pipeline:
        listing = observe(pipeline, scope)
        found = set(listing.hours)
        dropping = [*settings.events.values(), settings.defaults]
        if any(policy.on_vanished == "drop" for policy in dropping):
            found |= {h for h in target_hours(pipeline, scope) if settings.policy(h.event).on_vanished == "drop"}
        yield pipeline, sorted(found), listing


def _with_progress(what: str, outcomes: Iterable[Any], total: int) -> Iterator[Any]:
    """The same outcomes, with a progress bar on stderr where that is a terminal."""
    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        yield from progress.track(outcomes, total=total, description=what)


# --- saying ------------------------------------------------------------------------------------------------


def _print_plans(plans: list[Plan], failures: list[HourFailure], listing: Listing) -> None:
    due = [plan for plan in plans if plan.writes or plan.verdict is Verdict.BREAKER]
    if due:
        table = Table("event", "hour", "verdict", "read", "why", box=None, pad_edge=False)
        for plan in due:
            table.add_row(
                plain(plan.hour.event),
                plan.hour.label,
                plan.verdict,
                human_bytes(plan.bytes_to_read),
                plain(plan.reason),
            )
        console().print(table)
    total = sum(plan.bytes_to_read for plan in due)
    click.echo(f"{len(due)} of {len(plans) + len(failures)} hours would change; {human_bytes(total)} to read")
    _print_end(failures, listing)


def _print_results(results: list[HourResult], failures: list[HourFailure], listing: Listing) -> None:
    written = [result for result in results if result.plan.writes]
    if written:
        table = Table("event", "hour", "did", "sources", "rows", "bytes", "down", "up", "why", box=None, pad_edge=False)
        for result in written:
            down, up = _moved(result)
            table.add_row(
                plain(result.hour.event),
                result.hour.label,
                result.plan.verdict,
                str(len(result.sources)),
                str(0 if result.ledger is None else result.ledger.rows),
                human_bytes(result.size),
                human_bytes(down),
                human_bytes(up),
                plain(result.plan.reason),
            )
        console().print(table)
    bad = sum(len(result.ledger.quarantined) for result in results if result.ledger is not None)
    click.echo(
        f"{len(results)} hours right: {len(written)} written, {len(results) - len(written)} as they were"
        + (f"; {bad} sources quarantined (see `s3-assets show EVENT HOUR`)" if bad else "")
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
            click.echo(f"  {failure.hour}: {_error_text(failure)}", err=True)


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
