"""Hour files that were mutated, cut, spliced from others, or made to lie: a ledger that is true, or a typed error."""

from __future__ import annotations

import json
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.audit.content import data_stop, read_bytes
from s3_assets.builder.pipeline import Workers
from s3_assets.builder.target import read_target
from s3_assets.errors import DamagedTargetError
from s3_assets.hour_file import ledger as ledger_module
from s3_assets.hour_file.ledger import LedgerTooLargeError, encode, read_footer, read_ledger
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.builder.bench import HOUR, Bench
from s3_assets_tests.hour_file.test_ledger import ledger_text, with_footer, with_text

pytestmark = pytest.mark.scaled


@cache
def real_files() -> tuple[bytes, ...]:
    """Hour files as builds make them: with and without header, late sources, unusable ones, many of them."""
    files = []
    with Workers(fetch_threads=2, hour_threads=1, compress_threads=1) as workers:
        for bodies in (
            {"07_00_a.csv": b"id,n\n1,2\n", "07_10_b.csv": b"id,n,m\n3,4,5\n", "07_20_c.csv": b'id,n\n"\n'},
            {"07_00_a.csv": b"id\n7\n", **{f"07_{minute:02}_bad.csv": b'id\n"open\n' for minute in range(1, 9)}},
            {f"07_{minute:02}_x.csv": b"n\n" + b"%d\n" % minute * 40 for minute in range(30)},
        ):
            bench = Bench(workers)
            for name, data in bodies.items():
                bench.put(name, data)
                if name.endswith("b.csv"):
                    bench.build()
            bench.build()
            files.append(bench.file())
    return tuple(files)


def outcome(file: bytes) -> str:
    """Read it as a builder and an auditor would; every ledger that is taken describes the bytes before it."""
    store = MemoryStore()
    store.put("k", file)
    target = read_target(store, "k", HOUR)
    assert target is not None
    if target.ledger is None:
        assert isinstance(target.problem, DamagedTargetError)
        return "refused"
    ledger = target.ledger
    again = encode(ledger)
    footer = read_footer("k", again, ledger.data_length + len(again))
    assert read_ledger("k", footer, ledger.trailer() + again) == ledger
    assert sum(segment.length for segment in ledger.segments) + 20 == ledger.data_length <= len(file)
    found = read_bytes(ledger, [file[: data_stop(ledger)]])
    held = {source.key for source in ledger.held}
    hit = {key for _, keys in found.damaged for key in keys}
    assert found.contents.keys() | hit == held
    assert not found.contents.keys() & hit
    return "damaged" if found.damaged else "taken"


offsets = st.integers(0, 1 << 16)
mutations = st.lists(
    st.one_of(
        st.tuples(st.just("set"), offsets, st.binary(min_size=1, max_size=8)),
        st.tuples(st.just("cut"), offsets, offsets),
        st.tuples(st.just("double"), offsets, offsets),
        st.tuples(st.just("splice"), offsets, st.integers(0, 2)),
        st.tuples(st.just("end"), offsets, st.integers(0, 2)),
    ),
    min_size=1,
    max_size=3,
)


def mutated(file: bytes, steps: list[tuple]) -> bytes:
    """Overwritten, cut, doubled, or continued by the rest or by the end of another file."""
    for kind, first, second in steps:
        at = first % (len(file) + 1)
        if kind == "set":
            file = file[:at] + second + file[at + len(second) :]
        elif kind == "cut":
            file = file[:at] + file[at + second % 200 :]
        elif kind == "double":
            file = file[:at] + file[max(0, at - second % 200) :]
        else:
            other = real_files()[second]
            file = file[:at] + (other[first % len(other) :] if kind == "splice" else other[-(first % 900) :])
    return file


@given(st.integers(0, 2), mutations)
def test_a_mutated_file_is_refused_or_found_out(which, steps):
    """By its ledger, or by reading its segments; what is taken as a whole is a file as it was, or another real one."""
    file = mutated(real_files()[which], steps)
    if outcome(file) == "taken":
        assert file in real_files()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1 << 65) | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=6,
)


@st.composite
def lying_ledgers(draw: st.DrawFn) -> bytes:
    """A real file whose ledger has other values somewhere, with all frames, lengths and digests right."""
    file = real_files()[draw(st.sampled_from((0, 1)))]
    value = json.loads(ledger_text(file))
    for _ in range(draw(st.integers(1, 3))):
        place = value
        while True:
            steps = list(place) if isinstance(place, dict) else range(len(place))
            if not steps:
                break
            step = draw(st.sampled_from(steps))
            if not isinstance(place[step], (list, dict)) or draw(st.integers(0, 3)) == 0:
                place[step] = draw(json_values)
                break
            place = place[step]
    return with_text(file, json.dumps(value).encode())


@given(lying_ledgers())
def test_a_ledger_that_lies_is_refused_or_found_out(file):
    """A deep look at what is taken never crashes, and knows which sources can't be believed."""
    outcome(file)


@given(
    st.integers(0, 2),
    st.dictionaries(
        st.sampled_from(["pieces", "data_length", "packed_length", "text_length"]),
        st.integers(0, 2**32 - 1) | st.integers(0, 700),
        min_size=1,
    ),
)
def test_a_footer_with_lying_lengths_is_refused(which, lengths):
    """Whatever they are; and nothing is read that the file does not have."""
    file = with_footer(real_files()[which], **lengths)
    assert outcome(file) == ("taken" if file == real_files()[which] else "refused")


def test_a_footer_can_not_make_a_reader_fetch_a_large_file_as_a_ledger():
    """Deflate adds next to nothing: a ledger that is packed larger than its text is none."""
    file = real_files()[0]
    size = 20 + 16 * 1024 * 1024
    pieces = -(-(size - 20) // (16352 + 26))
    packed = size - 20 - 26 * pieces
    footer = with_footer(file, pieces=pieces, data_length=20, packed_length=packed, text_length=728)[-102:]
    with pytest.raises(DamagedTargetError, match="lengths don't add up"):
        read_footer("k", footer, size + 102)


def test_a_ledger_that_no_reader_would_take_is_not_written(monkeypatch):
    """An hour of too many sources says so, before anything is written."""
    file = real_files()[2]
    footer = read_footer("k", file, len(file))
    ledger = read_ledger("k", footer, file[footer.reading_start :])
    monkeypatch.setattr(ledger_module, "MAX_LEDGER_BYTES", 1000)
    with pytest.raises(LedgerTooLargeError, match="the 30 sources of customer_new_customer_event 2021-09-01-07:00"):
        encode(ledger)
