"""`backup`: the daily backup without Dagster: run a day, verify it, bring it back, remove old local files."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from s3_assets.cli.options import json_option
from s3_assets.cli.render import human_bytes, plain, print_tables, printable, progress_bar
from s3_assets.errors import DamagedManifestError, NoBackupError
from s3_assets.logs import ON_SCREEN
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.progress import Progress

    from s3_assets.backup.clean import Cleaned
    from s3_assets.backup.restore import Restored
    from s3_assets.backup.run import DayResult
    from s3_assets.backup.site import BackupSite
    from s3_assets.backup.verify import Verified
    from s3_assets.backup.walk import Problem
    from s3_assets.settings import BackupSettings

SHORTEST_KEEP_DAYS = 2

_log = logging.getLogger(__name__)


class _DayType(click.ParamType[date]):
    """A day."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """From `2026-11-21`."""
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            self.fail(f"{value!r} is no day, as 2026-11-21", param, ctx)


DAY = _DayType()
_date = click.option("--date", "day", type=DAY, help="The day [default: the one that today's schedule is for]")


_dry_run = click.option("--dry-run", is_flag=True, help="Say what would be sent; send nothing.")


@click.group(invoke_without_command=True)
@_date
@_dry_run
@json_option
@click.pass_context
def backup(context: click.Context, /, *, day: date | None, dry_run: bool, as_json: bool) -> None:
    """The daily backup of a local folder, S3_ASSETS_BACKUP_DIR, to S3_ASSETS_BACKUP_TARGET.

    Without a command, makes the backup of one day right, as `run` does; where it is right already, nothing is sent.
    """
    if context.invoked_subcommand is None:
        _back_up(day, dry_run=dry_run, as_json=as_json)
    elif day is not None or dry_run or as_json:
        raise click.UsageError(f"options of `{context.invoked_subcommand}` go behind it")


@backup.command()
@_date
@_dry_run
@json_option
def run(*, day: date | None, dry_run: bool, as_json: bool) -> None:
    """Make the backup of one day right; where it is right already, nothing is sent."""
    _back_up(day, dry_run=dry_run, as_json=as_json)


def _back_up(day: date | None, *, dry_run: bool, as_json: bool) -> None:
    from s3_assets.backup.run import back_up
    from s3_assets.heartbeat import FAIL, beating

    settings, site = _opened()
    is_todays = day is None and not dry_run  # a watcher waits for that one
    with beating(settings.heartbeat_url if is_todays else None, _log.warning) as heart, _progress("files") as bar:
        result = back_up(
            site, day or _today_is_for(settings), dry_run=dry_run, begin=bar.begin, tell=lambda _: bar.advance()
        )
        heart.words = f"{result.day} is backed up"
        if not result.right:
            heart.tell(FAIL, f"{result.day}: {counted(len(result.problems), 'problem')}")
            heart.quiet = True
    for problem in result.problems:
        _log.error("%s: %s: %s", result.day, _text(problem.path), problem.reason, extra={ON_SCREEN: True})
    if as_json:
        _print_json(_run_json(result, dry_run=dry_run))
    else:
        _print_run(result, dry_run=dry_run)
    sys.exit(0 if result.right else 1)


@backup.command()
@_date
@click.option("--from", "first", type=DAY, help="The first day of several.")
@click.option("--to", "last", type=DAY, help="The last of them, included [default: as for --date]")
@click.option("--list-only", is_flag=True, help="Compare what the bucket lists; read no copy back.")
@json_option
def verify(*, day: date | None, first: date | None, last: date | None, list_only: bool, as_json: bool) -> None:
    """Read every copy of a day back and compare it; name local files that the backup has not."""
    settings, site = _opened()
    if day is not None and (first or last) is not None:
        raise click.UsageError("--date is for one day, --from and --to are for several")
    last = day or last or _today_is_for(settings)
    first = first or last
    if first > last:
        raise click.UsageError(f"--from {first} is after --to {last}")
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    found = [_verify(site, one, read=not list_only) for one in days]
    if as_json:
        _print_json({"days": found})
    else:
        _print_verified(found)
    sys.exit(0 if all(one["right"] for one in found) else 1)


@backup.command()
@click.argument("day", metavar="DATE", type=DAY)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace local files that differ; else they are left alone.")
@json_option
def restore(*, day: date, directory: Path, overwrite: bool, as_json: bool) -> None:
    """Bring all files of DATE back to the folder DIR, with their times, each verified."""
    from s3_assets.backup.restore import restore as bring_back

    _, site = _opened()
    with _progress("files") as bar:
        result = bring_back(site, day, directory, overwrite=overwrite, begin=bar.begin, tell=lambda _: bar.advance())
    if as_json:
        _print_json(_restored_json(result))
    else:
        click.echo(
            f"{len(result.written) + len(result.left)} files of {day} are in {printable(str(directory))}: "
            f"{len(result.written)} restored, {human_bytes(result.bytes_read)}; {len(result.left)} were there"
        )
        _print_problems("files were not restored", result.problems)
    sys.exit(1 if result.problems else 0)


@backup.command()
@click.option(
    "--older-than",
    type=click.IntRange(min=SHORTEST_KEEP_DAYS),
    metavar="DAYS",
    help="Files of days before that many days ago [default: S3_ASSETS_BACKUP_KEEP_DAYS]",
)
@click.option("--dry-run", is_flag=True, help="Look at everything in the same way, and remove nothing.")
@json_option
def clean(*, older_than: int | None, dry_run: bool, as_json: bool) -> None:
    """Remove old local files, each only after its copy was read back and is the very same."""
    from s3_assets.backup.clean import clean as remove_old

    settings, site = _opened()
    keep_days = older_than or settings.keep_days
    if keep_days is None:
        raise click.UsageError("how old is old? give --older-than DAYS, or set S3_ASSETS_BACKUP_KEEP_DAYS")
    before = datetime.now(site.zone).date() - timedelta(days=keep_days)
    with _progress("files") as bar:
        result = remove_old(site, before, dry_run=dry_run, begin=bar.begin, tell=lambda _: bar.advance())
    if as_json:
        _print_json(_cleaned_json(result, dry_run=dry_run))
    else:
        for day, file in result.removed:
            click.echo(f"{'would remove' if dry_run else 'removed'} {day} {printable(file.path)}")
        click.echo(
            f"{len(result.removed)} files of days before {before} {'would be' if dry_run else 'were'} removed, "
            f"{human_bytes(result.size)}"
        )
        _print_problems("kept", result.kept)
    sys.exit(1 if result.kept else 0)


def _opened() -> tuple[BackupSettings, BackupSite]:
    from s3_assets.backup.site import open_backup
    from s3_assets.settings import load_backup_settings

    settings = load_backup_settings(os.environ)
    return settings, open_backup(settings)


def _today_is_for(settings: BackupSettings) -> date:
    """The day that today's tick of the schedule is for."""
    from s3_assets.backup.days import day_for_tick

    return day_for_tick(datetime.now(UTC), settings.calendar.zone, settings.calendar.lag_days)


class _Bar:
    """A progress bar that learns late how long it is."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=None)

    def begin(self, total: int) -> None:
        self._progress.update(self._task, total=total)

    def advance(self) -> None:
        self._progress.advance(self._task)


@contextmanager
def _progress(what: str) -> Iterator[_Bar]:
    """A progress bar on stderr, where that is a terminal."""
    with progress_bar() as progress:
        yield _Bar(progress, what)


# --- saying ------------------------------------------------------------------------------------------------


def _print_run(result: DayResult, *, dry_run: bool) -> None:
    if result.groups:
        table = Table("group", box=None, pad_edge=False)
        for name in ("files", "bytes", "to send" if dry_run else "sent"):
            table.add_column(name, justify="right")
        for name, count in sorted(result.groups.items()):
            table.add_row(plain(name), f"{count.files:,}", human_bytes(count.size), f"{count.sent:,}")
        print_tables(table)
    files = f"{result.day}: {counted(result.files, 'file')}, {human_bytes(result.size)}"
    if dry_run:
        for path in result.sent:
            click.echo(f"would send {printable(path)}")
        click.echo(f"{files}; {len(result.sent)} would be sent")
    else:
        kept = result.files - len(result.sent) - len(result.moved) - len(result.problems)
        click.echo(f"{files}: {len(result.sent)} sent, {human_bytes(result.bytes_sent)}; {max(kept, 0)} as they were")
    if result.carried:
        click.echo(f"{len(result.carried)} more are in the backup only")
    for path in result.moved:
        click.echo(f"changed meanwhile, and of another day now: {printable(path)}", err=True)
    if result.problems and not dry_run:
        click.echo("the day is not backed up in whole, and has no new manifest", err=True)
    _print_problems("problems", result.problems)


def _print_problems(what: str, problems: list[Problem]) -> None:
    if problems:
        click.echo(f"{len(problems)} {what}:", err=True)
    for problem in problems:
        click.echo(f"  {printable(problem.path)}: {printable(problem.reason)}", err=True)


def _print_verified(found: list[dict[str, Any]]) -> None:
    for one in found:
        if one["right"]:
            click.echo(
                f"{one['date']}: right, {counted(one['files'], 'file')}, {human_bytes(one['bytes_read'])} read back"
            )
            continue
        click.echo(f"{one['date']}: not right", err=True)
        for problem in one["problems"]:
            click.echo(f"  {printable(problem['path'])}: {printable(problem['reason'])}", err=True)
        for path in one["late"]:
            click.echo(f"  {printable(path)}: the local file is not backed up as it is", err=True)


# --- documents ---------------------------------------------------------------------------------------------


def _verify(site: BackupSite, day: date, *, read: bool) -> dict[str, Any]:
    """What is to be said of one day."""
    from s3_assets.backup.verify import verify as look_again

    try:
        with _progress(f"copies of {day}") as bar:
            found = look_again(site, day, read=read, begin=bar.begin, tell=lambda _: bar.advance())
    except (NoBackupError, DamagedManifestError) as error:
        problem = {"path": site.uri(site.manifest_key(day)), "reason": error.describe()}
        return {"date": day.isoformat(), "right": False, "files": 0, "bytes_read": 0, "problems": [problem], "late": []}
    return _verified_json(found)


def _verified_json(found: Verified) -> dict[str, Any]:
    return {
        "date": found.day.isoformat(),
        "right": found.right,
        "files": len(found.manifest.entries),
        "bytes_read": found.bytes_read,
        "problems": _problems_json(found.problems),
        "late": [file.path for file in found.late],
    }


def _run_json(result: DayResult, *, dry_run: bool) -> dict[str, Any]:
    return {
        "date": result.day.isoformat(),
        "dry_run": dry_run,
        "right": result.right,
        "manifest": result.uri,
        "manifest_written": result.written,
        "files": result.files,
        "bytes": result.size,
        "sent": [_text(path) for path in result.sent],
        "bytes_sent": result.bytes_sent,
        "parts_found": result.parts_found,
        "only_in_backup": result.carried,
        "changed_to_another_day": result.moved,
        "groups": {
            name: {"files": count.files, "bytes": count.size, "sent": count.sent}
            for name, count in sorted(result.groups.items())
        },
        "problems": _problems_json(result.problems),
        "requests": {} if result.traffic is None else dict(result.traffic.requests),
        "seconds": round(result.seconds, 3),
    }


def _restored_json(result: Restored) -> dict[str, Any]:
    return {
        "date": result.day.isoformat(),
        "restored": result.written,
        "were_there": result.left,
        "bytes_read": result.bytes_read,
        "problems": _problems_json(result.problems),
    }


def _cleaned_json(result: Cleaned, *, dry_run: bool) -> dict[str, Any]:
    return {
        "before": result.before.isoformat(),
        "dry_run": dry_run,
        "removed": [{"date": day.isoformat(), "path": file.path, "bytes": file.size} for day, file in result.removed],
        "kept": _problems_json(result.kept),
    }


def _problems_json(problems: list[Problem]) -> list[dict[str, str]]:
    return [{"path": _text(problem.path), "reason": _text(problem.reason)} for problem in problems]


def _text(path: str) -> str:
    """A path that can be printed: what is not UTF-8 is spelled out."""
    return path.encode("utf-8", "backslashreplace").decode()


def _print_json(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
