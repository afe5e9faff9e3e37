"""`sync`: find the hours of a range, look at each, and bring them up to date. What `plan` does alike is here too."""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from s3_assets.builder.history import Changes, leaving, made_changes
from s3_assets.builder.left_out import LeftOut, left_out
from s3_assets.builder.reconcile import HourFailure, make_right, observe, target_hours
from s3_assets.cli.options import refuse_unknown_events
from s3_assets.cli.render import human_bytes, plain, print_tables, printable, said_when_slow, with_progress
from s3_assets.errors import S3AssetsError, quoted, shortened
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
    from s3_assets.hour_file.ledger import Ledger
    from s3_assets.hour_file.plan import Plan
    from s3_assets.hour_file.sources import Listing
    from s3_assets.store.contract import Store


MOST_ERROR_WORDS = 600
"""Characters that are shown of an error that nobody foresaw."""


def sync_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Bring the hours up to date; the exit code."""
    with opened(hours) as (pipeline, found, listing):
        done = _collect(make_right(pipeline, found, options), len(found))
        if as_json:
            told = {**document(done.hours, done.failures, listing), **done.changes.document()}
            click.echo(json.dumps(told | {"left_out": done.left.document()}, indent=2, ensure_ascii=False))
        else:
            _print_results(done, listing)
    return 1 if done.failures else 0


@dataclass(slots=True)
class _Done:
    """What came out.

    Attributes:
        hours: What is to be printed of each, by event and hour.
        failures: Those that failed, by event and hour.
        changes: The rows that came and left, of all hours.
        left: What all of them leave out or keep.
    """

    hours: list[dict[str, Any]] = field(default_factory=list)
    failures: list[HourFailure] = field(default_factory=list)
    changes: Changes = field(default_factory=Changes)
    left: LeftOut = field(default_factory=LeftOut)


def _collect(outcomes: Iterable[Outcome], total: int) -> _Done:
    """All outcomes; ledgers are let go of at once."""
    done = _Done()
    for outcome in with_progress(outcomes, total):
        if isinstance(outcome, HourFailure):
            done.failures.append(outcome)
            continue
        changes = made_changes(outcome)
        left = left_out(outcome.left_out, outcome.plan.vanished, outcome.sources, outcome.doubtful)
        done.hours.append(_result_json(outcome, changes, left))
        done.changes += changes
        done.left += left
    done.hours.sort(key=lambda hour: (hour["event"], hour["hour"]))
    done.failures.sort(key=lambda failure: failure.hour)
    return done


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
        refuse_unknown_events(pipeline, {*hours.events} - {hour.event for hour in found})
        if not listing.hours and not listing.rejected:  # a mistyped prefix must not look like a job well done
            click.echo(f"nothing found below {printable(pipeline.source_uri(''))} in this range", err=True)
        listing.hours.clear()  # only its keys were needed, and there may be very many
        yield pipeline, sorted(found), listing


# --- saying ------------------------------------------------------------------------------------------------


def _print_results(done: _Done, listing: Listing) -> None:
    written = [result for result in done.hours if result["writes"]]
    if written:
        table = Table("event", "hour", "did", box=None, pad_edge=False)
        for name in ("sources", "rows", "added", "removed", "bytes", "down", "up"):
            table.add_column(name, justify="right")
        table.add_column("why")
        for result in written:
            table.add_row(
                plain(result["event"]),
                result["hour"],
                result["verdict"],
                f"{result['sources']:,}",
                f"{result['rows']:,}",
                f"{result['rows_added']:+,}" if result["rows_added"] else "",
                f"{-result['rows_removed']:+,}" if result["rows_removed"] else "",
                human_bytes(result["size"]),
                human_bytes(result["bytes_down"]),
                human_bytes(result["bytes_up"]),
                plain(result["reason"]),
            )
        print_tables(table)
        click.echo(printable(f"{counted(len(written), 'hour')} written: {done.changes.sentence()}"))
    click.echo(
        f"{counted(len(done.hours), 'hour')} up to date: {len(written):,} written, "
        f"{len(done.hours) - len(written):,} as they were"
        + (f"; {len(done.failures):,} failed" if done.failures else "")
    )
    print_left_out(done.left)
    print_end(done.failures, listing)


def print_left_out(left: LeftOut) -> None:
    """What hours that are up to date leave out or keep all the same, and what would change that."""
    for clause, (_, change) in zip(left.clauses(short=False), left.changed_by(), strict=True):
        click.echo(printable(f"  {clause}; {change}"))


def print_end(failures: list[HourFailure], listing: Listing) -> None:
    """On stderr: keys that are not sources, and hours that failed."""
    if listing.rejected:
        click.echo(f"{counted(listing.rejected.total(), 'key')} not ingested:", err=True)
        for key, reason in listing.named:
            click.echo(f"  {quoted(key)}: {reason}", err=True)
        if listing.rejected.total() > len(listing.named):
            click.echo(f"  and {listing.rejected.total() - len(listing.named)} more", err=True)
    if failures:
        click.echo(f"{counted(len(failures), 'hour')} failed:", err=True)
        for failure in failures:
            click.echo(f"  {printable(str(failure.hour))}: {printable(error_text(failure.error))}", err=True)


def error_text(error: BaseException) -> str:
    """What to say of an error: its own words where it is ours, else what Python shows of it, shortened."""
    return error.describe() if isinstance(error, S3AssetsError) else shortened(repr(error), MOST_ERROR_WORDS)


def document(hours: list[dict[str, Any]], failures: list[HourFailure], listing: Listing) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "hours": hours,
        "failed": [
            {"event": failure.hour.event, "hour": failure.hour.label, "error": error_text(failure.error)}
            for failure in failures
        ],
        "not_taken_in": {
            "count": listing.rejected.total(),
            "reasons": dict(listing.rejected),
            "first": [{"key": key, "reason": reason} for key, reason in listing.named],
        },
    }


def plan_json(plan: Plan, ledger: Ledger | None) -> dict[str, Any]:
    """What is decided for one hour whose hour file has that ledger, as `plan` and `sync` report it."""
    return {
        "event": plan.hour.event,
        "hour": plan.hour.label,
        "verdict": str(plan.verdict),
        "writes": plan.writes,
        "reason": plan.reason,
        "bytes_to_read": plan.bytes_to_read,
        "rows_leaving": leaving(plan, ledger).rows_removed,
        "fingerprint": plan.fingerprint,
        "actions": [
            {"change": str(action.change), "key": action.key, "size": action.size, "reason": action.reason}
            for action in plan.actions
        ],
    }


def _result_json(result: HourResult, changes: Changes, left: LeftOut) -> dict[str, Any]:
    down, up = _moved(result)
    ledger = result.ledger
    return {
        **plan_json(result.plan, result.before),
        "sources": len(result.sources),
        "late": len(result.late),
        "rows": 0 if ledger is None else ledger.rows,
        **changes.document(),
        "quarantined": len(result.left_out),
        "left_out": left.document(),
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
