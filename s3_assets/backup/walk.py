"""The local folder, listed: which files of which day are there, and what can't be backed up.

Not here: reading files. The invariant: every file that the selection takes, and every folder that it enters, is in
the listing or named as a problem; nothing is passed over in silence.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from s3_assets.backup.days import day_of
from s3_assets.backup.manifest import path_problem
from s3_assets.backup.plan import LocalFile
from s3_assets.errors import BackupFolderError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import date, tzinfo
    from pathlib import Path

    from s3_assets.backup.globs import Selection

MAX_KEY_BYTES = 1024
"""The longest key, in UTF-8 (S3 user guide, object key names)."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that can't be backed up.

    Attributes:
        path: Below the folder; may hold what is not UTF-8, as surrogates.
        reason: In a few words.
        day: Whose file it is; None where that can't be told, so that it is a problem of every day.
        retryable: Whether another try may succeed with nothing done about it.
    """

    path: str
    reason: str
    day: date | None = None
    retryable: bool = False


@dataclass
class Walk:
    """What is in the folder.

    Attributes:
        days: The files of each day, by path.
        problems: What can't be backed up.
    """

    days: dict[date, dict[str, LocalFile]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def problems_of(self, day: date) -> list[Problem]:
        """Those of the day, and those of every day."""
        return [problem for problem in self.problems if problem.day in (day, None)]


def walk(folder: Path, selection: Selection, zone: tzinfo, *, prefix: str = "") -> Walk:
    """List all files that the selection takes, by the day of their last change. Follows links, but not in circles.

    Args:
        folder: Absolute.
        selection: Which files.
        zone: Whose days.
        prefix: Of the keys before the day, for their length.

    Raises:
        BackupFolderError: The folder can't be read, or nothing at all is in it: its disk may not be mounted.
    """
    return _Walker(folder, selection, zone, len(f"{prefix}2000-01-01/".encode())).walk()


@dataclass
class _Walker:
    folder: Path
    selection: Selection
    zone: tzinfo
    key_bytes_before: int
    found: Walk = field(default_factory=Walk)

    def walk(self) -> Walk:
        try:
            status = os.stat(self.folder)  # noqa: PTH116  (as below)
            first = list(os.scandir(self.folder))
        except OSError as error:
            raise BackupFolderError(f"the folder {str(self.folder)!r} can't be read: {error.strerror}") from None
        if not first:
            raise BackupFolderError(f"the folder {str(self.folder)!r} is empty, without even a folder in it")
        todo = [("", first, frozenset({(status.st_dev, status.st_ino)}))]
        while todo:
            above, entries, ancestors = todo.pop()
            for entry in entries:
                path = f"{above}{entry.name}"
                inside = self._look(path, entry, ancestors)
                if inside is not None:
                    todo.append((f"{path}/", *inside))
        return self.found

    def _look(
        self, path: str, entry: os.DirEntry[str], ancestors: frozenset[tuple[int, int]]
    ) -> tuple[list[os.DirEntry[str]], frozenset[tuple[int, int]]] | None:
        """Note a file; what is in a folder, and what it must not lead back to."""
        try:
            status = entry.stat()
        except FileNotFoundError:
            self._dangling(path, entry)
            return None
        except OSError as error:  # a link to itself, a folder on the way that may not be entered
            if self.selection.takes(path) or (entry.is_symlink() and self.selection.enters(path)):
                self._problem(path, error.strerror or str(error))
            return None
        if stat.S_ISDIR(status.st_mode):
            return self._folder(path, entry, status, ancestors)
        if self.selection.takes(path):
            self._file(path, status)
        return None

    def _folder(
        self, path: str, entry: os.DirEntry[str], status: os.stat_result, ancestors: frozenset[tuple[int, int]]
    ) -> tuple[list[os.DirEntry[str]], frozenset[tuple[int, int]]] | None:
        if not self.selection.enters(path):
            return None
        identity = (status.st_dev, status.st_ino)
        if identity in ancestors:
            self._problem(path, "a link that leads back to a folder above it")
            return None
        try:
            return list(os.scandir(entry.path)), ancestors | {identity}
        except FileNotFoundError:  # gone since it was listed
            return None
        except OSError as error:
            self._problem(path, f"a folder that can't be read: {error.strerror}")
            return None

    def _file(self, path: str, status: os.stat_result) -> None:
        day = day_of(status.st_mtime_ns, self.zone)
        wrong = path_problem(path)
        if day is None:
            self._problem(path, f"the time of its last change, {status.st_mtime_ns} ns, is in no year that can be")
        elif not stat.S_ISREG(status.st_mode):
            self._problem(path, "neither a file nor a folder", day)
        elif wrong is not None:
            self._problem(path, f"a name that {wrong}", day)
        elif (length := self.key_bytes_before + len(path.encode())) > MAX_KEY_BYTES:
            self._problem(path, f"a key of {length} bytes, S3 takes {MAX_KEY_BYTES}", day)
        else:
            self.found.days.setdefault(day, {})[path] = LocalFile(path, status.st_size, status.st_mtime_ns)

    def _dangling(self, path: str, entry: os.DirEntry[str]) -> None:
        """A link to nothing, perhaps to a disk that is not there; all else is gone since it was listed."""
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            return
        if not stat.S_ISLNK(status.st_mode):
            return
        if self.selection.takes(path):
            self._problem(path, "a link to nothing", day_of(status.st_mtime_ns, self.zone))
        elif self.selection.enters(path):
            self._problem(path, "a link to nothing: is its disk mounted?")

    def _problem(self, path: str, reason: str, day: date | None = None) -> None:
        self.found.problems.append(Problem(path, reason, day))


def every_file(found: Walk) -> Iterator[tuple[date, LocalFile]]:
    """All files with their days, the oldest first."""
    for day in sorted(found.days):
        for path in sorted(found.days[day]):
            yield day, found.days[day][path]
