"""Reading back with another reader: headers whole, laid-out rows by sample."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.readback import SAMPLE_BYTES, csv_fields, misplaced


def written(rows: list[list[str]]) -> bytes:
    """As CSV."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue().encode()


@pytest.mark.parametrize(
    "row, fields",
    [
        (b'a,"b ""c""",\n', (b"a", b'b "c"', b"")),
        (b"\xe9,\xff\r\n", (b"\xe9", b"\xff")),
        (b"a\nb\n", ()),
        (b"a\rb\n", ()),
    ],
)
def test_one_row_is_read_by_csv(row, fields):
    """Any bytes are text; more than one row is none."""
    assert csv_fields(row) == fields


values = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=5)
cases = st.permutations("abcdef").flatmap(
    lambda names: st.tuples(
        st.just(names), st.integers(1, 6), st.lists(st.lists(values, min_size=6, max_size=6), min_size=1, max_size=5)
    )
)


@given(cases, st.data())
def test_a_value_that_moved_is_seen(case, data):
    """Laid out by name nothing is said; with one value elsewhere, or lost, it is."""
    names, width, table = case
    own = list(names[:width])
    wide = sorted(names)
    rows = [row[:width] for row in table]
    laid = [[dict(zip(own, row, strict=True)).get(name, "") for name in wide] for row in rows]
    keys = [name.encode() for name in own], [name.encode() for name in wide]
    assert misplaced(written(rows), written(laid), *keys) is None
    place = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.integers(0, 5))
    laid[place][column] += "x"
    assert f"row {place + 1} " in (misplaced(written(rows), written(laid), *keys) or "")


def test_only_a_sample_is_read():
    """However many rows there are, and however long one is."""
    rows = written([["1", "x" * 50]] * 100_000)
    laid = written([["1", "x" * 50, ""]] * 10_000 + [["", "1", ""]] * 90_000)
    assert misplaced(rows, laid, [b"a", b"b"], [b"a", b"b", b"c"]) is None
    long = written([["1", "x" * 2 * SAMPLE_BYTES]])
    assert misplaced(long, long, [b"a", b"b"], [b"a", b"b"]) is None
