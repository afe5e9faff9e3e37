"""One local file to its copy: read, compare, send what is missing, make sure of it.

The invariant: a copy is written under a condition, and is either a whole state of its file or not there. An upload in
parts that was cut stays open, and the next run goes on with it; one of a file that changed is thrown away.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from s3_assets.backup.bucket import SentPart, Stored, vouched
from s3_assets.backup.days import day_of
from s3_assets.backup.manifest import Entry
from s3_assets.backup.plan import Copy, Step, decide
from s3_assets.backup.reading import Reading, opened, read_file, read_part, unchanged
from s3_assets.errors import (
    BucketNotFoundError,
    ChangedWhileReadError,
    ContendedError,
    DamagedCopyError,
    NotFoundError,
    PreconditionFailedError,
    StoreUnavailableError,
    WriteConflictError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from typing import BinaryIO

    from s3_assets.backup.manifest import Manifest
    from s3_assets.backup.plan import LocalFile
    from s3_assets.backup.site import BackupSite
    from s3_assets.store.contract import OpenUpload

TRIES = 5
"""How often a write is tried whose condition did not hold, or whose upload went away."""

CONTENDED_HINT = "nothing is lost: run it again; only one host may back up to a prefix"


@dataclass(frozen=True, slots=True)
class FileDone:
    """What became of one file.

    Attributes:
        path: Below the folder.
        size: Bytes.
        step: `keep` where the manifest vouched for the copy, `ask` where the copy itself did, `send`.
        entry: For the manifest; None in a dry run where it would be sent, and where the file is of another day now.
        bytes_sent: Of the file, through this host.
        parts_found: Parts that a cut upload had left.
    """

    path: str
    size: int
    step: Step
    entry: Entry | None
    bytes_sent: int = 0
    parts_found: int = 0


class Sender:
    """Backs up files of one day; may be used by many threads."""

    def __init__(
        self, site: BackupSite, day: date, manifest: Manifest | None, copies: Mapping[str, Copy], *, dry_run: bool
    ) -> None:
        """Compare with `manifest`, and with the `copies` that were listed after it was read."""
        self.stop = threading.Event()
        self._site = site
        self._day = day
        self._entries = {} if manifest is None else manifest.entries
        self._copies = copies
        self._dry_run = dry_run
        self._lock = threading.Lock()

    def back_up(self, file: LocalFile) -> FileDone:
        """Make the file's copy right.

        Raises:
            LocalFileError: It can't be read, or changed in every try.
            DamagedCopyError: The store holds other bytes than were sent.
            ContendedError: Something else keeps writing to its key.
            StoreError: The store failed.
        """
        patience = self._site.patience
        pause_s = patience.pause_s
        for last in (*[False] * (patience.tries - 1), True):
            reading = read_file(self._site.folder, file.path, patience, give_up=self.stop.is_set)
            if day_of(reading.stamp.mtime_ns, self._site.zone) != self._day:
                return FileDone(file.path, reading.stamp.size, Step.KEEP, None)
            try:
                return self._make_right(reading)
            except ChangedWhileReadError:
                if last or self.stop.wait(pause_s):
                    raise
                pause_s *= 2
        raise AssertionError("the last try returns or raises")  # pragma: no cover

    def _make_right(self, reading: Reading) -> FileDone:
        path, size = reading.path, reading.stamp.size
        entry, copy = self._entries.get(path), self._copies.get(path)
        step = decide(reading.sha256.hex(), size, entry, copy)
        if step is Step.KEEP and entry is not None:
            return FileDone(path, size, step, _entry(reading, entry.etag, entry.version_id))
        etag = None if copy is None else copy.etag
        if step is Step.ASK:
            stored, same = self._ask(reading)
            if stored is not None and same:
                return FileDone(path, size, step, _entry(reading, stored.etag, stored.version_id))
            etag = None if stored is None else stored.etag
        if self._dry_run:
            return FileDone(path, size, Step.SEND, None)
        return self._send(reading, etag)

    def _ask(self, reading: Reading) -> tuple[Stored | None, bool]:
        """What is under the file's key, and whether it is the file."""
        key = self._key(reading)
        stored = self._site.bucket.head(key)
        if stored is None or (stored.size, stored.sha256) != (reading.stamp.size, reading.sha256.hex()):
            return stored, False
        try:
            self._site.bucket.prove(key, stored, reading.sha256, reading.parts)
        except (DamagedCopyError, NotFoundError):
            return stored, False
        return stored, True

    def _send(self, reading: Reading, etag: str | None) -> FileDone:
        """Write the copy in place of the one with that `etag`, or of none."""
        key, path, size = self._key(reading), reading.path, reading.stamp.size
        resume, last = True, "the upload that was gone on with was another content's"
        for number in range(TRIES):
            try:
                if reading.data is not None:
                    stored = self._site.bucket.put(key, reading.data, if_match=etag, if_absent=etag is None)
                    sent, found = size, 0
                else:
                    stored, sent, found = self._send_parts(key, reading, etag, resume=resume)
            except (PreconditionFailedError, WriteConflictError, NotFoundError) as error:
                # Another run was faster, or our own write was done and its answer lost, or the upload was
                # completed by another run that went on with it too.
                if isinstance(error, BucketNotFoundError):
                    raise
                there, same = self._ask(reading)
                if there is not None and same:
                    return FileDone(path, size, Step.ASK, _entry(reading, there.etag, there.version_id))
                etag = None if there is None else there.etag
                resume, last = False, str(error)
                time.sleep(0.05 * number)
                continue
            if reading.data is None:
                described = self._site.bucket.head(key)
                if described is None or described.sha256 != reading.sha256.hex():
                    # A cut upload that began for an older content of the file, with all its parts still good.
                    etag, resume = None if described is None else described.etag, False
                    continue
            return FileDone(path, size, Step.SEND, _entry(reading, stored.etag, stored.version_id), sent, found)
        raise ContendedError(f"it could not be written in {TRIES} tries; the last: {last}", hint=CONTENDED_HINT)

    # --- in parts ----------------------------------------------------------------------------------------------

    def _send_parts(self, key: str, reading: Reading, etag: str | None, *, resume: bool) -> tuple[Stored, int, int]:
        """Upload a large file; what is stored, how many bytes were sent, how many parts were there before."""
        bucket = self._site.bucket
        with opened(self._site.folder, reading.path) as file:
            open_uploads = self._open_uploads.get(key, []) if resume else []
            upload_id, parts = self._go_on(key, reading, file, open_uploads)
            found, sent = len(parts), 0
            if upload_id is None:
                upload_id = bucket.start_upload(key, reading.sha256)
            try:
                for number, digest in enumerate(reading.parts, start=1):
                    if self.stop.is_set():
                        raise StoreUnavailableError("UploadPart", key, "the run was stopped")
                    if number not in parts:
                        data = read_part(file, reading, number)
                        parts[number] = bucket.put_part(key, upload_id, number, data, digest)
                        sent += len(data)
                if not unchanged(self._site.folder, reading, file):
                    raise ChangedWhileReadError(reading.path, "it changed while it was sent")
            except ChangedWhileReadError:
                bucket.abort(key, upload_id)
                raise
        whole = list(parts.values())
        stored = bucket.complete(key, upload_id, whole, if_match=etag, if_absent=etag is None)
        bucket.prove(key, stored, reading.sha256, reading.parts)
        for other in open_uploads:
            if other.upload_id != upload_id:
                bucket.abort(key, other.upload_id)
        return stored, sent, found

    def _go_on(
        self, key: str, reading: Reading, file: BinaryIO, open_uploads: list[OpenUpload]
    ) -> tuple[str | None, dict[int, SentPart]]:
        """The newest upload that was cut and all of whose parts are still the file's, and these; none is (None, {})."""
        bucket = self._site.bucket
        for upload in reversed(open_uploads):
            try:
                there = list(bucket.parts(key, upload.upload_id))
            except NotFoundError:
                continue
            parts = _vouch(there, reading, file)
            if parts is not None:
                return upload.upload_id, parts
        return None, {}

    @property
    def _open_uploads(self) -> dict[str, list[OpenUpload]]:
        """By key; asked for once, when the first large file is sent."""
        with self._lock:
            return self._listed_uploads

    @cached_property
    def _listed_uploads(self) -> dict[str, list[OpenUpload]]:
        found: dict[str, list[OpenUpload]] = {}
        for upload in self._site.bucket.open_uploads(self._site.day_prefix(self._day)):
            found.setdefault(upload.key, []).append(upload)
        return found

    def _key(self, reading: Reading) -> str:
        return f"{self._site.day_prefix(self._day)}{reading.path}"


def _vouch(there: list[SentPart], reading: Reading, file: BinaryIO) -> dict[int, SentPart] | None:
    """The parts of a cut upload; None if one of them is not the file's."""
    parts: dict[int, SentPart] = {}
    for part in there:
        if not 1 <= part.number <= len(reading.parts):
            return None
        good = vouched(part, read_part(file, reading, part.number), reading.parts[part.number - 1])
        if good is None:
            return None
        parts[part.number] = good
    return parts


def _entry(reading: Reading, etag: str, version_id: str | None) -> Entry:
    stamp = reading.stamp
    return Entry(reading.path, stamp.size, stamp.mtime_ns, reading.sha256.hex(), etag, version_id)
