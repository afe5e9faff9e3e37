"""The manifest of a day: which files its backup holds, and what each one is.

It is the last thing that is written: where it is, the day was backed up in whole. Equal entries give equal bytes, so
a run that has nothing to do writes nothing. What it says is never trusted: a path that could lead out of the folder,
a digest that does not fit and an unknown version are refused when it is read.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from s3_assets.errors import DamagedManifestError

if TYPE_CHECKING:
    from datetime import date

FORMAT: Final = "s3_assets backup manifest"
VERSION: Final = 1

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One file and its copy.

    Attributes:
        path: Below the folder, and below the day on S3; `/` between folders.
        size: Bytes.
        mtime_ns: Of the local file, nanoseconds since 1970.
        sha256: Of its content, 64 hexadecimal digits.
        etag: Of the copy, opaque.
        version_id: Of the copy, where the bucket has versions.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    etag: str
    version_id: str | None = None


@dataclass(frozen=True)
class Manifest:
    """All files of a day, by path.

    Attributes:
        day: Whose files.
        zone: The name of the time zone whose day it is.
        entries: Each path once.
    """

    day: date
    zone: str
    entries: dict[str, Entry]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.entries.values())

    @property
    def digest(self) -> str:
        """Of all entries: equal for equal backups."""
        return _digest([asdict(self.entries[path]) for path in sorted(self.entries)])

    def encode(self) -> bytes:
        """As it is stored: JSON, a file a line, sorted by path, pure ASCII."""
        files = [asdict(self.entries[path]) for path in sorted(self.entries)]
        head = {
            "format": FORMAT,
            "version": VERSION,
            "day": self.day.isoformat(),
            "zone": self.zone,
            "digest": _digest(files),
        }
        lines = ",\n".join(json.dumps(file) for file in files)
        return f'{json.dumps(head)[:-1]}, "files": [\n{lines}\n]}}\n'.encode("ascii")


def decode(key: str, data: bytes, day: date) -> Manifest:
    """Read the manifest of `day`.

    Raises:
        DamagedManifestError: It is none, is of another day or version, or holds what can't be. Names the `key`.
    """
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise DamagedManifestError(key, f"no JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DamagedManifestError(key, f"not a {FORMAT}")
    if document.get("version") != VERSION:
        raise DamagedManifestError(key, f"version {document.get('version')!r}, known is {VERSION}")
    if document.get("day") != day.isoformat():
        raise DamagedManifestError(key, f"of day {document.get('day')!r}")
    files, zone = document.get("files"), document.get("zone")
    if not isinstance(files, list) or not isinstance(zone, str):
        raise DamagedManifestError(key, "no list of files, or no zone")
    entries: dict[str, Entry] = {}
    for number, file in enumerate(files):
        entry = _entry(file)
        if entry is None or entry.path in entries:
            raise DamagedManifestError(key, f"file {number}, {str(file)[:80]!r}, can't be")
        entries[entry.path] = entry
    if document.get("digest") != _digest(files):
        raise DamagedManifestError(key, "the digest is another one")
    return Manifest(day, zone, entries)


def path_problem(path: str) -> str | None:
    """Why no file below a folder can have this path, or None."""
    if any(name in ("", ".", "..") for name in path.split("/")):
        return "leads nowhere, or out of the folder"
    if "\0" in path:
        return "holds a NUL"
    try:
        path.encode()
    except UnicodeEncodeError:
        return "is not UTF-8"
    return None


def _entry(file: Any) -> Entry | None:
    try:
        entry = Entry(**file)
    except TypeError:
        return None
    texts = (entry.path, entry.sha256, entry.etag, "" if entry.version_id is None else entry.version_id)
    numbers = (entry.size, entry.mtime_ns)
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        return None
    good = 0 <= entry.size <= _LARGEST and abs(entry.mtime_ns) <= _LARGEST and _SHA256.fullmatch(entry.sha256)
    return entry if good and path_problem(entry.path) is None else None


def _digest(files: list[Any]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
