"""`show`: what the ledger of one hour file reports."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from s3_assets.builder.left_out import QUARANTINED, WAITING, kind_of
from s3_assets.builder.target import Target, read_target
from s3_assets.cli.options import refuse_unknown_events
from s3_assets.cli.render import human_bytes, plain, print_tables, printable, said_when_slow
from s3_assets.errors import shortened
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.mending import REBUILD, explain_command, sync_command
from s3_assets.hour_file.plan import UNREADABLE
from s3_assets.opening import open_pipeline
from s3_assets.plural import counted
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from s3_assets.hour_file.ledger import Ledger


MOST_SHOWN = 1000
"""Characters of a header row, of all settings or of a key that are shown; `--json` has them whole."""


def show_hour(hour: Hour, *, as_json: bool) -> int:
    """Print the ledger of one hour file; the exit code, 1 where there is none.

    Raises:
        DamagedTargetError: The hour file can't be read.
        click.UsageError: There is no such event.
    """
    with open_pipeline(load_settings(os.environ)) as pipeline:
        uri = pipeline.target_uri(hour)
        with said_when_slow(uri):
            target = read_target(pipeline.target, pipeline.target_key(hour), hour)
        if target is None:
            refuse_unknown_events(pipeline, [hour.event])
    if target is None:
        command = printable(explain_command(hour))
        click.echo(f"there is no hour file {printable(uri)}; `{command}` says why", err=True)
        return 1
    if target.ledger is None:
        if target.problem is not None:
            raise target.problem.mended_by(sync_command(hour, REBUILD))
        return 1
    if as_json:
        click.echo(json.dumps(target_json(uri, target, target.ledger), indent=2, ensure_ascii=False))
    else:
        print_target(uri, target, target.ledger)
    return 0


def target_json(uri: str, target: Target, ledger: Ledger) -> dict[str, Any]:
    """All that the ledger of an hour file, or of an older version of it, reports."""
    return {
        "uri": uri,
        "size": target.size,
        "etag": target.etag,
        "version_id": target.version_id,
        "committed": target.last_modified.isoformat(),
        "event": ledger.event,
        "hour": ledger.hour,
        "fingerprint": ledger.fingerprint,
        "rows": ledger.rows,
        "raw_bytes": ledger.raw_length,
        "header": None if ledger.header is None else ledger.header.decode("utf-8", "backslashreplace"),
        "settings": ledger.settings,
        "segments": [
            {
                "offset": segment.offset,
                "length": segment.length,
                "raw_length": segment.raw_length,
                "rows": segment.rows,
                "sources": [dataclasses.asdict(source) for source in segment.sources],
            }
            for segment in ledger.segments
        ],
        "quarantined": [dataclasses.asdict(source) for source in ledger.quarantined],
    }


def print_target(uri: str, target: Target, ledger: Ledger) -> None:
    """The same for a person."""
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("hour file", uri),
        ("committed", f"{target.last_modified:%Y-%m-%d %H:%M:%S} UTC, ETag {target.etag}"),
        ("size", f"{human_bytes(target.size)}, {human_bytes(ledger.raw_length)} inflated"),
        (
            "rows",
            f"{ledger.rows:,}, of {counted(len(ledger.held), 'source')}, in {counted(len(ledger.segments), 'segment')}",
        ),
        ("columns", "no header row" if ledger.header is None else _header(ledger.header)),
        ("settings", shortened(", ".join(f"{name}={value}" for name, value in ledger.settings.items()), MOST_SHOWN)),
        ("fingerprint", ledger.fingerprint),
    ):
        facts.add_row(name, plain(value))
    tables = [facts]
    if ledger.quarantined:
        bad = Table("not in it", "", "reason", "what was found", "ingested", box=None, pad_edge=False)
        ingested = {
            QUARANTINED: "when its content changes",
            WAITING: f"by `{sync_command(Hour(ledger.event, ledger.hour), REBUILD)}`, which decides anew by rows",
            UNREADABLE: "when it can be read",
        }
        for unusable in ledger.quarantined:
            bad.add_row(
                plain(shortened(unusable.key, MOST_SHOWN)),
                kind_of(unusable, is_there=True),
                plain(shortened(unusable.reason)),
                plain(shortened(unusable.detail)),
                plain(ingested[kind_of(unusable, is_there=True)]),
            )
        tables.append(bad)
    sources = Table("source", box=None, pad_edge=False)
    for name in ("rows", "source bytes", "in segment"):
        sources.add_column(name, justify="right")
    sources.add_column("ETag")
    for number, segment in enumerate(ledger.segments):
        for source in segment.sources:
            etag = source.etag if len(source.etag) <= 12 else source.etag[:12] + "…"  # noqa: PLR2004
            sources.add_row(plain(source.key), f"{source.rows:,}", f"{source.size:,}", str(number), plain(etag))
    print_tables(*tables, sources)


def _header(header: bytes) -> str:
    """A header row as text, shortened: it may be of any length."""
    text = header[: 4 * MOST_SHOWN].decode("utf-8", "backslashreplace").strip()
    more = f" ({len(header):,} bytes; --json has all)" if len(header) > MOST_SHOWN else ""
    return text[:MOST_SHOWN] + ("…" if more else "") + more
