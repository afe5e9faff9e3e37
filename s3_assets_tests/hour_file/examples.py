"""What Hypothesis draws for the tests of the core: CSV bytes, ways to cut them, ledgers."""

from __future__ import annotations

from hypothesis import strategies as st

from s3_assets.hour_file.keys import order_key
from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment
from s3_assets.hour_file.segments import GZIP_HEADER, crc32

plain_fields = st.text(alphabet='ab7 .éÿ€"', max_size=6).map(lambda text: text.lstrip('"').encode("utf-8"))
latin_fields = st.binary(max_size=6).map(lambda data: data.translate(None, b'",\r\n\0'))
quoted_fields = st.text(alphabet='ab,"\r\n é', max_size=8).map(
    lambda text: b'"' + text.replace('"', '""').encode("utf-8") + b'"'
)
fields = st.one_of(plain_fields, latin_fields, quoted_fields)
"""A field as it stands in a file: plain with stray quotes inside, any bytes, or quoted with anything in it."""

line_ends = st.sampled_from([b"\n", b"\r\n"])


def rows_of(width: int) -> st.SearchStrategy[bytes]:
    """One row of `width` fields, with its end."""
    return st.tuples(st.lists(fields, min_size=width, max_size=width), line_ends).map(
        lambda drawn: b",".join(drawn[0]) + drawn[1]
    )


ragged_rows = st.integers(1, 4).flatmap(rows_of)
csv_rows = st.lists(ragged_rows, max_size=12)


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """`data` in pieces, some of them empty."""
    ends = sorted(draw(st.lists(st.integers(0, len(data)), max_size=8)))
    return [data[start:stop] for start, stop in zip([0, *ends], [*ends, len(data)], strict=True)]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
counts = st.integers(0, (1 << 63) - 1)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Any ledger that agrees with itself."""
    headers = tuple(draw(st.lists(st.binary(max_size=12), max_size=3, unique=True)))
    names = sorted(draw(st.sets(texts, max_size=10)), key=order_key)
    bad = set(draw(st.lists(st.sampled_from(names), max_size=3))) if names else set()
    held = []
    for name in names:
        if name in bad:
            continue
        rows = draw(st.integers(0, 50))
        held.append(
            Held(
                key=name,
                etag=draw(texts),
                size=draw(counts),
                version_id=draw(st.none() | texts),
                rows=rows,
                raw_length=draw(st.integers(rows, rows + 1000)) if rows else 0,
                header=draw(st.none() | st.integers(0, len(headers) - 1)) if headers else None,
            )
        )
    header = draw(st.none() | st.binary(min_size=1, max_size=12))
    position = len(GZIP_HEADER)
    segments = []

    def add(raw_length: int, crc: int, sources: tuple[Held, ...]) -> None:
        nonlocal position
        length = draw(st.integers(1, 2000))
        segments.append(Segment(position, length, draw(st.integers(0, 2**32 - 1)), raw_length, crc, sources))
        position += length

    if header is not None:
        add(len(header), crc32(header), ())
    while held:
        share = draw(st.integers(1, len(held)))
        sources, held = tuple(held[:share]), held[share:]
        add(sum(source.raw_length for source in sources), draw(st.integers(0, 2**32 - 1)), sources)
    quarantined = tuple(
        Quarantined(
            name, draw(texts), draw(counts), draw(texts), draw(texts), draw(st.none() | counts), draw(st.booleans())
        )
        for name in sorted(bad, key=order_key)
    )
    settings = draw(st.dictionaries(texts, texts, max_size=3))
    return Ledger(draw(texts), draw(texts), header, headers, tuple(segments), quarantined, settings, draw(texts))
