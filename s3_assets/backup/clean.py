"""Removing old local files, each only after its copy was read back and found to be the very same bytes.

Off unless `backup_keep_days` is set. The invariant: at the moment in which a file goes, its day has a manifest that
names its SHA-256, the file was read and has it, and the copy was read and has it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.backup.reading import Stamp, read_file
from s3_assets.backup.threads import each
from s3_assets.backup.walk import Problem
from s3_assets.errors import (
    DamagedCopyError,
    DamagedManifestError,
    LocalFileError,
    NoBackupError,
    NotFoundError,
    S3AssetsError,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from s3_assets.backup.manifest import Manifest
    from s3_assets.backup.plan import LocalFile
    from s3_assets.backup.site import BackupSite


@dataclass
class Cleaned:
    """What was removed, or in a dry run what would be.

    Attributes:
        before: Files of earlier days were looked at.
        removed: Files with their days.
        kept: Files that were not removed, and days none of whose files were, with the reasons.
    """

    before: date
    removed: list[tuple[date, LocalFile]] = field(default_factory=list)
    kept: list[Problem] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Bytes of the removed files."""
        return sum(file.size for _, file in self.removed)


def clean(
    site: BackupSite,
    before: date,
    *,
    dry_run: bool,
    begin: Callable[[int], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Cleaned:
    """Remove the local files of all days before `before` that are backed up.

    Args:
        site: Which backup.
        before: The first day that stays.
        dry_run: Look at everything in the same way, and remove nothing.
        begin: Told how many files will be looked at.
        tell: Told the path of each that was.

    Raises:
        BackupFolderError: The folder can't be read.
        StoreError: The store failed.
    """
    found = site.walk()
    result = Cleaned(before)
    todo: list[tuple[date, LocalFile, Manifest]] = []
    for day in sorted(day for day in found.days if day < before):
        try:
            manifest = site.manifest_of(day)
        except (NoBackupError, DamagedManifestError) as error:
            result.kept.append(Problem(f"all {len(found.days[day])} files of {day}", error.describe(), day))
            continue
        todo += [(day, file, manifest) for _, file in sorted(found.days[day].items())]
    begin(len(todo))
    for (day, file, _), outcome in each(lambda one: _remove(site, *one, dry_run=dry_run), todo, site.threads):
        tell(file.path)
        if isinstance(outcome, LocalFileError | DamagedCopyError | NotFoundError):
            result.kept.append(Problem(file.path, str(outcome), day))
        elif isinstance(outcome, S3AssetsError):
            raise outcome
        else:
            result.removed.append((day, file))
    result.removed.sort()
    return result


def _remove(site: BackupSite, day: date, file: LocalFile, manifest: Manifest, *, dry_run: bool) -> None:
    """Remove one file, or raise what speaks against it."""
    entry = manifest.entries.get(file.path)
    reading = read_file(site.folder, file.path, site.patience)
    if entry is None or entry.sha256 != reading.sha256.hex():
        raise LocalFileError(file.path, "it is not backed up as it is: back up its day again")
    key = f"{site.day_prefix(day)}{file.path}"
    found = site.bucket.digest(key, version_id=entry.version_id)
    if found != entry.sha256:
        raise DamagedCopyError(key, expected=entry.sha256, found=found)
    path = site.folder / file.path
    try:
        if Stamp.of(path.stat()) != reading.stamp:
            raise LocalFileError(file.path, "it changed while its copy was looked at")
        if not dry_run:
            path.unlink()
    except OSError as error:
        raise LocalFileError(file.path, f"it can't be removed: {error.strerror}") from None
