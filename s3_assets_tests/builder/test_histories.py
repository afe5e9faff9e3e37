"""Random histories of sources and builds: in the end the hour file holds what a model says, row for row."""

from __future__ import annotations

import csv
import gzip
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy
from s3_assets_tests.builder.bench import Bench
from s3_assets_tests.scale import SCALE

if TYPE_CHECKING:
    from s3_assets.builder.pipeline import Workers

pytestmark = pytest.mark.scaled

NAMES = ["07_00_file_9.csv", "07_00_file_10.csv", "07_15_a b+%|.csv", "07_15_고객.csv", "07_59_z.csv"]
"""In the order of their rows."""

PLAIN = {
    b"1,2\n": b"1,2\n",
    b"3,4\r\n5": b"3,4\r\n5\r\n",
    b"": b"",
    b'"6\n7",8\n\n': b'"6\n7",8\n',
    b"8\n\n9\n": b"8\n\n9\n",
    b'9,"open\n': None,
    b"9,1\r2,3\n": None,
    b"\xff\xfe1\x00": None,
    gzip.compress(b"10,11", mtime=0): b"10,11\n",
    gzip.compress(b"12,13\n", mtime=0)[:-3]: None,
    b"a,b\n14,15\r\r\n": b"a,b\n14,15\r\n",
    b"<html>\n" * 3: b"<html>\n" * 3,
}
"""What a source may be, and its rows where the event has no headers; None is unusable."""

HEADED = {
    b"a,b\n1,2\n": [["1", "2"]],
    b"a,b\n3\n4,5\n": [["3"], ["4", "5"]],
    b"a,b\n\n6,7\n\n": [["6", "7"]],
    b'"a",b\r\n8,9': [["8", "9"]],
    b"a,b\r\r\n8,10\r\r\n": [["8", "10"]],
    b"a,b\n8,11,,\n": [["8", "11"]],
    b"b,a\n10,11\n": [["10", "11"]],
    b"b,c\n12,13\n14\n": [["12", "13"], ["14"]],
    b"b,c\nx,y\n": [["x", "y"]],
    b"a\n15\n": [["15"]],
    b"c\n16\n": [["16"]],
    b"x,y\n25,26\n": [["25", "26"]],
    b"x,y\n" + b"zzz,26\n" * 9: [["zzz", "26"]] * 9,
    b"a,b\n": [],
    b"c,d\n": [],
    b"": [],
    b"\n\n": [],
    gzip.compress(b'a,b,d\n"28\n29",30,31\n', mtime=0): [["28\n29", "30", "31"]],
    b"a,b\n17,18,19\n": None,
    b"a,a\n23,24\n": None,
    b"1,2\n3,4\n": None,
    b"a,b\n5,6\r7,8\n": None,
    b'a,b\n27,"open\n': None,
    b'{"error": "Internal server error"}\n': None,
    b"\nno rows selected\n\n": None,
}
"""What a source with a header line may be, and its rows' values; None is unusable, whatever stands beside it."""


def values_of(body: bytes) -> list[list[tuple[str, str]]]:
    """What rows of a usable source say, by name: values that are not empty."""
    text = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
    names = next(csv.reader(io.StringIO(text.decode(), newline="")), [])
    return [sorted((name, text) for name, text in zip(names, row, strict=False) if text) for row in HEADED[body] or ()]


steps = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "delete", "build", "rebuild"]), st.sampled_from(NAMES), st.integers(0, 99)
    ),
    max_size=25,
)


def present(bench: Bench) -> dict[str, bytes]:
    """What is at the source, by name."""
    return {info.key.rpartition("/")[2]: bench.source.get(info.key).read() for info in bench.source.list("source/")}


def act(bench: Bench, kind: str, name: str, body: bytes) -> bool:
    """One step; whether it was a build."""
    if kind == "put":
        bench.put(name, body)
    elif kind == "delete":
        bench.delete(name)
    else:
        bench.build(rebuild=kind == "rebuild")
        return True
    return False


def assert_settled(bench: Bench) -> None:
    """Another look changes nothing."""
    assert bench.build().plan.verdict in (Verdict.NOTHING, Verdict.EMPTY)


@pytest.mark.parametrize("on_vanished", ["keep", "drop"])
@given(history=steps)
@settings(max_examples=SCALE.examples(60, 1500))
def test_rows_are_those_of_the_model(workers: Workers, on_vanished, history):
    """Without headers: the rows of every usable source, in key order; of vanished ones as last seen, or none."""
    bench = Bench(workers, EventPolicy(header=False, on_vanished=on_vanished, max_vanished_share=1.0))
    bodies = list(PLAIN)
    held: dict[str, bytes] = {}
    last: dict[str, bytes] = {}  # what the newest hour file held that there was
    for kind, name, number in [*history, ("build", "", 0)]:
        if not act(bench, kind, name, bodies[number % len(bodies)]):
            continue
        now = present(bench)
        known = held or (
            last if kind == "rebuild" else {}
        )  # a rebuild looks into older versions where there is no file
        stays = known.items() if on_vanished == "keep" else ()
        held = now | {name: body for name, body in stays if name not in now}
        bad = {name for name in now if PLAIN[now[name]] is None}
        held = {name: held[name] for name in NAMES if name in held and name not in bad}
        text = b"".join(PLAIN[body] or b"" for body in held.values())
        if not text:
            assert bench.target.head(bench.key()) is None
            held = {}
            continue
        last = held
        assert bench.text() == text
        assert [source.key.rpartition("/")[2] for source in bench.ledger().held] == list(held)
        assert bench.quarantined().keys() == bad
    assert_settled(bench)


def alone(bench: Bench) -> dict[str, str]:
    """Reasons of the sources that are unusable by themselves."""
    return {bad.key.rpartition("/")[2]: bad.reason for bad in bench.ledger().quarantined if bad.alone}


@pytest.mark.parametrize("on_schema_change", ["union", "quarantine"])
@given(history=steps)
@settings(max_examples=SCALE.examples(100, 2500))
def test_only_columns_and_who_waits_show_the_history(workers: Workers, on_schema_change, history):
    """With headers of all kinds and `drop`: rows are those of the sources held; a rebuild shows no history."""
    bench = Bench(workers, EventPolicy(on_schema_change=on_schema_change, on_vanished="drop", max_vanished_share=1.0))
    bodies = list(HEADED)
    for kind, name, number in [*history, ("build", "", 0)]:
        if not act(bench, kind, name, bodies[number % len(bodies)]):
            continue
        full = bench.fresh()
        full.build()
        now = present(bench)
        if not any(HEADED[body] for body in now.values()):
            assert bench.target.head(bench.key()) is None
            continue
        held = [source.key.rpartition("/")[2] for source in bench.ledger().held]
        assert held == [name for name in NAMES if name in held]
        assert by_name(bench.text()) == [row for name in held for row in values_of(now[name])]
        assert alone(bench) == alone(full)
        assert alone(bench).keys() == {name for name, body in now.items() if HEADED[body] is None}
        assert bench.ledger().fingerprint == full.ledger().fingerprint
        if bench.quarantined() == full.quarantined():
            assert by_name(bench.text()) == by_name(full.text())
        if kind == "rebuild":
            assert bench.file() == full.file()
    assert_settled(bench)


def by_name(data: bytes) -> list[list[tuple[str, str]]]:
    """Each row's values that are not empty, with their columns' names; all rows are as wide as the header."""
    header, *rows = list(csv.reader(io.StringIO(data.decode(), newline="")))
    return [sorted((name, text) for name, text in zip(header, row, strict=True) if text) for row in rows]


@pytest.mark.parametrize("on_schema_change", ["union", "quarantine"])
@given(history=steps)
@settings(max_examples=SCALE.examples(100, 2500))
def test_no_value_is_lost_or_moved_when_sources_vanish(workers: Workers, on_schema_change, history):
    """With headers of all kinds and `keep`: what stands, stands, as long as its own source is the same, or gone."""
    bench = Bench(workers, EventPolicy(on_schema_change=on_schema_change, max_vanished_share=1.0))
    bodies = list(HEADED)
    stood: dict[str, bytes] = {}
    etags: dict[str, bytes] = {}
    for kind, name, number in [*history, ("build", "", 0)]:
        if not act(bench, kind, name, bodies[number % len(bodies)]):
            continue
        now = present(bench)
        etags |= {info.etag: bench.source.get(info.key).read() for info in bench.source.list("source/")}
        if bench.target.head(bench.key()) is None:
            assert not any(HEADED[body] for body in now.values())
            assert not any(HEADED[body] for name, body in stood.items() if now.get(name, body) == body)
            stood = {}
            continue
        ledger = bench.ledger()
        held = {source.key.rpartition("/")[2]: etags[source.etag] for source in ledger.held}
        for other, body in stood.items():
            if other not in now or (kind == "build" and now[other] == body):
                assert held[other] == body
        waiting = bench.quarantined()
        for other, body in now.items():
            assert (other in waiting) == (other not in held)
            assert held.get(other, body) == body
        assert {why for other, why in waiting.items() if other not in now} <= {"columns"}  # could have stood, and went
        stood = held
        assert by_name(bench.text()) == [row for body in held.values() for row in values_of(body)]
    assert_settled(bench)
