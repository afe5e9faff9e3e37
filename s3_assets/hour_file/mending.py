"""The commands that mend an hour, as an operator types them: errors and audits name them, and no other way.

Text only: nothing is run.
"""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from s3_assets.hour_file.keys import Hour

REBUILD = "--rebuild"
ACCEPT_VANISHED = "--accept-vanished"
ACCEPT_LOST_ROWS = "--accept-lost-rows"


def hour_options(hour: Hour) -> str:
    """The options that choose one hour and no other."""
    return f"--event {shlex.quote(hour.event)} --from {hour.label} --to {hour.label}"


def explain_command(hour: Hour) -> str:
    """`s3-assets plan --explain` for this hour; after `--` where its event looks like an option."""
    return _of_hour("plan --explain", hour)


def show_command(hour: Hour) -> str:
    """The same of `s3-assets show`."""
    return _of_hour("show", hour)


def _of_hour(command: str, hour: Hour) -> str:
    end = "-- " if hour.event.startswith("-") else ""
    return f"s3-assets {command} {end}{shlex.quote(hour.partition_key)}"


def sync_command(hour: Hour, *flags: str) -> str:
    """`s3-assets sync` for this hour."""
    return " ".join(("s3-assets sync", *flags, hour_options(hour)))
