"""The ledger's bytes: round trip, and every lie and every damage refused with the right error and no other."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import json
import random
import struct
import time
import tracemalloc
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3_assets.builder.target import read_target
from s3_assets.errors import DamagedTargetError, ForeignTargetError, quoted
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.ledger import (
    FOOTER_BYTES,
    FORMAT_VERSION,
    MAGIC,
    MAX_LEDGER_BYTES,
    Held,
    Ledger,
    Quarantined,
    Segment,
    encode,
    read_footer,
    read_ledger,
)
from s3_assets.hour_file.segments import CODECS, GZIP_HEADER, TRAILER_BYTES, SegmentEncoder, crc32
from s3_assets.store.memory import MemoryStore
from s3_assets_tests.hour_file.examples import ledgers

if TYPE_CHECKING:
    from collections.abc import Callable

HEADER = b"id,n\xe4me\r\n"


def read(file: bytes) -> Ledger:
    """The ledger in a whole file, read as the builder does."""
    footer = read_footer("k", file[-FOOTER_BYTES:], len(file))
    return read_ledger("k", footer, file[footer.reading_start :])


def whole(ledger: Ledger) -> bytes:
    """A file with this ledger whose segments are zeros."""
    data = GZIP_HEADER + bytes(sum(segment.length for segment in ledger.segments))
    return data + ledger.trailer() + encode(ledger)


def small_file() -> tuple[bytes, Ledger]:
    """A real hour file of a header, two segments and a quarantined source."""
    file = GZIP_HEADER
    segments: list[Segment] = []
    for name, raw in (
        (None, HEADER),
        ("e/2021-09-01/07_00_a.csv", b"1,x\r\n"),
        ("e/2021-09-01/07_15_b.csv", b"2,y\n3,\n"),
    ):
        encoder = SegmentEncoder(CODECS["default"])
        packed = encoder.feed(raw) + encoder.finish()
        held = () if name is None else (Held(name, "etag", 9, "v", raw.count(b"\n"), len(raw), 0),)
        segments.append(Segment(len(file), len(packed), crc32(packed), len(raw), crc32(raw), held))
        file += packed
    bad = Quarantined("e/2021-09-01/07_20_c.csv", "x", 3, "unclosed quote", "why", None, alone=True)
    ledger = Ledger("e", "2021-09-01-07:00", HEADER, (HEADER,), tuple(segments), (bad,), {"header": "true"}, "t")
    return file + ledger.trailer() + encode(ledger), ledger


FILE, LEDGER = small_file()


@given(ledgers())
def test_a_ledger_is_read_back(ledger):
    """Every field, whatever text it holds."""
    assert read(whole(ledger)) == ledger


def test_the_file_around_it_is_one_gzip():
    """Its rows come out whole, also for readers that stop after the first member."""
    assert gzip.decompress(FILE) == HEADER + b"1,x\r\n2,y\n3,\n" == zlib.decompress(FILE, 31)
    assert read(FILE) == LEDGER
    assert (LEDGER.rows, LEDGER.raw_length) == (3, len(gzip.decompress(FILE)))


def test_encoding_is_deterministic():
    """Equal ledgers are equal bytes, whatever order their settings were made in."""
    settings = {"a": "1", "b": "2"}
    turned = dict(reversed(settings.items()))
    assert encode(dataclasses.replace(LEDGER, settings=settings)) == encode(
        dataclasses.replace(LEDGER, settings=turned)
    )


# --- damage --------------------------------------------------------------------------------------------------


def test_a_file_cut_anywhere_is_foreign_or_damaged():
    """At every offset, and never anything else."""
    for length in range(len(FILE)):
        with pytest.raises(DamagedTargetError):
            read(FILE[:length])
    with pytest.raises(ForeignTargetError):
        read(FILE[:-1])
    with pytest.raises(DamagedTargetError):
        read(FILE[1:])
    with pytest.raises(DamagedTargetError):
        read(FILE + b"\0")


def test_every_flipped_bit_of_the_ledger_is_seen():
    """From the data's trailer to the file's last byte."""
    start = LEDGER.data_length - TRAILER_BYTES
    for bit in range(start * 8, len(FILE) * 8):
        damaged = bytearray(FILE)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(DamagedTargetError):
            read(bytes(damaged))


@given(st.binary(max_size=400))
def test_any_other_bytes_are_foreign(data):
    """Someone's data, a plain gzip, nothing: there is no ledger."""
    for file in (data, gzip.compress(data), FILE[:-FOOTER_BYTES] + data[:FOOTER_BYTES]):
        with pytest.raises(ForeignTargetError):
            read(file)


# --- lies ----------------------------------------------------------------------------------------------------


def footer_fields(file: bytes) -> list[Any]:
    """Magic, version, flags, pieces, data length, packed length, text length, digest, CRC."""
    return list(struct.unpack("<8sHHIQQQ32sI", file[-FOOTER_BYTES + 16 : -10]))


def with_footer(file: bytes, **changed: Any) -> bytes:
    """The same file whose footer says something else, with a right CRC."""
    names = ["magic", "version", "flags", "pieces", "data_length", "packed_length", "text_length", "digest"]
    fields = dict(zip(names, footer_fields(file), strict=False)) | changed
    packed = struct.pack("<8sHHIQQQ32s", *fields.values())
    packed += struct.pack("<I", zlib.crc32(packed))
    return file[:-FOOTER_BYTES] + file[-FOOTER_BYTES:][:16] + packed + file[-10:]


def with_text(file: bytes, text: bytes, **footer: Any) -> bytes:
    """The same data with another ledger, whose frame is all right."""
    squeezed = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezed.compress(text) + squeezed.flush()
    pieces = [packed[i : i + 16352] for i in range(0, len(packed), 16352)]
    data_length = footer_fields(file)[4]
    members = b"".join(
        GZIP_HEADER[:3] + b"\x04" + GZIP_HEADER[4:] + struct.pack("<H2sH", len(p) + 4, b"S3", len(p)) + p + file[-10:]
        for p in pieces
    )
    facts = {
        "pieces": len(pieces),
        "packed_length": len(packed),
        "text_length": len(text),
        "digest": hashlib.sha256(packed).digest(),
    }
    return with_footer(file[:data_length] + members + file[-FOOTER_BYTES:], **(facts | footer))


def with_value(change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The small file with a changed ledger; the change may return a whole new value."""
    value = json.loads(ledger_text(FILE))
    changed = change(value)
    return with_text(FILE, json.dumps(value if changed is None else changed).encode())


def ledger_text(file: bytes) -> bytes:
    """The JSON in a file of one ledger member."""
    fields = footer_fields(file)
    start = fields[4] + 16
    return zlib.decompress(file[start : start + fields[5]], -15)


def test_the_liar_of_these_tests_can_tell_the_truth():
    """A footer and a ledger that are rewritten unchanged are taken: what is refused below is the lie."""
    assert read(with_footer(FILE)) == LEDGER
    assert read(with_value(lambda value: None)) == LEDGER


@pytest.mark.parametrize(
    "changed",
    [
        {"magic": b"S3ASSETS"},
        {"version": FORMAT_VERSION + 1},
        {"flags": 1},
        {"pieces": 0},
        {"pieces": 2},
        {"pieces": 2**32 - 1},
        {"data_length": 0},
        {"data_length": 2**64 - 1},
        {"data_length": LEDGER.data_length - 1},
        {"packed_length": 0},
        {"packed_length": 2**64 - 1},
        {"text_length": 0},
        {"text_length": 1},
        {"text_length": MAX_LEDGER_BYTES + 1},
        {"text_length": 2**64 - 1},
        {"digest": bytes(32)},
    ],
    ids=str,
)
def test_a_footer_that_lies_is_refused(changed):
    """With a right CRC: each field is checked against the file."""
    with pytest.raises(DamagedTargetError):
        read(with_footer(FILE, **changed))


def test_a_later_version_is_named():
    """So that an operator knows which program to use."""
    with pytest.raises(DamagedTargetError, match="version 2"):
        read(with_footer(FILE, version=2))


def _set(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(value: Any) -> None:
        for step in path[:-1]:
            value = value[step]
        value[path[-1]] = to

    return change


def _swap(value: dict[str, Any]) -> None:
    first, second = value["segments"][1][5], value["segments"][2][5]
    first[0][0], second[0][0] = second[0][0], first[0][0]


def _double(value: dict[str, Any]) -> None:
    value["quarantined"][0][0] = value["segments"][1][5][0][0]


def _same_key(value: dict[str, Any]) -> None:
    value["segments"][2][5][0][0] = value["segments"][1][5][0][0]


def _overlap(value: dict[str, Any]) -> None:
    value["segments"][2][0] -= 1
    value["segments"][2][1] += 1


def _gap(value: dict[str, Any]) -> None:
    value["segments"][1][1] -= 1


def _turn(value: dict[str, Any]) -> None:
    value["segments"][1:] = reversed(value["segments"][1:])


def _crumb(value: dict[str, Any]) -> None:
    last = value["segments"][2]
    value["segments"].append([last[0] + last[1] - 1, 1, 0, 0, 0, []])
    last[1] -= 1


def _no_segments(value: dict[str, Any]) -> None:
    value["segments"] = []


LIES = {
    "overlap": _overlap,
    "gap": _gap,
    "segments in another order": _turn,
    "sources in another order": _swap,
    "a key twice": _same_key,
    "held and quarantined": _double,
    "a segment of nothing": _crumb,
    "no segments": _no_segments,
    "negative offset": _set("segments", 0, 0, to=-10),
    "negative length": _set("segments", 1, 1, to=-1),
    "no length": _set("segments", 1, 1, to=0),
    "negative rows": _set("segments", 1, 5, 0, 4, to=-1),
    "no rows": _set("segments", 1, 5, 0, 4, to=0),
    "more rows than bytes": _set("segments", 1, 5, 0, 4, to=6),
    "huge length": _set("segments", 2, 1, to=2**62),
    "huge number": _set("segments", 2, 1, to=2**63),
    "a number of digits": _set("segments", 2, 1, to=10**400),
    "fraction": _set("segments", 2, 1, to=7.0),
    "truth for a number": _set("segments", 2, 5, 0, 4, to=True),
    "text for a number": _set("segments", 2, 1, to="7"),
    "not a number": _set("segments", 2, 1, to=float("nan")),
    "raw length": _set("segments", 2, 3, to=8),
    "data CRC": _set("segments", 2, 4, to=1),
    "header index": _set("segments", 1, 5, 0, 6, to=1),
    "negative header index": _set("segments", 1, 5, 0, 6, to=-1),
    "header index of truth": _set("segments", 1, 5, 0, 6, to=False),
    "another header row": _set("header", to="ab,n\xe4me\r\n"),
    "no header row": _set("header", to=None),
    "header beyond latin-1": _set("header", to="€"),
    "headers no list": _set("headers", to=7),
    "number for a key": _set("segments", 1, 5, 0, 0, to=7),
    "half a surrogate": _set("segments", 1, 5, 0, 0, to="\ud800"),
    "fields too few": _set("segments", 1, 5, 0, to=["k"]),
    "segment too short": _set("segments", 1, to=[1]),
    "segment too long": lambda value: value["segments"][1].insert(0, 1),
    "segment no list": _set("segments", 1, to=7),
    "quarantined too short": _set("quarantined", 0, to=["k"]),
    "fingerprint": _set("fingerprint", to="0" * 32),
    "another source": _set("segments", 1, 5, 0, 1, to="other"),
    "settings no table": _set("settings", to=[]),
    "settings no text": _set("settings", "header", to=True),
    "event no text": _set("event", to=None),
    "no event": lambda value: value.pop("event"),
    "no fingerprint": lambda value: value.pop("fingerprint"),
    "a list": lambda value: [value],
    "a number": lambda value: 7,
    "nothing": lambda value: {},
}


@pytest.mark.parametrize("lie", LIES.values(), ids=list(LIES))
def test_a_ledger_that_lies_is_refused(lie):
    """With all frames, digests and lengths right: nothing in it is believed before it is checked."""
    file = with_value(lie)
    with pytest.raises(DamagedTargetError):
        read(file)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff", b"[" * 200_000, b'{"event":' * 100_000, b"9" * 10_000, b"null", b'"' + b"a" * 99],
    ids=["empty", "open", "no UTF-8", "deep lists", "deep tables", "long number", "null", "open text"],
)
def test_a_ledger_that_is_no_json_is_refused(text):
    """Deep nesting and endless numbers too."""
    with pytest.raises(DamagedTargetError):
        read(with_text(FILE, text))


HOSTILE = {
    "long number": "9" * 4_000,
    "long negative number": "-" + "9" * 4_000,
    "number beyond Python's limit": "9" * 100_000,
    "infinity": "1e999999999",
    "not a number": "NaN",
    "long text": '"' + "x" * 300_000 + '"',
    "half surrogates": '"' + "\\ud800" * 50_000 + '"',
    "control characters": '"' + "\\u0000" * 50_000 + '"',
    "text of digits": '"' + "1" * 5_000 + '"',
    "open lists": "[" * 50_000,
    "lists in lists": "[" * 500 + "]" * 500,
    "tables in tables": '{"a":' * 500 + "1" + "}" * 500,
    "long list": "[" + "[1]," * 50_000 + "1]",
    "long name": json.dumps({"x" * 100_000: 1}),
}
"""JSON texts that have no business in a ledger."""

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
).map(json.dumps)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to each value in a ledger, itself included."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for step, one in inner for place in places(one, (*path, step)))]


PLACES = places(json.loads(ledger_text(FILE)))


def forged_text(forged: list[tuple[tuple[Any, ...], str]]) -> str:
    """The small file's ledger with JSON texts, or the hostile ones of that name, in those places."""
    value: Any = [json.loads(ledger_text(FILE))]
    for number, (place, _) in enumerate(forged):
        inner, steps = value, (0, *place)
        for step in steps[:-1]:
            inner = inner[step] if step_is_there(inner, step) and isinstance(inner[step], list | dict) else {}
        if step_is_there(inner, steps[-1]):  # what lies around it may have been replaced before
            inner[steps[-1]] = f"@{number}@"
    text = json.dumps(value[0])
    for number, (_, other) in enumerate(forged):
        text = text.replace(f'"@{number}@"', HOSTILE.get(other, other))
    return text


def step_is_there(value: Any, step: Any) -> bool:
    """Whether `value[step]` can be replaced."""
    return step in value if isinstance(value, dict) else isinstance(step, int) and step < len(value)


def refusal(file: bytes, key: str) -> str:
    """What is said of a file whose ledger is refused; nothing where it is read."""
    footer = read_footer(key, file[-FOOTER_BYTES:], len(file))
    try:
        read_ledger(key, footer, file[footer.reading_start :])
    except DamagedTargetError as error:
        return error.describe()
    return ""


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(PLACES), st.sampled_from(sorted(HOSTILE)) | JSON), min_size=1, max_size=2),
    st.sampled_from(["k", "k" * 1024]),
)
def test_a_forged_ledger_is_refused_in_few_words_and_bounded_time(forged, key):
    """Deep nesting, huge texts and numbers, wrong types, anywhere: read, or an error of under 1,000 characters."""
    file = with_text(FILE, forged_text(forged).encode())
    began = time.process_time()
    assert len(refusal(file, key)) < 1000
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", HOSTILE)
def test_each_hostile_value_in_each_place_is_refused_in_few_words(name):
    """All of them, one at a time; a text may stand where a text belongs."""
    for place in PLACES:
        said = refusal(with_text(FILE, forged_text([(place, name)]).encode()), "k")
        assert len(said) < 500, (place, said[:2000])


@pytest.mark.parametrize(
    "change, said",
    [
        (_set("event", to=["x"] * 9), "its ledger can't be read: a list of 9 where a text belongs"),
        (_set("event", to={"x": 1}), "its ledger can't be read: a table of 1 where a text belongs"),
        (
            _set("segments", 1, 1, to=10**4000),
            "its ledger can't be read: a number of 13,288 bits where a count belongs",
        ),
        (_set("segments", 1, 1, to="7" * 999), "7' (999 characters) where a count belongs"),
        (lambda value: value.pop("event"), "its ledger can't be read: it has no 'event'"),
    ],
)
def test_what_is_wrong_in_a_ledger_is_named_and_not_quoted_in_full(change, said):
    """What stands where something else belongs, by its kind and size."""
    assert said in refusal(with_value(lambda value: change(value) and None), "k")


def test_an_error_about_a_ledger_does_not_keep_the_ledger():
    """It is kept for as long as its hour is: neither the text nor what was parsed of it hangs on it."""
    value = json.loads(ledger_text(FILE))
    value["event"] = ["x" * 1000 for _ in range(20_000)]
    file = with_text(FILE, json.dumps(value).encode())
    tracemalloc.start()
    try:
        with pytest.raises(DamagedTargetError) as refused:
            read(file)
        assert refused.value.__cause__ is None
        assert tracemalloc.get_traced_memory()[0] < 1_000_000
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "value", ["x" * 10**6, b"\xff" * 10**6, "\U0010ffff" * 201, 10**10_000, -(10**10_000), [[]] * 9], ids=type
)
def test_a_foreign_value_is_quoted_in_a_line(value):
    """Of about 200 characters; a short text is quoted as Python does it."""
    assert len(quoted(value)) <= 230
    assert "\n" not in quoted(value)
    assert quoted("it's\n") == repr("it's\n")
    assert quoted("a" * 199 + "z") == repr("a" * 199 + "z")
    assert quoted("a" * 500 + "z").endswith("az' (501 characters)")


def test_an_hour_file_of_another_hour_is_named_in_few_words():
    """Whoever can forge a ledger can forge its event: also where all else in it is true."""
    other = dataclasses.replace(LEDGER, event="e" * 127_000)
    store = MemoryStore("targets")
    store.put("k", FILE[: LEDGER.data_length] + encode(other))
    target = read_target(store, "k", Hour("e", "2021-09-01-07:00"))
    assert isinstance(target.problem, ForeignTargetError)
    assert len(target.problem.describe()) < 1000
    assert "it is the hour file of eee" in str(target.problem)


def test_a_ledger_that_inflates_to_more_than_it_says_is_not_inflated_further():
    """A bomb in the ledger is bounded by the footer's length."""
    with pytest.raises(DamagedTargetError, match="another length"):
        read(with_text(FILE, b" " * 50_000_000, text_length=1_000_000))


def test_a_ledger_of_another_file_is_refused():
    """Its lengths and its CRC are not this data's."""
    other = dataclasses.replace(LEDGER, segments=LEDGER.segments[:2])
    with pytest.raises(DamagedTargetError):
        read(FILE[: LEDGER.data_length] + encode(other))
    swapped = bytearray(FILE)
    swapped[LEDGER.data_length - 8] ^= 1
    with pytest.raises(DamagedTargetError, match="CRC"):
        read(bytes(swapped))


# --- large ---------------------------------------------------------------------------------------------------


def test_a_large_ledger_is_split_into_members_of_at_most_16_kib():
    """DuckDB and busybox fail on larger extra fields; every member is a whole, empty gzip of its own."""
    chance = random.Random(3)
    keys = [f"e/2021-09-01/07_{index // 70:02}_{chance.randbytes(16).hex()}_{index}.csv" for index in range(4000)]
    sources = tuple(
        Held(key, chance.randbytes(16).hex(), 1, None, 1, 2, None)
        for key in sorted(keys, key=lambda key: (key[16:18], key))
    )
    from s3_assets.hour_file.keys import order_key

    sources = tuple(sorted(sources, key=lambda held: order_key(held.key)))
    ledger = Ledger("e", "2021-09-01-07:00", None, (), (Segment(10, 5, 0, 8000, 0, sources),), ())
    packed = encode(ledger)
    sizes = []
    rest = packed
    while rest:
        assert rest[:10] == bytes.fromhex("1f8b0804000000000 0ff".replace(" ", ""))
        (extra,) = struct.unpack("<H", rest[10:12])
        sizes.append(extra)
        inflater = zlib.decompressobj(31)
        assert inflater.decompress(rest) == b""
        assert inflater.eof
        assert inflater.unused_data == rest[12 + extra + 10 :]
        rest = inflater.unused_data
    assert len(sizes) > 10
    assert max(sizes) <= 16 * 1024
    assert read(whole(ledger)) == ledger
    assert packed[-FOOTER_BYTES:][16:].startswith(MAGIC)
