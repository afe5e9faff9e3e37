"""The command `s3-assets`: exit 0 when all is right, 1 when an hour failed, 2 on bad usage or settings."""

from __future__ import annotations

import logging
import os
import shlex
import sys
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from s3_assets import __version__
from s3_assets.cli.backup import backup
from s3_assets.cli.doctor import doctor
from s3_assets.cli.options import MOMENT, REPLAY_ID, WEB_ADDRESS, Range, hour_arguments, json_option, range_options
from s3_assets.errors import S3AssetsError, SettingsError
from s3_assets.logs import ON_SCREEN, set_up

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from s3_assets.builder.build import BuildOptions
    from s3_assets.hour_file.keys import Hour

EXIT_FAILED = 1
EXIT_USAGE = 2

_log = logging.getLogger(__name__)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3-assets")
@click.option("-v", "--verbose", count=True, help="Say more on stderr: -v what happens, -vv more.")
def cli(verbose: int) -> None:
    """One right gzip per event and hour, from the CSV files that producers drop into S3.

    Where and how is set by environment variables (S3_ASSETS_SOURCE, S3_ASSETS_TARGET, …; see docs/settings.md);
    credentials, region and endpoint are the standard AWS ones.
    """
    levels = [logging.WARNING, logging.INFO, logging.DEBUG]
    set_up(os.environ, levels[min(verbose, 2)])


_rebuild = click.option(
    "--rebuild",
    is_flag=True,
    help="Read every source again and write new files, also in place of damaged or foreign ones. "
    "Rows of sources that are gone are carried over, out of older versions too where the file is damaged.",
)
_accept_lost_rows = click.option(
    "--accept-lost-rows",
    is_flag=True,
    help="With --rebuild: go on without rows that are damaged, whose sources are gone, and that no version has.",
)
_accept_vanished = click.option(
    "--accept-vanished",
    is_flag=True,
    help="Let sources lose all their rows at once, vanished or rewritten to nothing, although the breaker blocks it.",
)


@cli.command()
@range_options
@click.option("--dry-run", is_flag=True, help="Say what would change and why; write nothing.")
@_rebuild
@_accept_vanished
@_accept_lost_rows
@json_option
def sync(
    hours: Range, *, dry_run: bool, rebuild: bool, accept_vanished: bool, accept_lost_rows: bool, as_json: bool
) -> None:
    """Make hour files equal to their sources, now and in this process; no Dagster needed."""
    from s3_assets.cli.plan import plan_hours
    from s3_assets.cli.sync import sync_hours

    options = _options(rebuild=rebuild, accept_vanished=accept_vanished, accept_lost_rows=accept_lost_rows)
    run = plan_hours if dry_run else sync_hours
    sys.exit(run(hours, options, as_json=as_json))


@cli.command()
@hour_arguments(required=False)
@range_options
@click.option("--explain", is_flag=True, help="In place of a range, say all there is to say of one EVENT HOUR.")
@_rebuild
@_accept_vanished
@_accept_lost_rows
@json_option
def plan(
    hours: Range,
    hour: Hour | None,
    *,
    explain: bool,
    rebuild: bool,
    accept_vanished: bool,
    accept_lost_rows: bool,
    as_json: bool,
) -> None:
    """Say what `sync` would change, why, and what it would cost; write nothing.

    Looks at ledgers and listings, not into the files. With --explain: why one hour is stale, or that it is not, and
    what will become of it, also by what Dagster knows where DAGSTER_HOME is set.
    """
    options = _options(rebuild=rebuild, accept_vanished=accept_vanished, accept_lost_rows=accept_lost_rows)
    if explain:
        from s3_assets.cli.explain import explain_hour

        if hour is None or hours != Range((), None, None):
            raise click.UsageError("--explain takes one EVENT HOUR, and no range")
        sys.exit(explain_hour(hour, options, as_json=as_json))
    if hour is not None:
        raise click.UsageError("EVENT HOUR goes with --explain; a range is --event, --from and --to")
    from s3_assets.cli.plan import plan_hours

    sys.exit(plan_hours(hours, options, as_json=as_json))


@cli.command()
@hour_arguments(required=True)
@json_option
def show(hour: Hour, *, as_json: bool) -> None:
    """Show the ledger of one hour file: its sources, which segment holds each, which are quarantined and why.

    HOUR is 2021-09-01-07:00 or 2021-09-01T07:00; both in one word, as Dagster shows it, is event|2021-09-01-07:00.
    """
    from s3_assets.cli.show import show_hour

    sys.exit(show_hour(hour, as_json=as_json))


@cli.command()
@hour_arguments(required=True)
@click.option("--at", type=MOMENT, help="Show what it held then: at a moment, or at the end of a date (UTC).")
@click.option("--restore", metavar="VERSION_ID", help="Bring this version back, as a new one.")
@json_option
def history(hour: Hour, *, at: datetime | None, restore: str | None, as_json: bool) -> None:
    """List the versions of one hour file: when, how large, rows, sources, and what changed against the one before.

    HOUR is 2021-09-01-07:00 or 2021-09-01T07:00; both in one word, as Dagster shows it, is event|2021-09-01-07:00.
    Needs a bucket with versioning.
    """
    from s3_assets.cli.history import restore_version, show_at, show_history

    if at is not None and restore is not None:
        raise click.UsageError("--at shows a version, --restore brings one back: give one of them")
    if at is not None:
        sys.exit(show_at(hour, at, as_json=as_json))
    if restore is None:
        sys.exit(show_history(hour, as_json=as_json))
    sys.exit(restore_version(hour, restore, as_json=as_json))


@cli.command()
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@json_option
def where(sources: tuple[str, ...], *, as_json: bool) -> None:
    """Say where source objects went: the hour file, segment and rows of each, or why it is in none.

    SOURCE is s3://bucket/key, or the key below the source prefix; `-` reads them from stdin, a line each. Exit 0: the
    rows of all are in their hour files, as the objects are or, where they are gone, last were. Exit 1: one's are not.
    """
    from s3_assets.cli.where import where_sources

    asked: dict[str, None] = {}
    for word in sources:  # a key may hold any line break of Unicode, so only those of text files end a line
        lines = [line.removesuffix("\r") for line in sys.stdin.read().split("\n")] if word == "-" else [word]
        asked |= dict.fromkeys(filter(None, lines))
    if not asked:
        raise click.UsageError("no source was given")
    try:
        "".join(asked).encode()
    except UnicodeEncodeError:
        raise click.UsageError("a source is not UTF-8, as all keys are") from None
    sys.exit(where_sources(list(asked), as_json=as_json))


@cli.command()
@range_options
@click.option(
    "--deep",
    is_flag=True,
    help="Read all bytes too: inflate and hash every segment, count the rows, and compare them with the sources "
    "that are still there.",
)
@click.option(
    "--grace",
    type=click.IntRange(min=0),
    default=15,
    show_default=True,
    help="Minutes. A source that came no longer ago and is not taken in yet is called behind, not wrong.",
)
@click.option(
    "--abort-uploads",
    is_flag=True,
    help="Abort the uploads of hour files that dead builders left open. All else is only looked at.",
)
@json_option
def verify(hours: Range, *, deep: bool, grace: int, abort_uploads: bool, as_json: bool) -> None:
    """Audit hour files against their sources, and say which command mends what differs. Changes nothing.

    Exit 0: nothing is wrong (an hour may be behind). Exit 1: something is, or an hour could not be looked at.
    """
    from s3_assets.cli.verify import verify_hours

    sys.exit(verify_hours(hours, deep=deep, grace_minutes=grace, abort_uploads=abort_uploads, as_json=as_json))


@cli.command()
@range_options
@_rebuild
@_accept_vanished
@click.option("--changed-only", is_flag=True, help="Leave out the hours of which `plan` says that they are right.")
@click.option(
    "--url",
    type=WEB_ADDRESS,
    help="Dagster's webserver [default: S3_ASSETS_DAGSTER_URL, or http://127.0.0.1:3000]",
)
@click.option("--location", help="The code location, where several have the job [default: the only one]")
@click.option("--dry-run", is_flag=True, help="Say how many hours, runs and bytes it would be; launch nothing.")
@click.option("--wait/--no-wait", default=True, help="Wait until the runs have ended [default], or launch them only.")
@click.option("--cancel", "cancel_id", type=REPLAY_ID, help="In place of all this: end the runs of this replay.")
@json_option
@click.pass_context
def replay(context: click.Context, /, hours: Range, *, cancel_id: str | None, as_json: bool, **asked: Any) -> None:
    """Look at hours again in few runs of a running Dagster, and make them right, newest first.

    For the hours of the range that have sources or an hour file; needs the same settings here as the code location
    has. Hours that are right are only looked at, so the same command goes on after Ctrl-C; with --rebuild it begins
    afresh. Exit 0: all runs ended well. Exit 1: one did not, or nothing could be launched.
    """
    from s3_assets.cli.replay import ReplayOptions, cancel_replay, replay_hours

    if cancel_id is not None:
        others = {
            parameter.opts[0]
            for parameter in context.command.params
            if context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        } - {"--cancel", "--url", "--json"}
        if others:
            message = f"--cancel goes with --url and --json only, not with {', '.join(sorted(others))}"
            raise click.UsageError(message)
        sys.exit(cancel_replay(cancel_id, asked["url"], as_json=as_json))
    if asked["changed_only"] and asked["rebuild"]:
        raise click.UsageError("--rebuild makes all hours again, --changed-only leaves out those that are right")
    build = _options(rebuild=asked.pop("rebuild"), accept_vanished=asked.pop("accept_vanished"), accept_lost_rows=False)
    sys.exit(replay_hours(hours, ReplayOptions(build, **asked, as_json=as_json)))


@cli.command()
@click.option(
    "--tolerance",
    type=click.IntRange(min=45),
    default=180,
    show_default=True,
    help="Seconds. So old a daemon's last heartbeat may be (they come every 30 s), and so late a tick.",
)
@click.option(
    "--queue-age",
    type=click.IntRange(min=1),
    default=60,
    show_default=True,
    help="Minutes that a run may wait in a queue that does not move, or be launched without starting.",
)
@click.option(
    "--run-age", type=click.IntRange(min=1), default=12, show_default=True, help="Hours that a run may be under way."
)
@click.option(
    "--backup-age",
    type=click.IntRange(min=1),
    default=12,
    show_default=True,
    help="Hours after its tick by which the backup of a day has to be there.",
)
@click.option(
    "--patience",
    type=click.IntRange(1, 40),
    default=20,
    show_default=True,
    help="Seconds that Dagster's storage may take to answer.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="SENSOR",
    help="One more sensor that has to be on and tick, as another pipeline's; may be given again.",
)
@click.option("--without", multiple=True, metavar="CHECK", help="Leave out this check; may be given again.")
@click.option("--location", help="The code location, where several have such sensors [default: any]")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file that remembers what was said [default: in $XDG_STATE_HOME/s3_assets or ~/.local/state/s3_assets]",
)
@click.option("--dry-run", is_flag=True, help="Say what would be sent to Slack; send and remember nothing.")
@json_option
def watchdog(
    *,
    tolerance: int,
    queue_age: int,
    run_age: int,
    backup_age: int,
    also: tuple[str, ...],
    without: tuple[str, ...],
    patience: int,
    **asked: Any,
) -> None:
    """Look from outside whether daemon, sensors, queue and backup live; tell Slack what changed since the last look.

    For cron or systemd, see docs/watchdog.md. Reads the storage of the instance in DAGSTER_HOME, needs no webserver,
    and ends within two minutes whatever does not answer. Exit 0: all is well. Exit 1: something is down, or could not
    be told. Exit 2: the settings or the options can't be used.
    """
    from s3_assets.cli.watchdog import WatchOptions, watch
    from s3_assets.watchdog.checks import Limits

    limits = Limits(
        tolerance=timedelta(seconds=tolerance),
        queue=timedelta(minutes=queue_age),
        run=timedelta(hours=run_age),
        backup=timedelta(hours=backup_age),
    )
    sys.exit(watch(WatchOptions(limits, patience, also=also, without=frozenset(without), **asked)))


@cli.command()
@click.option("--once", is_flag=True, help="No UI: build, check that every target equals its sources, and end.")
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".demo"),
    show_default=True,
    help="Where the S3 data, Dagster's state and the logs go.",
)
def demo(*, once: bool, directory: Path) -> None:
    """Run the whole thing here: an S3 server, sample producers, Dagster with its UI. Ctrl-C ends it all."""
    from s3_assets.demo.run import run_demo

    sys.exit(run_demo(once=once, directory=directory.resolve()))


cli.add_command(backup)
cli.add_command(doctor)


def _options(*, rebuild: bool, accept_vanished: bool, accept_lost_rows: bool) -> BuildOptions:
    from s3_assets.builder.build import BuildOptions

    return BuildOptions(rebuild=rebuild, accept_vanished=accept_vanished, accept_lost_rows=accept_lost_rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: errors of this package become one line and an exit code, not a trace; log files get the trace."""
    words = shlex.join(sys.argv[1:] if arguments is None else arguments)
    words = words.encode(errors="backslashreplace").decode()  # a word that is not UTF-8 would spoil the log's line
    try:
        cli.main(arguments, prog_name="s3-assets", standalone_mode=True)
    except SystemExit as end:
        _note(logging.ERROR if end.code else logging.INFO, f"s3-assets {words}: exit {end.code or 0}")
        raise
    except SettingsError as error:
        click.echo(f"error: {error}", err=True)
        _note(logging.ERROR, f"s3-assets {words}: {error}")
        sys.exit(EXIT_USAGE)
    except S3AssetsError as error:
        click.echo(f"error: {error.describe()}", err=True)
        _note(logging.ERROR, f"s3-assets {words}: {error.describe()}", trace=True)
        sys.exit(EXIT_FAILED)
    except Exception:
        _note(logging.CRITICAL, f"s3-assets {words}: it ended by a fault of its own", trace=True)
        raise


def _note(level: int, what: str, *, trace: bool = False) -> None:
    """For log files, where there are any: on the console it was said already."""
    if _log.hasHandlers():
        _log.log(level, "%s", what, exc_info=trace, stacklevel=2, extra={ON_SCREEN: True})


if __name__ == "__main__":
    main()
