"""Sources that go and come back: keep, drop, the breaker, and what a rebuild carries over."""

from __future__ import annotations

import pytest

from s3_assets.errors import BreakerOpenError
from s3_assets.hour_file.plan import Verdict
from s3_assets.hour_file.policy import EventPolicy

DROP = EventPolicy(on_vanished="drop")


def put(bench, *names: str) -> None:
    """Sources of one row, their name."""
    for name in names:
        bench.put(f"07_00_{name}.csv", f"n\n{name}\n".encode())


def rows(bench) -> str:
    """All rows, joined."""
    text: str = bench.text().decode()
    return text.replace("\n", " ").removeprefix("n ").strip()


def test_keep_keeps_and_a_rebuild_carries_over(bench):
    """Lifecycle rules expire raw files; their rows stay, with late ones beside them."""
    put(bench, "a", "b", "c")
    bench.build()
    for name in "abc":
        bench.delete(f"07_00_{name}.csv")
    assert bench.build().plan.verdict is Verdict.NOTHING
    put(bench, "ab")
    bench.build()
    assert rows(bench) == "a ab b c"
    bench.build(rebuild=True)
    assert rows(bench) == "a ab b c"
    assert len(bench.ledger().held) == 4


def test_a_restored_source_is_taken_as_it_was_under_keep(bench):
    """A, gone, A: nothing is written."""
    put(bench, "a", "b")
    bench.build()
    bench.delete("07_00_a.csv")
    bench.build()
    put(bench, "a")
    assert bench.build().plan.verdict is Verdict.NOTHING
    assert bench.writes() == 1


def test_a_restored_source_comes_back_under_drop(bench):
    """A, gone, A: the hour file is what it was, its data version too."""
    bench.policy = DROP
    put(bench, "a", "b")
    first = bench.build()
    file = bench.file()
    bench.delete("07_00_a.csv")
    bench.build()
    assert rows(bench) == "b"
    put(bench, "a")
    again = bench.build()
    assert rows(bench) == "a b"
    assert again.plan.fingerprint == first.plan.fingerprint
    before = bench.ledger_of(file)
    assert [(held.key, held.etag, held.rows) for held in bench.ledger().held] == [
        (held.key, held.etag, held.rows) for held in before.held
    ]
    assert bench.ledger().fingerprint == before.fingerprint


def test_the_breaker_holds_a_large_loss(bench):
    """Nothing is written, not even new rows, until an operator accepts it or the sources are back."""
    bench.policy = DROP
    put(bench, "a", "b", "c")
    bench.build()
    bench.delete("07_00_a.csv")
    bench.delete("07_00_b.csv")
    put(bench, "d")
    with pytest.raises(BreakerOpenError, match="2 of 3"):
        bench.build()
    assert (rows(bench), bench.writes()) == ("a b c", 1)
    with pytest.raises(BreakerOpenError):
        bench.build(rebuild=True)
    bench.build(accept_vanished=True)
    assert rows(bench) == "c d"


def test_an_hour_whose_last_source_went_is_removed(bench):
    """With a delete marker where versioning is on; when a source comes it is there again."""
    bench.policy = EventPolicy(on_vanished="drop", max_vanished_share=1.0)
    put(bench, "a")
    bench.build()
    bench.delete("07_00_a.csv")
    result = bench.build()
    assert (result.plan.verdict, result.ledger) == (Verdict.REMOVE, None)
    assert [version.data is None for version in bench.target.versions(bench.key())] == [False, True]
    assert bench.build().plan.verdict is Verdict.EMPTY
    put(bench, "a")
    bench.build()
    assert rows(bench) == "a"


def test_keep_becomes_drop(bench):
    """What went before the setting changed goes then, through the breaker."""
    put(bench, "a", "b")
    bench.build()
    bench.delete("07_00_a.csv")
    bench.build()
    bench.policy = DROP
    bench.build()
    assert rows(bench) == "b"


def test_a_rewritten_source_that_vanishes_keeps_its_last_rows(bench):
    """The last that were seen good."""
    put(bench, "a", "b")
    bench.build()
    bench.put("07_00_a.csv", b"n\nA\n")
    bench.build()
    bench.delete("07_00_a.csv")
    bench.build()
    assert rows(bench) == "A b"
