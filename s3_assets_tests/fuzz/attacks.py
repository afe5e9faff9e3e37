"""What somebody who can write to a bucket could put there, to make a reader run out of memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from s3_assets.audit.content import read_bytes
from s3_assets.errors import DamagedTargetError
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.ledger import Held, Ledger, Segment, read_footer, read_ledger
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.segments import GZIP_HEADER, crc32
from s3_assets_tests.hour_file.test_ledger import FILE, with_text

if TYPE_CHECKING:
    from collections.abc import Callable

MB = 1_000_000


def _source(piece: bytes, count: int, *, window: int = 31) -> str:
    """So many times `piece`, as a source object: why it is refused."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    stored = b"".join(packer.compress(piece) for _ in range(count)) + packer.flush()
    try:
        for _ in SourceRows([stored], EventPolicy(header=False)):
            pass
    except UnusableSourceError as error:
        return error.reason
    return "taken"


def _segment(piece: bytes, count: int) -> str:
    """So many times `piece` in one segment that is what its ledger says, but for the rows: what an audit says."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored, crc = b"", 0
    for _ in range(count):
        stored += packer.compress(piece)
        crc = crc32(piece, crc)
    stored += packer.flush(zlib.Z_FULL_FLUSH)
    size = len(piece) * count
    held = Held("k", "e", 1, None, 1, size, None)
    segment = Segment(len(GZIP_HEADER), len(stored), crc32(stored), size, crc, (held,))
    ledger = Ledger("e", "2021-09-01-07:00", None, (), (segment,), ())
    return "damaged" if read_bytes(ledger, [GZIP_HEADER, stored]).damaged else "taken"


def _ledger(text: bytes, **footer: int) -> str:
    """A file with that ledger, all frames and digests right: whether it is refused."""
    file = with_text(FILE, text, **footer)
    del text
    try:
        found = read_footer("k", file, len(file))
        read_ledger("k", found, file[found.reading_start :])
    except DamagedTargetError:
        return "refused"
    return "taken"


ATTACKS: dict[str, Callable[[], str]] = {
    "source bomb": lambda: _source(b"0,0\n" * (MB // 4), 120),
    "source without a newline": lambda: _source(b"a" * MB, 60),
    "segment bomb": lambda: _segment(b"0\n" * (MB // 2), 150),
    "segment of one row": lambda: _segment(b'"' + b"\n" * (MB - 1), 100),
    "ledger bomb": lambda: _ledger(b" " * (100 * MB), text_length=MB),
    "ledger of empty lists": lambda: _ledger(
        b'{"event":[' + b"[]," * (2 * MB) + b"[]]}",
    ),
}
"""By name; each tells what became of it."""
