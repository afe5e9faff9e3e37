"""Reading a local file that others may be writing: all of one state of it, or an error.

A file is looked at before and after it was read, by everything that the system knows of it. Times have a grain, in
which an edit leaves no trace: so a file that was changed just now is left alone for so long first. A large file is
read twice, once for its digest and once to send it; each part must then be what it was.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from s3_assets.backup.days import NS_PER_S
from s3_assets.errors import ChangedWhileReadError, LocalFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PART_BYTES = 8 * 1024 * 1024
"""A file up to this size is sent in one piece; a larger one in parts of this size, or more where it needs too many."""

MAX_PARTS = 10_000
"""The most parts in one upload (S3 API, multipart upload limits)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a file that changes is waited for.

    Attributes:
        tries: Of reading it, the first included.
        pause_s: Before the second try, in seconds; doubles with each.
        settle_s: The grain of the file system's times, in seconds: so long a file must have been as it is. 2 is that
            of FAT; most have far less, network file systems up to 1.
    """

    tries: int = 4
    pause_s: float = 1.0
    settle_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the system knows of a file without reading it; any write changes it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Of an open file, or of what is at a path."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@dataclass(frozen=True, slots=True)
class Reading:
    """One state of a file.

    Attributes:
        path: Below the folder.
        stamp: Before and after it was read.
        sha256: Of its content.
        parts: The SHA-256 of each part, where it is sent in parts.
        data: Its content, where it is sent in one piece.
    """

    path: str
    stamp: Stamp
    sha256: bytes
    parts: tuple[bytes, ...]
    data: bytes | None


def part_bytes(size: int) -> int:
    """How large the parts of a file of `size` bytes are: a pure function of it, so that a cut upload can go on."""
    least = -(-size // MAX_PARTS)
    return PART_BYTES * max(1, -(-least // PART_BYTES))


def read_file(folder: Path, path: str, patience: Patience, *, give_up: Callable[[], bool] = lambda: False) -> Reading:
    """Read one state of the file at `path` below `folder`; a large one is read for its digests only.

    Args:
        folder: Absolute.
        path: Below it.
        patience: How long to wait for a file that changes.
        give_up: Asked before each wait.

    Raises:
        ChangedWhileReadError: It changed in every try.
        LocalFileError: It is not there any more, can't be read, or is no file.
    """
    pause_s = patience.pause_s
    for number in range(patience.tries):
        if number:
            if give_up():
                break
            time.sleep(pause_s)
            pause_s *= 2
        with opened(folder, path) as file:
            before = Stamp.of(os.fstat(file.fileno()))
            _let_settle(before, patience.settle_s)
            reading = _read(path, file, before)
            if reading is not None and unchanged(folder, reading, file):
                return reading
    raise ChangedWhileReadError(path, f"it changed while it was read, {patience.tries} times")


@contextmanager
def opened(folder: Path, path: str) -> Iterator[BinaryIO]:
    """The file, open for reading, unbuffered; a pipe or a device is refused without waiting for it.

    Raises:
        LocalFileError: It can't be opened or read, or is no file.
    """
    try:
        # NONBLOCK, or a pipe that took the place of the file would hold the run until somebody writes into it.
        descriptor = os.open(folder / path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:  # noqa: PTH123  (a descriptor)
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise LocalFileError(path, "it is no file any more")
            yield file
    except FileNotFoundError:
        raise LocalFileError(path, "it was gone before it was read") from None
    except OSError as error:
        hint = "let this user read it, or leave it out by `exclude`" if isinstance(error, PermissionError) else ""
        raise LocalFileError(path, f"it can't be read: {error.strerror}", hint=hint) from None


def unchanged(folder: Path, reading: Reading, file: BinaryIO) -> bool:
    """Whether the open file is still in the state that was read, and still the one at its path."""
    try:
        at_path = Stamp.of(os.stat(folder / reading.path))  # noqa: PTH116  (all of it at once)
    except OSError:
        return False
    return at_path == reading.stamp == Stamp.of(os.fstat(file.fileno()))


def read_part(file: BinaryIO, reading: Reading, number: int) -> bytes:
    """Part `number`, from 1, of a large file.

    Raises:
        ChangedWhileReadError: It is not what it was.
    """
    size = part_bytes(reading.stamp.size)
    file.seek((number - 1) * size)
    data = _read_up_to(file, min(size, reading.stamp.size - (number - 1) * size))
    if hashlib.sha256(data).digest() != reading.parts[number - 1]:
        raise ChangedWhileReadError(reading.path, "it changed while it was sent")
    return data


def _let_settle(stamp: Stamp, settle_s: float) -> None:
    """Wait until a change from now on shows in the file's times."""
    age_s = time.time() - max(stamp.mtime_ns, stamp.ctime_ns) / NS_PER_S
    if 0 <= age_s < settle_s:
        time.sleep(settle_s - age_s)


def _read(path: str, file: BinaryIO, stamp: Stamp) -> Reading | None:
    """All of the file; None where it has not the size that it should have."""
    size, whole = part_bytes(stamp.size), hashlib.sha256()
    parts: list[bytes] = []
    data = b""
    for start in range(0, stamp.size, size):
        data = _read_up_to(file, min(size, stamp.size - start))
        if len(data) != min(size, stamp.size - start):
            return None
        whole.update(data)
        parts.append(hashlib.sha256(data).digest())
    if file.read(1):
        return None
    if stamp.size <= PART_BYTES:
        return Reading(path, stamp, whole.digest(), (), data)
    return Reading(path, stamp, whole.digest(), tuple(parts), None)


def _read_up_to(file: BinaryIO, count: int) -> bytes:
    """So many bytes, or fewer at the end: one read of a raw file may give less."""
    data = file.read(count)
    while len(data) < count and (more := file.read(count - len(data))):
        data += more
    return data
