"""Large targets on a store that honours no condition but PutObject's: kept in a file here, sent in one PUT."""

from __future__ import annotations

import io
import os
import tempfile
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s3_assets.errors import NotFoundError
from s3_assets.store.contract import ObjectInfo, Store
from s3_assets.store.parts import check_conditions, check_part, check_parts, check_source_range
from s3_assets.store.s3_errors import translated
from s3_assets.store.s3_multipart import (
    AbortOnLeaving,
    check_single_size,
    conditions,
    open_range,
    plain_etag,
    this_second,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mypy_boto3_s3 import S3Client


class SpooledUpload(AbortOnLeaving):
    """Kept in a file on this host, then committed by one PutObject with the condition.

    Attributes:
        key: Where it goes.
    """

    def __init__(self, store: Store, client: S3Client, key: str, content_type: str) -> None:
        """Keep the parts for `key` in a temporary file, which has no name and goes with the process."""
        self.key = key
        self._store = store
        self._client = client
        self._content_type = content_type
        self._lock = threading.Lock()
        self._file = tempfile.TemporaryFile(prefix="s3_assets-")  # noqa: SIM115 - closed by abort
        self._end = 0
        self._parts: dict[int, tuple[int, int]] = {}

    def put_part(self, number: int, data: bytes) -> None:
        """Keep part `number`."""
        check_part(self.key, number, len(data))
        self._keep(number, len(data), (data,))

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Read the range, chunk by chunk, and keep it as part `number`."""
        check_source_range(self.key, source_key, start, stop)
        check_part(self.key, number, stop - start)
        source = open_range(self._store, self.key, source_key, start, stop, if_match=if_match)
        self._keep(number, stop - start, source)

    def _keep(self, number: int, size: int, chunks: Iterable[bytes]) -> None:
        """Write `chunks`, `size` bytes in all, to a place of their own in the file."""
        with self._lock:
            if self._file.closed:
                raise NotFoundError("UploadPart", self.key, "NoSuchUpload: it was completed or aborted")
            check_single_size("PutObject", self.key, self._end + size)
            begin = at = self._end
            self._end += size
            descriptor = self._file.fileno()
        for chunk in chunks:
            view = memoryview(chunk)
            while view:
                written = os.pwrite(descriptor, view, at)
                at += written
                view = view[written:]
        with self._lock:
            self._parts[number] = (begin, size)

    def complete(self, *, if_match: str | None = None, if_absent: bool = False) -> ObjectInfo:
        """Make the parts the object if the condition holds."""
        check_conditions("PutObject", self.key, if_match, if_absent=if_absent)
        with self._lock:
            if self._file.closed:
                raise NotFoundError("CompleteMultipartUpload", self.key, "NoSuchUpload: it was completed or aborted")
            check_parts(self.key, {number: size for number, (_, size) in self._parts.items()})
            reader = _PartsReader(self._file.fileno(), [self._parts[number] for number in sorted(self._parts)])
            with translated("PutObject", self.key, conditional=True):
                answer: Any = self._client.put_object(
                    Bucket=self._store.bucket,
                    Key=self.key,
                    Body=io.BufferedReader(reader, 1024 * 1024),
                    ContentType=self._content_type,
                    **conditions(if_match, if_absent=if_absent),
                )
            self._file.close()
        return ObjectInfo(self.key, reader.size, plain_etag(answer["ETag"]), this_second(), answer.get("VersionId"))

    def abort(self) -> None:
        """Throw the file away."""
        with self._lock:
            self._file.close()


@dataclass
class _PartsReader(io.RawIOBase):
    """Pieces of a file, (offset, size) each, read as if they were one."""

    descriptor: int
    pieces: list[tuple[int, int]]
    at: int = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        super().__init__()
        self.size = sum(size for _, size in self.pieces)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self.at, os.SEEK_END: self.size}[whence]
        self.at = max(0, base + offset)
        return self.at

    def tell(self) -> int:
        return self.at

    def readinto(self, buffer: Any) -> int:
        begin = 0
        for offset, size in self.pieces:
            if self.at < begin + size:
                inside = self.at - begin
                data = os.pread(self.descriptor, min(len(buffer), size - inside), offset + inside)
                buffer[: len(data)] = data
                self.at += len(data)
                return len(data)
            begin += size
        return 0
