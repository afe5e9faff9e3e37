"""docs/format.md is enough: a parser written from it alone reads its example, and this package writes that example.

The parser here imports nothing of this package: it follows the document, section by section.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import platform
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest

from s3_assets.builder.pipeline import Workers
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.ledger import FOOTER_BYTES, FORMAT_VERSION, MAGIC, PIECE_BYTES, read_footer, read_ledger
from s3_assets.hour_file.segments import GZIP_HEADER
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.builder.bench import Bench

DOCUMENT = (Path(__file__).parents[2] / "docs" / "format.md").read_text(encoding="utf-8")
SOURCES = {
    "07_00_a.csv": b"id,name\n1,ann\n2,bob\n",
    "07_15_b.csv": b'id,name\r\n3,"c, d"\r\n4,',
    "07_30_c.csv": b'id,name\n5,"eve\n',
}
ROWS = b'id,name\n1,ann\n2,bob\n3,"c, d"\r\n4,\r\n'


def block(language: str) -> str:
    """The one block of code in that language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


def example() -> bytes:
    """The file in the document; each range's note must say where it really is."""
    file = b""
    for start, stop, note, digits in re.findall(r"# (\d+)\.\.(\d+) ([^\n]*)\n([0-9a-f \n]+)", block("hex")):
        piece = bytes.fromhex(digits.replace("\n", " "))
        assert (int(start), int(stop)) == (len(file), len(file) + len(piece)), note
        file += piece
    return file


# --- the parser ----------------------------------------------------------------------------------------------


def member(subfield: bytes, payload: bytes) -> bytes:
    """'Ledger members and footer member'."""
    head = bytes.fromhex("1f8b08040000000000ff")
    return head + struct.pack("<H2sH", len(payload) + 4, subfield, len(payload)) + payload + b"\3" + bytes(9)


def key_order(key: str) -> tuple[list[str | int], str]:
    """'Key order'."""
    return [int(part) if part.isdigit() else part for part in re.split("([0-9]+)", key)], key


def parse(file: bytes, size: int | None = None) -> dict[str, Any]:
    """'How to find the ledger' and 'What a reader must check', with `assert` for each check."""
    size = len(file) if size is None else size
    tail = file[-102:]
    assert len(tail) == 102
    payload = tail[16:92]
    magic, version, flags, pieces, data_length, packed_length, text_length, digest, check = struct.unpack(
        "<8sHHIQQQ32sI", payload
    )
    assert magic == b"s3assets"
    assert check == zlib.crc32(payload[:72])
    assert tail == member(b"SF", payload)
    assert (version, flags) == (1, 0)
    assert data_length >= 20
    assert pieces == (packed_length + 16351) // 16352
    assert data_length + packed_length + 26 * pieces + 102 == size
    assert text_length <= 256 * 1024 * 1024

    packed, position = b"", data_length
    for _ in range(pieces):
        length = min(16352, packed_length - len(packed))
        piece = file[position + 16 : position + 16 + length]
        assert file[position : position + 26 + length] == member(b"S3", piece)
        packed += piece
        position += 26 + length
    assert position == size - 102
    assert hashlib.sha256(packed).digest() == digest
    inflater = zlib.decompressobj(-15)
    text = inflater.decompress(packed, text_length + 1)
    assert inflater.eof
    assert len(text) == text_length
    ledger: dict[str, Any] = json.loads(text)

    header = None if ledger["header"] is None else ledger["header"].encode("latin-1")
    stop, plain_bytes, held = 10, 0, []
    for index, (offset, length, _, plain, crc, sources) in enumerate(ledger["segments"]):
        assert offset == stop
        assert length >= 1
        if index == 0 and header is not None:
            assert (sources, plain, crc) == ([], len(header), zlib.crc32(header))
        else:
            assert sources
            assert plain == sum(source[5] for source in sources)
        held += sources
        stop, plain_bytes = offset + length, plain_bytes + plain
    assert stop == data_length - 10
    keys = [source[0] for source in held]
    assert all(key_order(one) < key_order(two) for one, two in itertools.pairwise(keys))
    known = held + ledger["quarantined"]
    assert len({source[0] for source in known}) == len(known)
    for _, _, _, _, rows, plain, own in held:
        assert min(plain, 1) <= rows <= plain
        assert own is None or 0 <= own < len(ledger["headers"])
    fingerprint = hashlib.sha256(f"s3_assets 1 {ledger['content']}\n".encode())
    for key, etag, source_size in sorted(tuple(source[:3]) for source in known):
        fingerprint.update(f"{len(key.encode())}:{key}{len(etag.encode())}:{etag}{source_size}\n".encode())
    assert fingerprint.hexdigest()[:32] == ledger["fingerprint"]
    assert file[data_length - 10 : data_length - 8] == b"\3\0"
    assert file[data_length - 4 : data_length] == struct.pack("<I", plain_bytes % 2**32)
    return ledger


def rows_of(file: bytes, ledger: dict[str, Any]) -> dict[str, bytes]:
    """Each source's plain bytes, segment by segment, in any order."""
    found = {}
    for offset, length, stored_crc, plain_length, crc, sources in reversed(ledger["segments"]):
        stored = file[offset : offset + length]
        assert stored.endswith(b"\0\0\xff\xff")
        assert zlib.crc32(stored) == stored_crc
        inflater = zlib.decompressobj(-15)
        plain = inflater.decompress(stored)
        assert not inflater.eof
        assert (len(plain), zlib.crc32(plain)) == (plain_length, crc)
        start = 0
        for key, _, _, _, rows, raw_length, _ in sources:
            found[key] = plain[start : start + raw_length]
            assert found[key].count(b"\n") >= rows
            start += raw_length
    return found


# --- the example ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def built() -> bytes:
    """The hour file that this package makes of the example's sources."""
    with Workers(fetch_threads=2, hour_threads=1, compress_threads=1) as workers:
        bench = Bench(workers)
        bench.source = bench.source_seen = MemoryStore("sources", versioned=False)
        hour = Hour("orders", "2021-09-01-07:00")
        for name, data in SOURCES.items():
            bench.put(name, data, hour=hour)
        bench.build(hour)
        return bench.file(hour)


def test_the_example_is_decoded_by_a_parser_made_from_the_document():
    """Every check of the document holds, and every source's rows are found where the ledger says."""
    file = example()
    ledger = parse(file)
    assert ledger == json.loads(block("json"))
    assert rows_of(file, ledger) == {
        "orders/2021-09-01/07_00_a.csv": b"1,ann\n2,bob\n",
        "orders/2021-09-01/07_15_b.csv": b'3,"c, d"\r\n4,\r\n',
    }
    assert [source[0] for source in ledger["quarantined"]] == ["orders/2021-09-01/07_30_c.csv"]


def test_the_example_is_a_gzip_of_the_rows_that_the_document_shows():
    """For readers of all members and of the first alone."""
    file = example()
    assert gzip.decompress(file) == zlib.decompress(file, 31) == ROWS
    assert block("csv") == ROWS.decode().replace("\r\n", "\n")


def test_this_package_reads_the_example():
    """Its own parser agrees with the document's."""
    file = example()
    footer = read_footer("k", file[-FOOTER_BYTES:], len(file))
    ledger = read_ledger("k", footer, file[footer.reading_start :])
    expected = parse(file)
    assert (ledger.event, ledger.hour) == (expected["event"], expected["hour"])
    assert ledger.fingerprint == expected["fingerprint"]
    assert [held.key for held in ledger.held] == [row[0] for segment in expected["segments"] for row in segment[5]]
    assert ledger.rows == 4


def test_this_package_writes_the_example(built):
    """The same ledger over the same rows; and on the platform it was made on, these very bytes.

    If the pinned compressor changed, the document's example must be made anew: the failure prints it.
    """
    assert gzip.decompress(built) == gzip.decompress(example())
    assert _without_sizes(parse(built)) == _without_sizes(parse(example()))
    if platform.machine() == "x86_64":
        assert built.hex(" ") == example().hex(" ")


def _without_sizes(ledger):
    """What of a ledger does not depend on how well a processor's own routines compress."""
    segments = [[raw_length, crc, sources] for _, _, _, raw_length, crc, sources in ledger["segments"]]
    return {**ledger, "segments": segments}


def test_the_document_names_the_constants_of_the_code():
    """So that neither changes alone."""
    assert f"the last {FOOTER_BYTES} bytes" in DOCUMENT
    assert f"payload of {PIECE_BYTES:,} bytes" in DOCUMENT
    assert f"`{MAGIC.hex(' ')}` (`{MAGIC.decode()}`)" in DOCUMENT
    assert f"`{GZIP_HEADER.hex(' ')}`" in DOCUMENT
    assert f"| version | {FORMAT_VERSION} |" in DOCUMENT


def test_the_parser_of_the_document_reads_a_large_hour_file_too():
    """Many members, many segments, odd keys, Latin-1 headers, no VersionId and some."""
    with Workers(fetch_threads=4, hour_threads=1, compress_threads=2) as workers:
        bench = Bench(workers)
        for number in range(1200):
            rows = b"%d,%d\r\n" % (number, number * number) * 150
            bench.put(f"07_{number % 60:02}_고|객 {number * 7919 % 10_007}_{number}.csv", b"id,n\xe9\r\n" + rows)
        bench.build()
        file = bench.file()
    ledger = parse(file)
    assert len(ledger["segments"]) > 2
    assert len(file) - struct.unpack("<Q", file[-102:][32:40])[0] > 2 * 16 * 1024
    found = rows_of(file, ledger)
    assert len(found) == 1200
    assert ledger["header"].encode("latin-1") + b"".join(
        found[k] for k in sorted(found, key=key_order)
    ) == gzip.decompress(file)
