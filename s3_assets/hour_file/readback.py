"""Reads back what was written, with another reader: Python's csv module, which shares nothing with `rows` and `schema`.

Bounded: the header's text whole, and a sample of laid-out rows. `verify --deep` reads them all.
"""

from __future__ import annotations

import csv
import io
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SAMPLE_ROWS = 20
SAMPLE_BYTES = 32 * 1024


def csv_fields(row: bytes) -> tuple[bytes, ...]:
    """The fields of one row; none where csv can't read it, or reads more than one row."""
    text = row.rstrip(b"\r\n").decode("latin-1")  # some programs end a row in CR CR LF
    try:
        rows = list(csv.reader(io.StringIO(text, newline="")))
    except csv.Error:
        return ()
    return tuple(field.encode("latin-1") for field in rows[0]) if len(rows) == 1 else ()


def misplaced(rows: bytes, laid: bytes, own: Sequence[bytes], names: Sequence[bytes]) -> str | None:
    """Which value of the first few rows does not stand under its own name after laying out; None where all do.

    Args:
        rows: Whole rows under the columns `own`.
        laid: The same under the columns `names`.
        own: Each name once.
        names: All of `own` under which there are values, and more.
    """
    some = rows[:SAMPLE_BYTES]
    if some.count(b"\r") != some.count(b"\r\n"):  # csv takes a lone one for a row's end; only old hour files have any
        return None
    known = {name: place for place, name in enumerate(names)}
    if len(known) < len(names) or len(set(own)) < len(own):  # not laid out by name
        return None
    places = [known.get(name) for name in own]
    others = set(range(len(names))) - set(places)
    pairs = zip(_sample(rows), _sample(laid), strict=False)
    for number, (before, found) in enumerate(islice(pairs, SAMPLE_ROWS), start=1):
        values = before[: len(own)] + [""] * (len(own) - len(before))
        # csv reads a blank line as no field: a row of one column, or one of before that stays what it was.
        after = found or ([""] * len(names) if not before or len(names) == 1 else [])
        if len(after) != len(names) or ["" if place is None else after[place] for place in places] != values:
            return f"row {number} has other values under its names once it is laid out"
        if any(after[place] for place in others):
            return f"row {number} has a value under a name that is not its own once it is laid out"
    return None


def _sample(rows: bytes) -> Iterator[list[str]]:
    """The first rows as csv reads them; the last of a cut text, which may be cut too, is left out."""
    text = rows[:SAMPLE_BYTES].decode("latin-1")
    reader = csv.reader(io.StringIO(text, newline=""))
    held: list[str] | None = None
    try:
        for row in reader:
            if held is not None:
                yield held
            held = row
    except csv.Error:
        return
    if held is not None and len(rows) <= SAMPLE_BYTES:
        yield held
