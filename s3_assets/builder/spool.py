"""Where compressed segments wait until the whole hour is known to be good: memory first, then a temporary file."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType

MEMORY_BYTES = 16 * 1024 * 1024
"""A spool takes this much memory before it goes to disk (`TMPDIR`)."""

_PIECE_BYTES = 1024 * 1024


class Spool:
    """An append-only store of bytes that several threads may write to and read from."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        """Start empty."""
        self._file = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115  (closed in __exit__)
        self._lock = threading.Lock()
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def size(self) -> int:
        """Bytes written."""
        return self._size

    def append(self, data: bytes) -> tuple[int, int]:
        """Add `data`; where it stands, `[start, stop)`."""
        with self._lock:
            start = self._size
            self._file.seek(start)
            self._file.write(data)
            self._size += len(data)
            return start, self._size

    def take_over(self, other: Spool) -> tuple[int, int]:
        """Add all of another spool; where it stands."""
        start = self._size
        with self._lock:
            start = self._size
            self._file.seek(start)
            for piece in other.pieces(0, other.size):
                self._file.write(piece)
            self._size += other.size
            return start, self._size

    def read(self, start: int, stop: int) -> bytes:
        """Bytes `[start, stop)`."""
        with self._lock:
            self._file.seek(start)
            return self._file.read(stop - start)

    def pieces(self, start: int, stop: int) -> Iterator[bytes]:
        """The same, piece by piece."""
        while start < stop:
            piece = self.read(start, min(stop, start + _PIECE_BYTES))
            start += len(piece)
            yield piece


@dataclass(frozen=True, slots=True)
class Spooled:
    """A finished segment in a spool.

    Attributes:
        start: Where its compressed bytes begin in the spool.
        stop: One past their last.
        stored_crc: CRC-32 of the compressed bytes.
        raw_length: Plain bytes.
        crc: CRC-32 of the plain bytes.
    """

    start: int
    stop: int
    stored_crc: int
    raw_length: int
    crc: int
