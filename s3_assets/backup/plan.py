"""What is to be done for one file of a day, and what the day's manifest becomes.

Pure. The local file is known by its SHA-256: size and time can stay the same over an edit. A copy is known by the
ETag under which the manifest vouches for its SHA-256; one that the manifest does not vouch for is asked for its own.

The invariant: a file leaves the manifest only if its copy was replaced, never because the local file is gone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from s3_assets.backup.manifest import Entry, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date


@dataclass(frozen=True, slots=True, order=True)
class LocalFile:
    """A file as the folder lists it.

    Attributes:
        path: Below the folder, `/` between folders.
        size: Bytes.
        mtime_ns: Nanoseconds since 1970.
    """

    path: str
    size: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Copy:
    """An object as the bucket lists it.

    Attributes:
        size: Bytes.
        etag: Opaque.
    """

    size: int
    etag: str


class Step(StrEnum):
    """What is to be done for one file."""

    KEEP = "keep"
    ASK = "ask"
    SEND = "send"


def decide(sha256: str, size: int, entry: Entry | None, copy: Copy | None) -> Step:
    """What is to be done for a file of that content: nothing, ask what the copy is, or send it.

    Args:
        sha256: Of the local file, as read.
        size: Of the same.
        entry: What the manifest says of the path.
        copy: What is listed under its key.
    """
    if copy is None or copy.size != size:
        return Step.SEND
    if entry is not None and entry.etag == copy.etag and entry.size == copy.size:
        return Step.KEEP if entry.sha256 == sha256 else Step.SEND
    return Step.ASK


@dataclass(frozen=True)
class Merged:
    """What a day's manifest becomes.

    Attributes:
        manifest: All files.
        carried: Paths that it holds although the local file is gone.
        lost: Paths whose copy is not there, or is another one, with what was found.
    """

    manifest: Manifest
    carried: list[str]
    lost: dict[str, str]


def merge(day: date, zone: str, before: Manifest | None, stored: Iterable[Entry], copies: Mapping[str, Copy]) -> Merged:
    """Put what was stored now over what the manifest held before, and compare all of it with the bucket.

    Args:
        day: Whose files.
        zone: The name of the time zone.
        before: The manifest that stands; None where there is none.
        stored: An entry for each local file.
        copies: What is listed below the day, by path, after all was stored.
    """
    now = {entry.path: entry for entry in stored}
    carried = {} if before is None else {path: old for path, old in before.entries.items() if path not in now}
    entries = {**carried, **now}
    lost: dict[str, str] = {}
    for path, entry in entries.items():
        copy = copies.get(path)
        if copy is None:
            lost[path] = "there is no copy under its name"
        elif (copy.size, copy.etag) != (entry.size, entry.etag):
            lost[path] = f"its copy was replaced: {copy.size} bytes, ETag {copy.etag}"
    return Merged(Manifest(day, zone, entries), sorted(carried), lost)


def late_files(manifest: Manifest, files: Iterable[LocalFile]) -> list[LocalFile]:
    """The files that the manifest does not hold as they are, by size and time."""
    return sorted(file for file in files if not _holds(manifest, file))


def _holds(manifest: Manifest, file: LocalFile) -> bool:
    entry = manifest.entries.get(file.path)
    return entry is not None and (entry.size, entry.mtime_ns) == (file.size, file.mtime_ns)


def listing_digest(files: Iterable[LocalFile]) -> str:
    """Of the paths, sizes and times of a day: where it is as it was, no file is late."""
    digest = hashlib.sha256()
    for file in sorted(files):
        digest.update(f"{file.path}\0{file.size}\0{file.mtime_ns}\0".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
