"""The command `s3-assets`: exit 0 when all is right, 1 when an hour failed, 2 on bad usage or settings."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3_assets import __version__
from s3_assets.cli.options import EVENT, HOUR, Range, json_option, range_options
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
    "Rows of sources that are gone are carried over, where the old file can be read.",
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
@json_option
def sync(hours: Range, *, dry_run: bool, rebuild: bool, accept_vanished: bool, as_json: bool) -> None:
    """Make hour files equal to their sources, now and in this process; no Dagster needed."""
    from s3_assets.cli.sync import plan_hours, sync_hours

    options = _options(rebuild=rebuild, accept_vanished=accept_vanished)
    run = plan_hours if dry_run else sync_hours
    sys.exit(run(hours, options, as_json=as_json))


@cli.command()
@range_options
@_rebuild
@_accept_vanished
@json_option
def plan(hours: Range, *, rebuild: bool, accept_vanished: bool, as_json: bool) -> None:
    """Say what `sync` would change, and why; write nothing. Looks at ledgers and listings, not into the files."""
    from s3_assets.cli.sync import plan_hours

    sys.exit(plan_hours(hours, _options(rebuild=rebuild, accept_vanished=accept_vanished), as_json=as_json))


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


def _options(*, rebuild: bool, accept_vanished: bool) -> BuildOptions:
    from s3_assets.builder.build import BuildOptions

    return BuildOptions(rebuild=rebuild, accept_vanished=accept_vanished)


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
