"""The command `s3-assets`: exit 0 when all is right, 1 when an hour failed, 2 on bad usage or settings."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from s3_assets import __version__
from s3_assets.cli.backup import backup
from s3_assets.cli.options import EVENT, HOUR, REPLAY_ID, WEB_ADDRESS, Range, json_option, range_options
from s3_assets.errors import S3AssetsError, SettingsError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3_assets.builder.build import BuildOptions

EXIT_FAILED = 1
EXIT_USAGE = 2


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="s3-assets")
@click.option("-v", "--verbose", count=True, help="Say more on stderr: -v what happens, -vv more.")
def cli(verbose: int) -> None:
    """One right gzip per event and hour, from the CSV files that producers drop into S3.

    Where and how is set by environment variables (S3_ASSETS_SOURCE, S3_ASSETS_TARGET, …; see docs/settings.md);
    credentials, region and endpoint are the standard AWS ones.
    """
    levels = [logging.WARNING, logging.INFO, logging.DEBUG]
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("s3_assets").setLevel(levels[min(verbose, 2)])  # not botocore's: it logs credentials


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
    help="Let vanished sources go although the breaker would hold them (events with on_vanished = drop).",
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
    from s3_assets.cli.sync import plan_hours, sync_hours

    options = _options(rebuild=rebuild, accept_vanished=accept_vanished, accept_lost_rows=accept_lost_rows)
    run = plan_hours if dry_run else sync_hours
    sys.exit(run(hours, options, as_json=as_json))


@cli.command()
@range_options
@_rebuild
@_accept_vanished
@_accept_lost_rows
@json_option
def plan(hours: Range, *, rebuild: bool, accept_vanished: bool, accept_lost_rows: bool, as_json: bool) -> None:
    """Say what `sync` would change, and why; write nothing. Looks at ledgers and listings, not into the files."""
    from s3_assets.cli.sync import plan_hours

    options = _options(rebuild=rebuild, accept_vanished=accept_vanished, accept_lost_rows=accept_lost_rows)
    sys.exit(plan_hours(hours, options, as_json=as_json))


@cli.command()
@click.argument("event", type=EVENT)
@click.argument("hour", type=HOUR)
@json_option
def show(event: str, hour: str, *, as_json: bool) -> None:
    """Show the ledger of one hour file: its sources, which segment holds each, which are quarantined and why.

    HOUR is 2021-09-01-07:00 or 2021-09-01T07:00.
    """
    from s3_assets.cli.show import show_hour

    sys.exit(show_hour(event, hour, as_json=as_json))


@cli.command()
@click.argument("event", type=EVENT)
@click.argument("hour", type=HOUR)
@click.option("--restore", metavar="VERSION_ID", help="Bring this version back, as a new one.")
@json_option
def history(event: str, hour: str, *, restore: str | None, as_json: bool) -> None:
    """List the versions of one hour file: when, how large, rows, sources, and what changed against the one before.

    HOUR is 2021-09-01-07:00 or 2021-09-01T07:00. Needs a bucket with versioning.
    """
    from s3_assets.cli.history import restore_version, show_history

    if restore is None:
        sys.exit(show_history(event, hour, as_json=as_json))
    sys.exit(restore_version(event, hour, restore, as_json=as_json))


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


def _options(*, rebuild: bool, accept_vanished: bool, accept_lost_rows: bool) -> BuildOptions:
    from s3_assets.builder.build import BuildOptions

    return BuildOptions(rebuild=rebuild, accept_vanished=accept_vanished, accept_lost_rows=accept_lost_rows)


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point: errors of this package become one line and an exit code, not a trace."""
    try:
        cli.main(arguments, prog_name="s3-assets", standalone_mode=True)
    except SettingsError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(EXIT_USAGE)
    except S3AssetsError as error:
        click.echo(f"error: {error.describe()}", err=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
