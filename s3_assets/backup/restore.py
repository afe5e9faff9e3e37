"""Bringing a day back: each file by its version, verified before it gets its name.

The invariant: a file in the folder is one that was there and was left alone, or a whole and verified one. No path
leads out of the folder, whatever a manifest says and whatever links are there: folders are opened one by one, and
links are not followed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.backup.threads import each
from s3_assets.backup.walk import Problem
from s3_assets.errors import DamagedCopyError, LocalFileError, NotFoundError, S3AssetsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import date
    from pathlib import Path

    from s3_assets.backup.manifest import Entry
    from s3_assets.backup.site import BackupSite

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
"""What a file system says that has no hard links."""

PARTIAL = ".s3_assets-partial"
"""The end of a file's name while it is being restored."""


@dataclass
class Restored:
    """What became of the files of a day.

    Attributes:
        day: Which one.
        written: Paths that were restored.
        left: Paths that were there already, with the same content.
        problems: Paths that could not be restored, or that were left alone because they differ.
        bytes_read: From S3.
    """

    day: date
    written: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    bytes_read: int = 0


def restore(
    site: BackupSite,
    day: date,
    into: Path,
    *,
    overwrite: bool = False,
    begin: Callable[[int], None] = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> Restored:
    """Bring all files of a day back to the folder `into`, with their times.

    Args:
        site: Which backup.
        day: Which day.
        into: Made where it is not there.
        overwrite: Replace local files that differ; else they are left alone, and named.
        begin: Told how many files there are.
        tell: Told the path of each that is done.

    Raises:
        NoBackupError: There is no manifest of the day.
        DamagedManifestError: It can't be read.
        LocalFileError: The folder can't be made or opened.
        StoreError: The store failed.
    """
    manifest = site.manifest_of(day)
    entries = [manifest.entries[path] for path in sorted(manifest.entries)]
    result = Restored(day)
    begin(len(entries))
    try:
        into.mkdir(parents=True, exist_ok=True)
        root = os.open(into, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise LocalFileError(str(into), f"the folder can't be used: {error.strerror}") from None
    try:
        work = each(lambda entry: _restore(site, day, entry, root, overwrite=overwrite), entries, site.threads)
        for entry, outcome in work:
            tell(entry.path)
            if isinstance(outcome, DamagedCopyError | LocalFileError | NotFoundError):
                reason = outcome.detail if isinstance(outcome, LocalFileError) else str(outcome)
                result.problems.append(Problem(entry.path, reason, day))
            elif isinstance(outcome, S3AssetsError):
                raise outcome
            elif outcome:
                result.written.append(entry.path)
                result.bytes_read += entry.size
            else:
                result.left.append(entry.path)
    finally:
        os.close(root)
    result.written.sort()
    result.left.sort()
    result.problems.sort(key=lambda problem: problem.path)
    return result


def _restore(site: BackupSite, day: date, entry: Entry, root: int, *, overwrite: bool) -> bool:
    """Whether the file was written; False where it was there already."""
    *folders, name = entry.path.split("/")
    try:
        with _folder(root, folders) as folder:
            there = _digest_there(folder, name, entry)
            if there == entry.sha256:
                return False
            if there is not None and not overwrite:
                raise LocalFileError(entry.path, "it is there and differs: left alone (`--overwrite` replaces it)")
            partial = f".{uuid.uuid4().hex}{PARTIAL}"
            try:
                _download(site, f"{site.day_prefix(day)}{entry.path}", entry, folder, partial)
                _place(folder, partial, name, entry, overwrite=overwrite)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(partial, dir_fd=folder)
            return True
    except OSError as error:
        what = "a link or a file is where a folder should be" if error.errno in (errno.ELOOP, errno.ENOTDIR) else ""
        raise LocalFileError(entry.path, what or f"it can't be written: {error.strerror}") from None


@contextmanager
def _folder(root: int, names: list[str]) -> Iterator[int]:
    """The folder below `root`, made where it is not there; no link is followed on the way."""
    current = os.dup(root)
    try:
        for name in names:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, dir_fd=current)
            inner = os.open(name, _FOLDER, dir_fd=current)
            os.close(current)
            current = inner
        yield current
    finally:
        os.close(current)


def _digest_there(folder: int, name: str, entry: Entry) -> str | None:
    """The SHA-256 of what has the file's name, or a word for what is no file; None where nothing has it."""
    try:
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise LocalFileError(entry.path, "a folder has its name")
    if not stat.S_ISREG(status.st_mode) or status.st_size != entry.size:
        return "another"
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, "rb") as file:  # noqa: PTH123  (a descriptor)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(site: BackupSite, key: str, entry: Entry, folder: int, partial: str) -> None:
    """Write the copy to a new file, and make sure of it; the version that the manifest names, or what is there now."""
    try:
        _write(site, key, entry, folder, partial, entry.version_id)
    except (NotFoundError, DamagedCopyError):
        if entry.version_id is None:
            raise
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial, dir_fd=folder)
        _write(site, key, entry, folder, partial, None)  # a version can be gone where its content is not


def _write(site: BackupSite, key: str, entry: Entry, folder: int, partial: str, version_id: str | None) -> None:
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    digest = hashlib.sha256()
    with open(descriptor, "wb") as file:  # noqa: PTH123  (a descriptor)
        for chunk in site.bucket.get(key, version_id=version_id):
            digest.update(chunk)
            file.write(chunk)
        if digest.hexdigest() != entry.sha256:
            raise DamagedCopyError(key, expected=entry.sha256, found=digest.hexdigest())
        file.flush()
        os.utime(descriptor, ns=(entry.mtime_ns, entry.mtime_ns))
        os.fsync(descriptor)


def _place(folder: int, partial: str, name: str, entry: Entry, *, overwrite: bool) -> None:
    """Give the file its name; never in place of one that came meanwhile, unless that is asked for."""
    if overwrite:
        os.replace(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
        return
    try:
        os.link(partial, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        raise LocalFileError(entry.path, "it came while it was restored: left alone") from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # Not safe against a file that comes in this very moment; the system offers Python no other way.
        os.rename(partial, name, src_dir_fd=folder, dst_dir_fd=folder)
