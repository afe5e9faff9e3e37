"""Source objects of any bytes: whole rows, or a reason why not; and keys of any text."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections import deque

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3_assets.errors import KeyGrammarError
from s3_assets.hour_file.intake import SourceRows, UnusableSourceError
from s3_assets.hour_file.keys import DEFAULT_SOURCE_PATTERN, Hour, KeyGrammar, order_key
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.hour_file.rows import RowScanner, RowTooLongError, UnclosedQuoteError
from s3_assets.hour_file.sources import Sorter, SourceObject
from s3_assets_tests.hour_file.examples import cut

pytestmark = pytest.mark.scaled
CSV = b'id,"n\n""x"""\n' + b"".join(b"%d,%d\r\n" % (row, row * 7919 % 101) for row in range(60))
PACKED = gzip.compress(CSV, mtime=0)
raw_rows = st.text(alphabet='",\n\r\0aé', max_size=60).map(str.encode) | st.binary(max_size=60)


def take(chunks: list[bytes], *, has_header: bool = True) -> tuple[bytes, int] | str:
    """Header and rows, and how many; or why it is unusable."""
    source = SourceRows(chunks, EventPolicy(header=has_header))
    try:
        rows = b"".join(source)
    except UnusableSourceError as error:
        return error.reason
    return (source.header or b"") + rows, source.rows


# --- any bytes ---------------------------------------------------------------------------------------------


@given(st.data(), raw_rows, st.booleans())
def test_any_bytes_are_rows_or_have_a_reason_however_they_are_cut(data, raw, has_header):
    """The same rows or the same reason; all are as wide as the header, and counted as a reader of CSV counts them."""
    whole = take([raw], has_header=has_header)
    assert take(data.draw(cut(raw)), has_header=has_header) == whole
    if isinstance(whole, tuple):
        text, rows = whole
        assert text.endswith(b"\n") or not text
        read = list(csv.reader(io.StringIO(text.replace(b"\0", b"0").decode("latin-1"), newline="")))
        assert rows + (has_header and bool(text)) == len(read)
        if has_header and read:
            assert {len(row) or 1 for row in read} == {len(read[0])}


@given(
    st.lists(st.tuples(st.integers(0, len(PACKED) + 40), st.binary(min_size=1, max_size=6)), min_size=1, max_size=3),
    st.integers(0, 3),
    st.data(),
)
def test_a_mutated_gzip_gives_the_true_rows_or_a_reason(changes, copies, data):
    """Its CRC-32 tells; what stands in its header's time, name or comment makes no difference."""
    stored = bytearray(PACKED + b"\0" * copies + (PACKED[: len(PACKED) // 2] if copies == 2 else b""))
    for at, piece in changes:
        stored[at : at + len(piece)] = piece
    found = take(data.draw(cut(bytes(stored))))
    if isinstance(found, tuple) and bytes(stored[:2]) == b"\x1f\x8b":
        assert found == (CSV, 60)


@pytest.mark.parametrize("flag", [8, 16, 4], ids=["name", "comment", "extra"])
def test_a_gzip_header_that_never_ends_is_refused(flag):
    """A name of megabytes is skipped, not kept."""
    stored = PACKED[:3] + bytes([flag]) + PACKED[4:10] + b"\xff\xff" + b"x" * 4_000_000
    assert take([stored[at : at + 65_536] for at in range(0, len(stored), 65_536)]) == "damaged gzip"


@given(st.data(), st.text(alphabet='",\nab', max_size=80), st.integers(1, 30))
def test_the_scanner_keeps_all_bytes_and_never_more_than_a_row(data, text, limit):
    """What it gave and what it holds is what came; it holds no more than the longest row that it takes."""
    scanner = RowScanner(limit)
    came, gave = b"", b""
    try:
        for piece in data.draw(cut(text.encode())):
            came += piece
            gave += scanner.feed(piece)
            assert gave + scanner._rest == came
            assert len(scanner._rest) <= limit
        gave += scanner.finish()
    except (RowTooLongError, UnclosedQuoteError):
        return
    assert gave in (came, came + b"\n", came + b"\r\n")
    assert gave.endswith(b"\n") or not gave


# --- time --------------------------------------------------------------------------------------------------


def crumbs(count: int) -> bytes:
    """A gzip of many members, each of one byte: it comes byte by byte, and no row ever ends."""
    member = gzip.compress(b"x", mtime=0)
    return member * count


def test_an_open_row_is_not_looked_at_again_with_each_byte_that_comes(monkeypatch):
    """That would take the square of its length; looks are counted, as a clock would depend on the machine."""
    looked: list[int] = []

    class Counting(RowScanner):
        def take(self, data):
            looked.append(len(data))
            return super().take(data)

    monkeypatch.setattr("s3_assets.hour_file.intake.RowScanner", Counting)
    assert take([crumbs(30_000)], has_header=False) == (b"x" * 30_000 + b"\n", 1)
    assert looked == [30_000]
    looked.clear()
    text = b'"' + b"\n" * 3_000_000
    assert take([text[at : at + 1000] for at in range(0, len(text), 1000)], has_header=False) == "unclosed quote"
    assert len(looked) == 3


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", [b'"\n', b'""\n', b'a,"', b'",\n"', b"\n", b'"x\n"y'], ids=repr)
def test_quotes_and_newlines_in_any_pattern_take_linear_time(unit):
    """Two megabytes in pieces of 64 KiB, as a download may come."""
    raw = unit * (2_000_000 // len(unit))
    found = take([raw[at : at + 65_536] for at in range(0, len(raw), 65_536)], has_header=False)
    assert isinstance(found, tuple) or found in ("unclosed quote", "row too long")


# --- bombs -------------------------------------------------------------------------------------------------


def squeezed(piece: bytes, count: int, window: int = 31) -> bytes:
    """`piece` so many times, as small as it gets."""
    packer = zlib.compressobj(9, zlib.DEFLATED, window)
    return b"".join(packer.compress(piece) for _ in range(count)) + packer.flush()


@pytest.mark.parametrize(
    "stored",
    [
        squeezed(b"0,0\n" * 250_000, 100),
        squeezed(b"0,0\n" * 250_000, 1) * 100,
        squeezed(b"a" * 1_000_000, 100),
    ],
    ids=["one member", "many members", "one row"],
)
def test_a_bomb_is_given_up_before_it_goes_off(stored):
    """In whatever form: 100 MB out of some 100 kB."""
    source = SourceRows([stored], EventPolicy(header=False))
    with pytest.raises(UnusableSourceError) as caught:
        deque(source, maxlen=0)
    assert caught.value.reason in ("decompression bomb", "row too long")
    assert source.bytes_out <= 64 * 1024 * 1024


# --- keys --------------------------------------------------------------------------------------------------

key_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
key_like = st.lists(
    st.sampled_from(
        ["e", "/", "2021-09-01", "2021-02-30", "07", "24", "_", "00", "61", ".csv", ".gz", "a|b", "%2F", "\n"]
    )
    | key_text,
    max_size=12,
).map("".join)


@given(st.lists(key_like, max_size=20))
@example(["e/2021-09-01/07_00_\n.csv", "e/2021-09-01/07_00_.csv.gz.gz", "//2021-09-01/07_00_a.csv"])
def test_a_listing_of_any_keys_is_sorted_or_named(keys):
    """Every key is in an hour, passed over as out of the range, or counted with its reason; none stops the others."""
    sorter = Sorter(KeyGrammar(), first_label="0001-01-01-00:00", last_label="9999-12-31-23:00")
    listing = sorter.sort(SourceObject(key, "e", 1) for key in keys)
    assert listing.source_count + listing.rejected.total() == len(keys)
    assert len(sorted(keys, key=order_key)) == len(keys)
    for hour in listing.hours:
        assert Hour.of_partition_key(hour.partition_key) == hour


@given(key_like)
def test_any_pattern_and_any_target_key_is_taken_or_refused(text):
    """With the package's own error, or None."""
    for pattern in (text, DEFAULT_SOURCE_PATTERN.replace("{event}", text), text + DEFAULT_SOURCE_PATTERN):
        try:
            KeyGrammar(pattern)
        except KeyGrammarError:
            continue
    found = KeyGrammar.target_hour(text)
    assert found is None or KeyGrammar.target_key(found) == text
