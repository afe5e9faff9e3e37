"""The backup of one day: list, read and compare every file, send what is missing, say that it is whole.

The manifest goes up last, on a condition, and only if every file of the day is on S3. With anything wrong, the files
that can be sent still are, and the result names each that could not.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.backup.plan import Copy, LocalFile, Step, listing_digest, merge
from s3_assets.backup.send import CONTENDED_HINT, FileDone, Sender
from s3_assets.backup.threads import each
from s3_assets.backup.walk import Problem
from s3_assets.errors import (
    AccessDeniedError,
    BucketNotFoundError,
    ContendedError,
    LocalFileError,
    PreconditionFailedError,
    S3AssetsError,
    StoreUnavailableError,
    WriteConflictError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import date

    from s3_assets.backup.manifest import Entry, Manifest
    from s3_assets.backup.site import BackupSite
    from s3_assets.store.metered import Traffic

_log = logging.getLogger(__name__)

COMMIT_TRIES = 5
"""How often the manifest is written where another run writes it too."""

SILENT_STORE = 5
"""After so many files in a row for which the store did not answer, the others are not tried."""


@dataclass
class GroupCount:
    """What there is of one group of files."""

    files: int = 0
    size: int = 0
    sent: int = 0


@dataclass
class DayResult:
    """What a run did for one day.

    Attributes:
        day: Which one.
        uri: Of its manifest.
        files: How many local files the day has.
        size: Bytes of them.
        sent: The files that were sent, by path; in a dry run those that would be.
        bytes_sent: Of files, through this host.
        parts_found: Parts that a cut upload had left, and that were not sent again.
        moved: Files that were changed since they were listed, and belong to another day now.
        carried: Files that the backup holds and the folder does not any more.
        problems: What could not be backed up. With any, no manifest was written.
        manifest: The one that stands now; None where there is none, and in a dry run.
        manifest_etag: Its own; empty where there is none.
        written: Whether it was written now.
        groups: What there is of each group, in the manifest.
        listing: Digest of the local files as they were listed.
        traffic: All requests.
        seconds: How long it took.
    """

    day: date
    uri: str
    files: int = 0
    size: int = 0
    sent: list[str] = field(default_factory=list)
    bytes_sent: int = 0
    parts_found: int = 0
    moved: list[str] = field(default_factory=list)
    carried: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    manifest: Manifest | None = None
    manifest_etag: str = ""
    written: bool = False
    groups: dict[str, GroupCount] = field(default_factory=dict)
    listing: str = ""
    traffic: Traffic | None = None
    seconds: float = 0.0

    @property
    def right(self) -> bool:
        """Whether the day is backed up in whole."""
        return not self.problems


def back_up(
    site: BackupSite,
    day: date,
    *,
    dry_run: bool = False,
    begin: Callable[[int], None] = lambda _: None,
    tell: Callable[[FileDone | Problem], None] = lambda _: None,
) -> DayResult:
    """Make the backup of `day` right; where it is right already, nothing is sent.

    Args:
        site: From where to where.
        day: Of the backup's zone.
        dry_run: Say what would be sent; send nothing.
        begin: Told how many files there are.
        tell: Told what became of each, in the calling thread.

    Raises:
        BackupFolderError: The folder can't be taken for what is to be backed up.
        DamagedManifestError: The day's manifest can't be read.
        AccessDeniedError, BucketNotFoundError, StoreUnavailableError: Nothing can be done at all.
        ContendedError: Other runs keep writing the day's manifest.
    """
    began = time.monotonic()
    found = site.walk()
    files = sorted(found.days.get(day, {}).values())
    result = DayResult(day, site.uri(site.manifest_key(day)), len(files), sum(file.size for file in files))
    result.problems = found.problems_of(day)
    result.listing = listing_digest(files)
    for problem in result.problems:
        tell(problem)
    begin(len(files))
    standing = site.manifest(day)  # before the copies are listed: these must not be older than what it says of them
    copies = site.bucket.copies(site.day_prefix(day))
    sender = Sender(site, day, None if standing is None else standing[0], copies, dry_run=dry_run)
    entries: list[Entry] = []
    for outcome in _all_files(sender, files, site.threads, day):
        tell(outcome)
        _note(site, result, entries, outcome)
    result.sent.sort()
    if not result.problems and not dry_run:
        _commit(site, result, entries, standing, copies)
    result.problems.sort(key=lambda problem: problem.path)
    result.traffic, result.seconds = site.bucket.traffic, time.monotonic() - began
    return result


def _all_files(sender: Sender, files: list[LocalFile], threads: int, day: date) -> Iterator[FileDone | Problem]:
    """Back up all, the largest first; an error that is not about one file alone is raised."""
    silent = 0
    largest_first = sorted(files, key=lambda file: -file.size)
    for file, outcome in each(sender.back_up, largest_first, threads, stop=sender.stop.set):
        silent = silent + 1 if isinstance(outcome, StoreUnavailableError) else 0
        hopeless = silent >= SILENT_STORE or isinstance(outcome, AccessDeniedError | BucketNotFoundError)
        if hopeless and isinstance(outcome, S3AssetsError):
            raise outcome
        yield _problem(outcome, file, day) if isinstance(outcome, S3AssetsError) else outcome


def _problem(error: S3AssetsError, file: LocalFile, day: date) -> Problem:
    reason = error.detail if isinstance(error, LocalFileError) else str(error)
    hint = f" ({error.hint})" if error.hint else ""
    return Problem(file.path, f"{reason}{hint}", day, retryable=error.retryable)


def _note(site: BackupSite, result: DayResult, entries: list[Entry], outcome: FileDone | Problem) -> None:
    if isinstance(outcome, Problem):
        result.problems.append(outcome)
        return
    if outcome.entry is not None:
        entries.append(outcome.entry)
    elif outcome.step is not Step.SEND:
        result.moved.append(outcome.path)
        return
    group = result.groups.setdefault(site.selection.group(outcome.path), GroupCount())
    group.files += 1
    group.size += outcome.size
    result.bytes_sent += outcome.bytes_sent
    result.parts_found += outcome.parts_found
    if outcome.step is Step.SEND:
        result.sent.append(outcome.path)
        group.sent += 1


def _commit(
    site: BackupSite,
    result: DayResult,
    entries: list[Entry],
    standing: tuple[Manifest, str] | None,
    copies: Mapping[str, Copy],
) -> None:
    """Compare all with what the bucket lists, and write the manifest if it is another one than stands."""
    key, day = site.manifest_key(result.day), result.day
    if any(copies.get(entry.path) != Copy(entry.size, entry.etag) for entry in entries):
        copies = site.bucket.copies(site.day_prefix(day))
    for _ in range(COMMIT_TRIES):
        before, etag = standing if standing is not None else (None, None)
        merged = merge(day, site.zone.key, before, entries, copies)
        result.carried = merged.carried
        result.problems = [
            Problem(path, f"on S3, {reason}", day, retryable=path not in merged.carried)
            for path, reason in merged.lost.items()
        ]
        if result.problems:
            return
        if merged.manifest == before:
            result.manifest, result.manifest_etag = before, etag or ""
            return
        data = merged.manifest.encode()
        try:
            stored = site.bucket.put(key, data, if_match=etag, if_absent=etag is None, content_type="application/json")
        except (PreconditionFailedError, WriteConflictError):
            _log.info("the manifest of %s was written by another run meanwhile: looking again", day)
            standing = site.manifest(day)
            copies = site.bucket.copies(site.day_prefix(day))
            continue
        result.manifest, result.manifest_etag, result.written = merged.manifest, stored.etag, True
        return
    raise ContendedError(f"the manifest of {day} kept changing: {COMMIT_TRIES} tries", hint=CONTENDED_HINT)
