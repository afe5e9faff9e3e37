"""`history`: the versions of one hour file, what it held at a moment, and bringing a version back."""

from __future__ import annotations

import json
import os
from datetime import UTC
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from s3_assets.builder.history import HourVersion, history, restore
from s3_assets.builder.target import read_target, read_version
from s3_assets.cli.render import human_bytes, plain, print_tables, printable
from s3_assets.cli.show import print_target, target_json
from s3_assets.hour_file.mending import REBUILD, sync_command
from s3_assets.opening import open_pipeline
from s3_assets.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.builder.target import Target
    from s3_assets.hour_file.keys import Hour
    from s3_assets.store.contract import ObjectVersion

NOT_VERSIONED = "the bucket keeps no versions: switch its versioning on to have a history from then on"


def show_history(hour: Hour, *, as_json: bool) -> int:
    """Print the versions of an hour file, newest first; the exit code, 1 where there is none."""
    with open_pipeline(load_settings(os.environ)) as pipeline:
        uri = pipeline.target_uri(hour)
        versions = list(history(pipeline, hour))
    if not versions:
        click.echo(f"there is no hour file {printable(uri)}, and never was, as far as its versions tell", err=True)
        return 1
    versioned = any(version.info.version_id is not None for version in versions)
    if as_json:
        document = {"uri": uri, "versioned": versioned, "versions": [_version_json(version) for version in versions]}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    _print(versions)
    if not versioned:
        click.echo(f"{printable(uri)}: {NOT_VERSIONED}", err=True)
    return 0


def show_at(hour: Hour, at: datetime, *, as_json: bool) -> int:
    """Print what the hour file held at a moment (aware); the exit code, 1 where it was not there, or nobody knows.

    Times are those of the versions: of a large file, when its upload began.

    Raises:
        DamagedTargetError: That version can't be read.
    """
    moment = f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    with open_pipeline(load_settings(os.environ)) as pipeline:
        uri = printable(pipeline.target_uri(hour))
        versions = list(pipeline.target.list_versions(pipeline.target_key(hour)))
        place = next((place for place, one in enumerate(versions) if one.info.last_modified <= at), None)
        if place is None or versions[place].is_deleted:
            click.echo(f"{uri} was not there at {moment}: {_why_not(versions, place)}", err=True)
            return 1
        target = _read(pipeline, hour, versions[place], stands=place == 0)
    if target is None:
        click.echo(f"{uri}: the version of {moment} can't be read any more", err=True)
        return 1
    if target.ledger is None:
        if target.problem is not None:
            raise target.problem.mended_by(sync_command(hour, REBUILD))
        return 1
    replaced = versions[place - 1].info.last_modified if place else None
    if as_json:
        until = None if replaced is None else replaced.isoformat()
        document = {**target_json(uri, target, target.ledger), "at": at.isoformat(), "stood_until": until}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return 0
    since = f"{versions[place].info.last_modified:%Y-%m-%d %H:%M:%S}"
    until = "to this day" if replaced is None else f"until {replaced:%Y-%m-%d %H:%M:%S}"
    click.echo(f"at {moment}: version {printable(target.version_id or '-')}, which stood from {since} {until}")
    print_target(uri, target, target.ledger)
    return 0


def _why_not(versions: Sequence[ObjectVersion], place: int | None) -> str:
    if place is not None:
        return f"it had been deleted at {versions[place].info.last_modified:%Y-%m-%d %H:%M:%S}"
    if not versions:
        return "there is no version of it"
    if versions[0].info.version_id is None:
        return f"it was written at {versions[0].info.last_modified:%Y-%m-%d %H:%M:%S}; before, {NOT_VERSIONED}"
    return f"its first version that is kept is of {versions[-1].info.last_modified:%Y-%m-%d %H:%M:%S}"


def _read(pipeline: Pipeline, hour: Hour, version: ObjectVersion, *, stands: bool) -> Target | None:
    """A version; one without a name, from before versioning, only as long as it stands."""
    key, version_id = pipeline.target_key(hour), version.info.version_id
    if version_id is not None:
        return read_version(pipeline.target, key, hour, version_id)
    return read_target(pipeline.target, key, hour) if stands else None


def restore_version(hour: Hour, version_id: str, *, as_json: bool) -> int:
    """Bring a version back as a new one; the exit code, 1 where the bucket keeps none.

    Raises:
        S3AssetsError: It is not there, damaged, or somebody else was faster: nothing was written.
    """
    with open_pipeline(load_settings(os.environ)) as pipeline:
        uri = pipeline.target_uri(hour)
        standing = pipeline.target.head(pipeline.target_key(hour))
        if standing is not None and standing.version_id is None:
            click.echo(f"{printable(uri)}: {NOT_VERSIONED}", err=True)
            return 1
        info = restore(pipeline, hour, version_id)
    new = version_id if info is None else info.version_id
    if as_json:
        click.echo(json.dumps({"uri": uri, "version_id": new, "restored": version_id, "written": info is not None}))
    elif info is None:
        click.echo(f"{printable(uri)} is version {printable(version_id)} already: nothing was written")
    else:
        click.echo(f"{printable(uri)} is as version {printable(version_id)} was, by the new version {new}")
        click.echo("The sensor, or `s3-assets sync`, makes it equal to its sources again where they differ.")
    return 0


def _print(versions: Sequence[HourVersion]) -> None:
    table = Table("written", "version", "", box=None, pad_edge=False)
    for name in ("size", "rows", "sources"):
        table.add_column(name, justify="right")
    table.add_column("what changed")
    for version in versions:
        info = version.info
        table.add_row(
            f"{info.last_modified:%Y-%m-%d %H:%M:%S}",
            plain(info.version_id or "-"),
            "stands" if version.stands else "",
            "" if version.is_deleted else human_bytes(info.size),
            "" if version.rows is None else f"{version.rows:,}",
            "" if version.sources is None else f"{version.sources:,}",
            plain(_what(version)),
        )
    print_tables(table)


def _what(version: HourVersion) -> str:
    if version.is_deleted:
        return "deleted"
    if version.problem is not None:
        return f"can't be read: {version.problem}"
    return "the one before can't be read" if version.changes is None else str(version.changes)


def _version_json(version: HourVersion) -> dict[str, Any]:
    found = version.changes
    return {
        "version_id": version.info.version_id,
        "written": version.info.last_modified.isoformat(),
        "stands": version.stands,
        "deleted": version.is_deleted,
        "size": version.info.size,
        "etag": version.info.etag,
        "rows": version.rows,
        "sources": version.sources,
        "quarantined": version.quarantined,
        "problem": version.problem,
        "changes": None
        if found is None
        else {
            "added": found.added,
            "rewritten": found.rewritten,
            "removed": found.removed,
            "quarantined": found.quarantined,
            "rows": found.rows,
        },
    }
