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
    b'"6\n7",8\n\n': b'"6\n7",8\n\n',
    b'9,"open\n': None,
    b"\xff\xfe1\x00": None,
    gzip.compress(b"10,11", mtime=0): b"10,11\n",
    gzip.compress(b"12,13\n", mtime=0)[:-3]: None,
    b"a,b\n14,15\n" * 3: b"a,b\n14,15\n" * 3,
}
"""What a source may be, and its rows where the event has no headers; None is unusable."""

HEADED = [
    b"a,b\n1,2\n",
    b"a,b\n3\n4,5\n",
    b"a,b\n\n6,7\n",
    b'"a",b\r\n8,9',
    b"b,a\n10,11\n",
    b"b,c\n12,13\n14\n",
    b"a\n15\n",
    b"c\n16\n",
    b"a,b\n17,18,19\n",
    b"b,a\n20,21,22\n",
    b"a,a\n23,24\n",
    b"x,y\n25,26\n",
    b"a,b\n",
    b"c,d\n",
    b"",
    b'a,b\n27,"open\n',
    gzip.compress(b'a,b,d\n"28\n29",30,31\n', mtime=0),
]

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
    known: dict[str, bytes] = {}
    for kind, name, number in [*history, ("build", "", 0)]:
        if not act(bench, kind, name, bodies[number % len(bodies)]):
            continue
        now = present(bench)
        vanished = {name: body for name, body in known.items() if name not in now and PLAIN[body] is not None}
        known = now | (vanished if on_vanished == "keep" else {})
        held = [name for name in NAMES if name in known and PLAIN[known[name]] is not None]
        if not known:
            assert bench.target.head(bench.key()) is None
            continue
        assert bench.text() == b"".join(PLAIN[known[name]] or b"" for name in held)
        assert [source.key.rpartition("/")[2] for source in bench.ledger().held] == held
        assert bench.quarantined().keys() == known.keys() - set(held)
    assert_settled(bench)


@pytest.mark.parametrize("on_schema_change", ["union", "quarantine"])
@given(history=steps)
@settings(max_examples=SCALE.examples(100, 2500))
def test_the_history_does_not_show(workers: Workers, on_schema_change, history):
    """With headers of all kinds and `drop`: after each build the content is that of a full build of the same set."""
    bench = Bench(workers, EventPolicy(on_schema_change=on_schema_change, on_vanished="drop", max_vanished_share=1.0))
    for kind, name, number in [*history, ("build", "", 0)]:
        if not act(bench, kind, name, HEADED[number % len(HEADED)]):
            continue
        full = bench.fresh()
        full.build()
        if not present(bench):
            assert bench.target.head(bench.key()) is None
            continue
        assert bench.text() == full.text()
        assert bench.quarantined() == full.quarantined()
        assert bench.ledger().fingerprint == full.ledger().fingerprint
        if kind == "rebuild":
            assert bench.file() == full.file()
    assert_settled(bench)


def by_name(data: bytes) -> list[list[tuple[str, str]]]:
    """Each row's values that are not empty, with their columns' names; a name may stand twice."""
    header, *rows = list(csv.reader(io.StringIO(data.decode(), newline=""))) or [[]]
    return [sorted((name, text) for name, text in zip(header, row, strict=False) if text) for row in rows if row]


@pytest.mark.parametrize("on_schema_change", ["union", "quarantine"])
@given(history=steps)
@settings(max_examples=SCALE.examples(100, 2500))
def test_no_value_is_lost_or_moved_when_sources_vanish(workers: Workers, on_schema_change, history):
    """With headers of all kinds and `keep`: each held source's values stand under their names, as last seen good."""
    bench = Bench(workers, EventPolicy(on_schema_change=on_schema_change))
    seen: dict[str, bytes] = {}
    etags: dict[str, bytes] = {}
    for kind, name, number in [*history, ("build", "", 0)]:
        if not act(bench, kind, name, HEADED[number % len(HEADED)]):
            continue
        now = present(bench)
        etags |= {info.etag: bench.source.get(info.key).read() for info in bench.source.list("source/")}
        if bench.target.head(bench.key()) is None:
            assert not now
            seen = {}
            continue
        ledger = bench.ledger()
        held = {source.key.rpartition("/")[2]: etags[source.etag] for source in ledger.held}
        for name_, body in now.items():
            assert held.get(name_, body) == body
        assert held.keys() | bench.quarantined().keys() >= now.keys()
        assert held.keys() >= seen.keys() - now.keys()
        for name_ in seen.keys() - now.keys():
            assert held[name_] == seen[name_]
        lost = {name_: why for name_, why in bench.quarantined().items() if name_ not in now}
        assert set(lost.values()) <= {"columns", "ragged row"}  # could have stood, went, and stays to be seen
        seen = held
        values = []
        for source in ledger.held:
            body = etags[source.etag]
            values += by_name(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body)
        assert [row for row in by_name(bench.text()) if row] == [row for row in values if row]
    assert_settled(bench)
