"""`plan --explain`: why one hour is out of date, or that it is up to date and what it leaves out; what happens next.

Two views put side by side: S3, which decides and comes first, and Dagster's records, where there is an instance. What
the one can't say takes nothing from the other. Nothing is written.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import click

from s3_assets.builder.build import plan_hour, see
from s3_assets.cli.hour_view import View, headline, on_record, on_s3
from s3_assets.cli.options import refuse_unknown_events
from s3_assets.cli.render import printable, said_when_slow
from s3_assets.cli.sync import plan_json
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.keys import label_of
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.sources import listing_fingerprint
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings
from s3_assets.watchdog.bounded import TookTooLongError, within

if TYPE_CHECKING:
    from s3_assets.builder.build import BuildOptions
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.plan import Plan
    from s3_assets.settings import Settings

HOME_VARIABLE = "DAGSTER_HOME"
"""Where Dagster's own tools find their instance."""

PATIENCE_S: Final = 20
"""How long Dagster's storage may take to answer, in seconds."""

NAME_WIDTH = 12
"""Columns of a fact's short name."""


def explain_hour(hour: Hour, options: BuildOptions, *, as_json: bool) -> int:
    """Print what there is to say of an hour.

    Returns:
        The exit code: 1 where it can't be built, the breaker blocks it, or Dagster's records can't be read.

    Raises:
        click.UsageError: There is no such event.
        S3AssetsError: S3 can't be asked.
    """
    settings, now = load_settings(os.environ), datetime.now(UTC)
    view = _look(hour, settings, options, now)
    facts = list(on_s3(view))
    if not as_json:  # at once: the other half may take its time
        click.echo(printable(headline(view)))
        _print(facts)
    view, is_answered = _with_records(view, settings)
    more = list(on_record(view, settings))
    if as_json:
        click.echo(json.dumps(_document(view, [*facts, *more]), indent=2, ensure_ascii=False))
    else:
        _print(more)
    return 1 if view.plan is None or view.plan.verdict is Verdict.BREAKER or not is_answered else 0


def _print(facts: list[tuple[str, str]]) -> None:
    for name, text in facts:
        click.echo(f"  {name:<{NAME_WIDTH}}{printable(text)}")


def _look(hour: Hour, settings: Settings, options: BuildOptions, now: datetime) -> View:
    """What S3 shows."""
    with open_pipeline(settings) as pipeline:
        with said_when_slow(pipeline.target_uri(hour)):
            seen = see(pipeline, hour)
        if seen.target is None and not seen.sources:
            refuse_unknown_events(pipeline, [hour.event])
        plan: Plan | None = None
        problem: S3AssetsError | None = None
        try:
            plan = plan_hour(pipeline, hour, seen, options)
        except S3AssetsError as error:
            problem = error
        policy = pipeline.policy(hour.event)
        return View(
            hour=hour,
            seen=seen,
            sources_uri=pipeline.source_uri(pipeline.grammar.hour_prefix(hour)),
            target_uri=pipeline.target_uri(hour),
            plan=plan,
            problem=problem,
            outside=_outside(hour, settings, now),
            policy=policy,
            fingerprint=listing_fingerprint(seen.sources, policy.content_token()) if seen.sources else None,
            now=now,
        )


def _with_records(view: View, settings: Settings) -> tuple[View, bool]:
    """The view with what Dagster knows, and False where there is an instance that does not answer."""
    if not os.environ.get(HOME_VARIABLE):
        return replace(view, unasked=f"{HOME_VARIABLE} is not set here: this looked at S3 only"), True
    from s3_assets.dagster import hour_records  # a second and more, which is not the storage's

    hour, group = view.hour, settings.group_of(view.hour.event)
    try:
        return replace(view, record=within(PATIENCE_S, lambda: hour_records.hour_record(hour, group, view.now))), True
    except TookTooLongError:
        problem = hour_records.NoInstanceError(f"Dagster's records can't be read: no answer within {PATIENCE_S:g} s")
    except hour_records.NoInstanceError as error:
        problem = error
    return replace(view, unasked=problem.describe()), False


def _outside(hour: Hour, settings: Settings, now: datetime) -> str:
    if hour.date < f"{settings.start_date:%Y-%m-%d}":
        return f"it is before the start date, {settings.start_date:%Y-%m-%d} (S3_ASSETS_START_DATE)"
    if hour.label > label_of(now):
        return f"it is in the future: hours are labelled in UTC, and it is {now:%Y-%m-%d %H:%M} there"
    return ""


def _document(view: View, facts: list[tuple[str, str]]) -> dict[str, Any]:
    record, target = view.record, view.seen.target
    what, until = (None, None) if record is None else view.prospect(record)
    return {
        "event": view.hour.event,
        "hour": view.hour.label,
        "up_to_date": view.is_up_to_date and not view.outside,
        "headline": headline(view),
        "sources": [source.key for source in view.seen.sources],
        "hour_file": None if target is None else {"etag": target.etag, "size": target.size},
        "plan": None if view.plan is None else plan_json(view.plan, None if target is None else target.ledger),
        "left_out": view.left.document(),
        "problem": None if view.problem is None else view.problem.describe(),
        "dagster": None
        if record is None
        else {
            "asset": record.asset,
            "partition": record.is_partition,
            "materialized": None if record.made is None else record.made.isoformat(),
            "run": record.run_id or None,
            "data_version": record.version,
            "runs": [{"id": run.run_id, "status": run.status, "since": run.since.isoformat()} for run in record.runs],
            "failures": 0 if record.failing is None else record.failing.tries,
            "error": None if record.failing is None else record.failing.words,
            "sensor_is_on": record.sensor_state is not None and record.sensor_state.is_on,
            "prospect": str(what),
            "rests_until": None if until is None else until.isoformat(),
        },
        "facts": [{"about": name, "text": text} for name, text in facts],
    }
