"""`verify`: is every hour file equal to its sources? What differs, which command fixes it, what is left out."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from s3_assets.audit.differences import Report, Standing
from s3_assets.audit.hours import AuditOptions, Sweep, abort_left_open, audit_hours, sweep
from s3_assets.builder.reconcile import HourFailure, Scope
from s3_assets.cli.options import refuse_unknown_events
from s3_assets.cli.render import human_bytes, printable, with_progress
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.keys import label_of
from s3_assets.opening import open_pipeline
from s3_assets.plural import counted
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from s3_assets.audit.differences import Difference
    from s3_assets.cli.options import Range


def verify_hours(hours: Range, *, deep: bool, grace_minutes: int, abort_uploads: bool, as_json: bool) -> int:
    """Audit the hours; the exit code: 1 where something is wrong or could not be looked at.

    Raises:
        click.UsageError: An event does not exist.
    """
    settings = load_settings(os.environ)
    start, now = f"{settings.start_date:%Y-%m-%d}-00:00", label_of(datetime.now(UTC))
    scope = Scope(
        max(hours.first_label or start, start),
        min(hours.last_label or now, now),
        tuple(hours.events) or None,
        start_label=start,
        now_label=now,
    )
    options = AuditOptions(deep=deep, grace=timedelta(minutes=grace_minutes))
    report, failures = Report(), []
    with open_pipeline(settings) as pipeline:
        aborted = abort_left_open(pipeline, scope) if abort_uploads else 0
        swept = sweep(pipeline, scope)
        if not aborted:
            refuse_unknown_events(pipeline, set(hours.events) - _events_of(swept))
        report.note(swept.differences)
        for outcome in with_progress(audit_hours(pipeline, swept.hours, options), len(swept.hours)):
            if isinstance(outcome, HourFailure):
                failures.append(outcome)
            else:
                report.add(outcome)
    failures.sort(key=lambda failure: failure.hour)
    if as_json:
        click.echo(json.dumps(_document(report, failures, swept, aborted), indent=2, ensure_ascii=False))
    else:
        _print(report, failures, swept, aborted)
    return 1 if report.wrong or failures else 0


def _events_of(swept: Sweep) -> set[str]:
    """Events of which something was found."""
    differing = {found.hour.event for found in swept.differences if found.hour is not None}
    return {hour.event for hour in swept.hours} | differing


def _print(report: Report, failures: list[HourFailure], swept: Sweep, aborted: int) -> None:
    for difference in report.in_order():
        whose = "" if difference.hour is None else f"{difference.hour}: "
        click.echo(printable(f"{difference.standing}: {whose}{difference.sentence()}"))
        if difference.fix:
            click.echo(printable(f"    {difference.fix}"))
    left_out = sum(report.standings.values()) - len(report.named)
    if left_out:
        click.echo(f"and {left_out:,} more")
    strays = swept.listing.rejected.total()
    click.echo(
        printable(report.summary())
        + (f"; {_strays(strays)}" if strays else "")
        + (f"; {human_bytes(report.bytes_read)} read" if report.bytes_read else "")
        + (f"; {counted(aborted, 'upload')} aborted" if aborted else "")
        + (f"; {counted(len(failures), 'hour')} could not be audited" if failures else "")
    )
    rejected = swept.listing.rejected
    if rejected:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in rejected.most_common())
        click.echo(printable(f"{_strays(strays)}: {reasons}"), err=True)
    for failure in failures:
        click.echo(f"  {printable(str(failure.hour))}: {printable(_error_text(failure))}", err=True)


def _strays(number: int) -> str:
    return f"{counted(number, 'key')} below the source prefix {'is not a source' if number == 1 else 'are not sources'}"


def _document(report: Report, failures: list[HourFailure], swept: Sweep, aborted: int) -> dict[str, Any]:
    omissions = report.omissions
    return {
        "differences": [_difference_json(difference) for difference in report.in_order()],
        "wrong": report.wrong,
        "behind": report.behind,
        "hours": report.hours,
        "sources": report.sources,
        "rows": report.rows,
        "hours_that_outlived_their_sources": report.kept,
        **{
            kind: {
                "sources": some.count,
                "first": [
                    {"event": one.event, "key": one.key, "reason": one.reason, "detail": one.detail}
                    for one in some.named
                ],
            }
            for kind, some in omissions.left_out().items()
        },
        "vanished": {"sources": omissions.vanished_sources, "rows": omissions.vanished_rows},
        "gone_for_good": {"sources": omissions.lost_sources, "rows": omissions.lost_rows},
        "bytes_read": report.bytes_read,
        "uploads_aborted": aborted,
        "failed": [
            {"event": failure.hour.event, "hour": failure.hour.label, "error": _error_text(failure)}
            for failure in failures
        ],
        "no_sources": dict(swept.listing.rejected),
    }


def _difference_json(difference: Difference) -> dict[str, Any]:
    hour = difference.hour
    return {
        "event": None if hour is None else hour.event,
        "hour": None if hour is None else hour.label,
        "wrong": difference.standing is Standing.WRONG,
        "kind": str(difference.kind),
        "what": difference.sentence(),
        "count": difference.count,
        "fix": difference.fix,
    }


def _error_text(failure: HourFailure) -> str:
    return failure.error.describe() if isinstance(failure.error, S3AssetsError) else repr(failure.error)
