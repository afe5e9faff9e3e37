"""`plan`: what `sync` would change, why, and what it would cost; nothing is written.

Of thousands of hours the first few are named and all are summed up; each is let go of once it was looked at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from rich.table import Table

from s3_assets.builder.build import plan_hour
from s3_assets.builder.estimate import expected_traffic
from s3_assets.builder.history import Changes, leaving, read_again
from s3_assets.builder.left_out import LeftOut, left_out
from s3_assets.builder.reconcile import HourFailure, each_hour
from s3_assets.cli.cost import Cost
from s3_assets.cli.render import human_bytes, plain, print_tables, printable, with_progress
from s3_assets.cli.sync import document, opened, plan_json, print_end, print_left_out
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
    """An hour that would change, or is blocked by the breaker."""

    event: str
    hour: str
    verdict: Verdict
    bytes_to_read: int
    reason: str


class _Looked(NamedTuple):
    """What was found of one hour, without its ledger."""

    plan: Plan
    traffic: Traffic
    leaving: Changes
    read_again: tuple[int, int]
    left: LeftOut
    document: dict[str, Any]


@dataclass(slots=True)
class _Sum:
    """Of all hours.

    Attributes:
        looked: How many were looked at.
        cost: Of those that would change.
        leaving: The rows that can leave by it.
        sources_again: Held sources that are read again though they did not change, by a rebuild or new settings,
        rows_again: and their rows.
        left: What the hours that stay as they are leave out or keep.
    """

    looked: int = 0
    cost: Cost = field(default_factory=Cost)
    leaving: Changes = field(default_factory=Changes)
    sources_again: int = 0
    rows_again: int = 0
    left: LeftOut = field(default_factory=LeftOut)

    def add(self, one: _Looked) -> None:
        """Count an hour."""
        self.looked += 1
        if one.plan.writes:
            self.cost.hours += 1
            self.cost.sources += len(one.plan.read)
            self.cost.source_bytes += one.plan.bytes_to_read
            self.cost.add(one.traffic)
            self.leaving += one.leaving
            self.sources_again += one.read_again[0]
            self.rows_again += one.read_again[1]
        else:
            self.cost.left += 1
            self.left += one.left


def plan_hours(hours: Range, options: BuildOptions, *, as_json: bool) -> int:
    """Say what would bring the hours up to date; the exit code: 1 where one can't be, or is blocked by the breaker."""
    lines: list[_Line] = []
    documents: list[dict[str, Any]] = []
    failures: list[HourFailure] = []
    total = _Sum()
    with opened(hours, wrap=MeteredStore) as (pipeline, found, listing):

        def work(hour: Hour, seen: Seen) -> _Looked:
            plan = plan_hour(pipeline, hour, seen, options)
            ledger = None if seen.target is None else seen.target.ledger
            traffic = expected_traffic(plan, seen.target, pipeline.policy(hour.event), rebuild=options.rebuild)
            left = left_out(plan.unusable, plan.vanished, seen.sources)
            told = plan_json(plan, ledger) if as_json else {}
            return _Looked(plan, traffic, leaving(plan, ledger), read_again(plan, ledger), left, told)

        for outcome in with_progress(each_hour(pipeline, found, work), len(found)):
            if isinstance(outcome, HourFailure):
                failures.append(outcome)
                continue
            total.add(outcome)
            plan = outcome.plan
            if as_json:
                documents.append(outcome.document)
            if plan.writes or plan.verdict is Verdict.BREAKER:
                size = plan.bytes_to_read
                lines.append(_Line(plan.hour.event, plan.hour.label, plan.verdict, size, plan.reason))
        # A build looks at all of it again, as has just been done.
        for store in {id(store): store for store in (pipeline.source, pipeline.target)}.values():
            if isinstance(store, MeteredStore):
                total.cost.add(store.traffic)
    failures.sort(key=lambda failure: failure.hour)
    if as_json:
        documents.sort(key=lambda hour: (hour["event"], hour["hour"]))
        told = {**document(documents, failures, listing), "cost": total.cost.document()}
        told |= {
            "rows_leaving": total.leaving.rows_removed,
            "leaving_from": total.leaving.document()["removed_by"],
            "rows_read_again": total.rows_again,
            "left_out": total.left.document(),
        }
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        _print(sorted(lines), total, len(failures))
        print_end(failures, listing)
    return 1 if failures or any(line.verdict is Verdict.BREAKER for line in lines) else 0


def _print(lines: list[_Line], total: _Sum, failed: int) -> None:
    cost = total.cost
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
    blocked = sum(line.verdict is Verdict.BREAKER for line in lines)
    click.echo(
        f"{cost.hours:,} of {counted(total.looked + failed, 'hour')} would change; "
        f"{human_bytes(cost.source_bytes)} to read"
        + (f"; {blocked:,} blocked by the breaker" if blocked else "")
        + (f"; {failed:,} failed" if failed else "")
    )
    if total.leaving.rows_removed:
        read = f"{counted(cost.sources, 'source')} {'is' if cost.sources == 1 else 'are'} read"
        click.echo(printable(f"  up to {total.leaving.leaving_sentence()}; {read}"))
    if total.sources_again:
        verb = "is" if total.sources_again == 1 else "are"
        rows = f"{counted(total.sources_again, 'source')} with {counted(total.rows_again, 'row')}"
        click.echo(f"  {rows} {verb} read again; rows leave only where a source turns out to be unusable")
    print_left_out(total.left)
    if cost.hours:
        for words in cost.lines():
            click.echo(f"  {words}")
