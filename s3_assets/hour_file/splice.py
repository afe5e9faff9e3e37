"""How a large hour file's bytes become parts of one multipart upload, most of them copied on the server.

Pure: pieces in file order to parts in order. A part has at least 5 MiB unless it is the last, so where new bytes
stand between two copied ranges, up to that much of one of them is downloaded and uploaded with them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


@dataclass(frozen=True, slots=True)
class Old:
    """Bytes `[start, stop)` of the hour file as it is."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True)
class New:
    """Bytes `[start, stop)` of the client's spool."""

    start: int
    stop: int

    @property
    def size(self) -> int:
        """Bytes."""
        return self.stop - self.start


Piece = Old | New


@dataclass(frozen=True, slots=True)
class CopyPart:
    """A part copied on the server."""

    old: Old


@dataclass(frozen=True, slots=True)
class PutPart:
    """A part uploaded by the client."""

    pieces: tuple[Piece, ...]

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(piece.size for piece in self.pieces)


def joined(pieces: Iterable[Piece]) -> list[Piece]:
    """The same bytes with neighbours that follow one another made one, and without empty pieces."""
    result: list[Piece] = []
    for piece in pieces:
        last = result[-1] if result else None
        if not piece.size:
            continue
        if last is not None and type(last) is type(piece) and last.stop == piece.start:
            result[-1] = type(piece)(last.start, piece.stop)
        else:
            result.append(piece)
    return result


def part_plan(pieces: Iterable[Piece], *, min_part: int, put_part: int, copy_part: int) -> list[CopyPart | PutPart]:
    """Parts that together are `pieces`.

    Args:
        pieces: In file order.
        min_part: The least bytes of any part but the last.
        put_part: About how many bytes to upload in one part; at least `min_part`.
        copy_part: About how many bytes to copy in one part; at least `min_part`.
    """
    parts: list[CopyPart | PutPart] = []
    pending: list[Piece] = []
    pending_size = 0

    def flush() -> None:
        nonlocal pending, pending_size
        if pending:
            parts.append(PutPart(tuple(pending)))
        pending, pending_size = [], 0

    for piece in joined(pieces):
        start = piece.start
        lacking = _lacking(pending_size, min_part)
        last = parts[-1] if parts else None
        if (
            isinstance(piece, Old)
            and isinstance(last, CopyPart)
            and piece.size - lacking < min_part <= min(piece.size, last.old.size - lacking)
        ):  # too short to fill the part that was begun and be copied too: the range before gives what it lacks
            cut = last.old.stop - lacking
            parts[-1] = CopyPart(Old(last.old.start, cut))
            pending.insert(0, Old(cut, last.old.stop))
            pending_size += lacking
        if isinstance(piece, Old) and piece.size - _lacking(pending_size, min_part) >= min_part:
            start += _lacking(pending_size, min_part)
            if start > piece.start:
                pending.append(Old(piece.start, start))
            flush()
            for begin, end in _cut(start, piece.stop, copy_part):
                parts.append(CopyPart(Old(begin, end)))
            continue
        while start < piece.stop:
            stop = min(piece.stop, start + put_part - pending_size)
            pending.append(type(piece)(start, stop))
            pending_size += stop - start
            start = stop
            if pending_size >= put_part:
                flush()
    flush()
    return parts


def _lacking(size: int, min_part: int) -> int:
    """How many bytes a part of `size` that was begun lacks."""
    return max(0, min_part - size) if size else 0


def _cut(start: int, stop: int, size: int) -> Iterable[tuple[int, int]]:
    """`[start, stop)` in as few about equal ranges as none is longer than `size`."""
    count = max(1, -(-(stop - start) // size))
    for index in range(count):
        yield start + (stop - start) * index // count, start + (stop - start) * (index + 1) // count
