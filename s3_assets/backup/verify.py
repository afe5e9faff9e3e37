"""Looking again at what was backed up: is each copy there, and is it the file that the manifest says.

Nothing is written. `verify` reads one day back; `audit` compares the folder with all manifests, by sizes and times.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from s3_assets.backup.plan import LocalFile, late_files, listing_digest
from s3_assets.backup.threads import each
from s3_assets.backup.walk import Problem
from s3_assets.errors import DamagedCopyError, DamagedManifestError, NoBackupError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date

    from s3_assets.backup.manifest import Entry, Manifest
    from s3_assets.backup.plan import Copy
    from s3_assets.backup.site import BackupSite
    from s3_assets.backup.walk import Walk


@dataclass
class Verified:
    """What was found for one day.

    Attributes:
        day: Which one.
        manifest: As it stands.
        bytes_read: Of copies.
        problems: Copies that are not there or not right.
        late: Local files that the backup does not hold as they are.
    """

    day: date
    manifest: Manifest
    bytes_read: int = 0
    problems: list[Problem] = field(default_factory=list)
    late: list[LocalFile] = field(default_factory=list)

    @property
    def right(self) -> bool:
        """Whether every copy is right, and no file is late."""
        return not self.problems and not self.late


def verify(
    site: BackupSite,
    day: date,
    *,
    read: bool = True,
    begin: Callable[[int], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Verified:
    """Look at every copy of a day.

    Args:
        site: Which backup.
        day: Which day.
        read: Read each copy back and compare its SHA-256; else only what the bucket lists is compared.
        begin: Told how many copies there are.
        tell: Told the path of each that was looked at.

    Raises:
        NoBackupError: There is no manifest of the day.
        DamagedManifestError: It can't be read.
        BackupFolderError: The folder can't be read.
    """
    manifest = site.manifest_of(day)
    copies = site.bucket.copies(site.day_prefix(day))
    result = Verified(day, manifest)
    begin(len(manifest.entries))
    entries = [manifest.entries[path] for path in sorted(manifest.entries)]
    for entry, outcome in each(lambda entry: _look(site, day, entry, copies, read=read), entries, site.threads):
        tell(entry.path)
        if isinstance(outcome, Exception):
            reason = f"on S3, {outcome}"
            if not isinstance(outcome, DamagedCopyError | NotFoundError):
                raise outcome
            result.problems.append(Problem(entry.path, reason, day))
        else:
            result.bytes_read += outcome
    found = site.walk()
    result.late = late_files(manifest, found.days.get(day, {}).values())
    result.problems += found.problems_of(day)
    return result


def _look(site: BackupSite, day: date, entry: Entry, copies: Mapping[str, Copy], *, read: bool) -> int:
    """How many bytes were read; raises where the copy is not right."""
    key = f"{site.day_prefix(day)}{entry.path}"
    copy = copies.get(entry.path)
    if copy is None:
        raise DamagedCopyError(key, expected=f"{entry.size} bytes", found="nothing")
    if (copy.size, copy.etag) != (entry.size, entry.etag):
        raise DamagedCopyError(
            key, expected=f"{entry.size} bytes, ETag {entry.etag}", found=f"{copy.size} bytes, ETag {copy.etag}"
        )
    if not read:
        return 0
    found = site.bucket.digest(key, version_id=entry.version_id)
    if found != entry.sha256:
        raise DamagedCopyError(key, expected=entry.sha256, found=found)
    return entry.size


@dataclass
class Audit:
    """Which days are backed up, and what the folder has that the backup has not.

    Attributes:
        backed_up: Days with a manifest.
        late: Local files, by day, that the manifest of their day does not hold as they are.
        damaged: Days whose manifest can't be read, and why; also those of which the folder has no file any more.
        problems: What can't be backed up at all.
        files: How many local files each day has.
    """

    backed_up: set[date] = field(default_factory=set)
    late: dict[date, list[LocalFile]] = field(default_factory=dict)
    damaged: dict[date, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    files: dict[date, int] = field(default_factory=dict)

    @property
    def right(self) -> set[date]:
        """The days that need nothing."""
        return self.backed_up - set(self.late) - set(self.damaged)


class Known(NamedTuple):
    """How a day was when it was right: its files' `listing_digest`, and its manifest's ETag."""

    listing: str
    manifest_etag: str


def audit(site: BackupSite, known: Mapping[date, Known] | None = None) -> Audit:
    """Compare the folder with all manifests, by sizes and times: one listing, and a GET for each day that differs.

    Args:
        site: Which backup.
        known: Of days that were right: where manifest and files are still the same, they are not looked at again.

    Raises:
        BackupFolderError: The folder can't be read.
    """
    found = site.walk()
    counts = {day: len(files) for day, files in found.days.items()}
    manifests = site.backed_up_days()
    result = Audit(set(manifests), problems=found.problems, files=counts)
    days = [day for day in sorted(manifests) if not _is_known(day, manifests[day], found, known or {})]
    for day, outcome in each(site.manifest_of, days, site.threads):
        if isinstance(outcome, DamagedManifestError):
            result.damaged[day] = str(outcome)
        elif isinstance(outcome, NoBackupError):
            result.backed_up.discard(day)  # it went since it was listed
        elif isinstance(outcome, Exception):
            raise outcome
        elif late := late_files(outcome, found.days.get(day, {}).values()):
            result.late[day] = late
    return result


def _is_known(day: date, etag: str, found: Walk, known: Mapping[date, Known]) -> bool:
    """Whether the day is as it was when it was right. Files that went from the folder make none late."""
    if day not in known or known[day].manifest_etag != etag:
        return False
    return day not in found.days or known[day].listing == listing_digest(found.days[day].values())
