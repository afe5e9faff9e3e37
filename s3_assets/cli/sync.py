"""`sync`: find the hours of a range, look at each, and make them right. What `plan` does alike is here too."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from s3_assets.builder.reconcile import (
    HourFailure,
    make_right,
    observe,
    source_events,
    target_hours,
)
from s3_assets.cli.render import human_bytes, plain, print_tables, printable, said_when_slow, with_progress
from s3_assets.errors import S3AssetsError
from s3_assets.opening import open_pipeline
from s3_assets.plural import counted
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from s3_assets.builder.build import BuildOptions, HourResult
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.reconcile import Outcome
    from s3_assets.cli.options import Range
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.sources import Listing
    from s3_assets.store.contract import Store


def sync_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Make the hours right; the exit code."""
    with opened(hours) as (pipeline, found, listing):
        done, failures = _collect(make_right(pipeline, found, options), len(found))
        if as_json:
            click.echo(json.dumps(document(done, failures, listing), indent=2, ensure_ascii=False))
        else:
            _print_results(done, failures, listing)
    return 1 if failures else 0


def _collect(outcomes: Iterable[Outcome], total: int) -> tuple[list[dict[str, Any]], list[HourFailure]]:
    """What is to be printed of each hour, and the failures, by event and hour; ledgers are let go of at once."""
    done: list[dict[str, Any]] = []
    failures: list[HourFailure] = []
    for outcome in with_progress(outcomes, total):
        if isinstance(outcome, HourFailure):
            failures.append(outcome)
        else:
            done.append(_result_json(outcome))
    done.sort(key=lambda hour: (hour["event"], hour["hour"]))
    failures.sort(key=lambda failure: failure.hour)
    return done, failures


# --- finding hours -----------------------------------------------------------------------------------------


@contextmanager
def opened(
    hours: Range, *, wrap: Callable[[Store], Store] = lambda store: store
) -> Iterator[tuple[Pipeline, list[Hour], Listing]]:
    """An open pipeline, the hours of the range that have sources or an hour file, and the listing of the sources.

    An hour that lost all of its sources is looked at, too: whether something has to go, and what, only its ledger
    tells. `wrap` goes around each of the two stores, for one that counts.
    """
    settings = load_settings(os.environ)
    scope = hours.scope(settings, datetime.now(UTC))
    with open_pipeline(settings) as bare:
        pipeline = bare.with_stores(wrap(bare.source), wrap(bare.target))
        with said_when_slow(pipeline.source_uri("")):
            listing = observe(pipeline, scope)
        with said_when_slow(f"s3://{pipeline.target.bucket}/{pipeline.target_prefix}"):
            found = {*listing.hours, *target_hours(pipeline, scope)}
        if not listing.hours and not listing.rejected:
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


# --- saying ------------------------------------------------------------------------------------------------


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
        print_tables(table)
    bad = sum(result["quarantined"] for result in results)
    click.echo(
        f"{counted(len(results), 'hour')} right: {len(written):,} written, {len(results) - len(written):,} as they were"
        + (f"; {counted(bad, 'source')} quarantined (see `s3-assets show EVENT HOUR`)" if bad else "")
        + (f"; {len(failures)} failed" if failures else "")
    )
    print_end(failures, listing)


def print_end(failures: list[HourFailure], listing: Listing) -> None:
    """On stderr: keys that are no sources, and hours that failed."""
    if listing.rejected:
        click.echo(f"{counted(listing.rejected.total(), 'key')} not taken in:", err=True)
        for key, reason in listing.named:
            click.echo(f"  {key!r}: {reason}", err=True)
        if listing.rejected.total() > len(listing.named):
            click.echo(f"  and {listing.rejected.total() - len(listing.named)} more", err=True)
    if failures:
        click.echo(f"{counted(len(failures), 'hour')} failed:", err=True)
        for failure in failures:
            click.echo(f"  {printable(str(failure.hour))}: {printable(_error_text(failure))}", err=True)


def _error_text(failure: HourFailure) -> str:
    return failure.error.describe() if isinstance(failure.error, S3AssetsError) else repr(failure.error)


def document(hours: list[dict[str, Any]], failures: list[HourFailure], listing: Listing) -> dict[str, Any]:
    """What `--json` prints."""
    return {
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


def plan_json(plan: Plan) -> dict[str, Any]:
    """What is decided for one hour, as `plan` and `sync` tell it."""
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
        **plan_json(result.plan),
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
