"""`plan`: what `sync` would change, why, and what it would cost; nothing is written.

Of thousands of hours the first few are named and all are summed up; each is let go of once it was looked at.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.table import Table

from s3_assets.builder.build import plan_hour
from s3_assets.builder.estimate import expected_traffic
from s3_assets.builder.reconcile import HourFailure, each_hour
from s3_assets.cli.cost import Cost
from s3_assets.cli.render import human_bytes, plain, print_tables, with_progress
from s3_assets.cli.sync import document, opened, plan_json, print_end
from s3_assets.hour_file.plan import Verdict
from s3_assets.plural import counted
from s3_assets.store.metered import MeteredStore

if TYPE_CHECKING:
    from s3_assets.builder.build import BuildOptions, Seen
    from s3_assets.cli.options import Range
    from s3_assets.hour_file.keys import Hour
    from s3_assets.hour_file.plan import Plan
    from s3_assets.store.metered import Traffic

MOST_NAMED = 40
"""Hours that are named; `--json` names all."""


class _Line(NamedTuple):
    """An hour that would change, or is held by the breaker."""

    event: str
    hour: str
    verdict: Verdict
    bytes_to_read: int
    reason: str


def plan_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Say what would make the hours right; the exit code: 1 where one can't be, or is held by the breaker."""
    lines: list[_Line] = []
    documents: list[dict[str, Any]] = []
    failures: list[HourFailure] = []
    cost, looked = Cost(), 0
    with opened(hours, wrap=MeteredStore) as (pipeline, found, listing):

        def work(hour: Hour, seen: Seen) -> tuple[Plan, Traffic]:
            plan = plan_hour(pipeline, hour, seen, options)
            policy = pipeline.policy(hour.event)
            return plan, expected_traffic(plan, seen.target, policy, rebuild=options.rebuild)

        for outcome in with_progress(each_hour(pipeline, found, work), len(found)):
            if isinstance(outcome, HourFailure):
                failures.append(outcome)
                continue
            plan, traffic = outcome
            looked += 1
            if as_json:
                documents.append(plan_json(plan))
            if plan.writes or plan.verdict is Verdict.BREAKER:
                size = plan.bytes_to_read
                lines.append(_Line(plan.hour.event, plan.hour.label, plan.verdict, size, plan.reason))
            if plan.writes:
                cost.hours += 1
                cost.sources += len(plan.read)
                cost.source_bytes += plan.bytes_to_read
                cost.add(traffic)
            else:
                cost.left += 1
        # A build looks at all of it again, as has just been done.
        for store in {id(store): store for store in (pipeline.source, pipeline.target)}.values():
            if isinstance(store, MeteredStore):
                cost.add(store.traffic)
    failures.sort(key=lambda failure: failure.hour)
    if as_json:
        documents.sort(key=lambda hour: (hour["event"], hour["hour"]))
        told = {**document(documents, failures, listing), "cost": cost.document()}
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(sorted(lines), looked + len(failures), cost, len(failures))
        print_end(failures, listing)
    return 1 if failures or any(line.verdict is Verdict.BREAKER for line in lines) else 0


def _print(lines: list[_Line], looked_at: int, cost: Cost, failed: int) -> None:
    if lines:
        table = Table("event", "hour", "verdict", box=None, pad_edge=False)
        table.add_column("read", justify="right")
        table.add_column("why")
        for line in lines[:MOST_NAMED]:
            size = human_bytes(line.bytes_to_read)
            table.add_row(plain(line.event), line.hour, line.verdict, size, plain(line.reason))
        print_tables(table)
    if len(lines) > MOST_NAMED:
        click.echo(f"and {counted(len(lines) - MOST_NAMED, 'more hour')}: --json names all")
    held = sum(line.verdict is Verdict.BREAKER for line in lines)
    click.echo(
        f"{cost.hours:,} of {counted(looked_at, 'hour')} would change; {human_bytes(cost.source_bytes)} to read"
        + (f"; {held:,} held by the breaker" if held else "")
        + (f"; {failed:,} failed" if failed else "")
    )
    if cost.hours:
        for words in cost.lines():
            click.echo(f"  {words}")
