"""Where one source's rows are, by ledger and listing alone."""

from __future__ import annotations

import pytest

from s3_assets.hour_file.ledger import Held, Ledger, Quarantined, Segment
from s3_assets.hour_file.sources import SourceObject
from s3_assets.hour_file.whereabouts import Place, State, place_of, whereabouts


def held(key: str, rows: int) -> Held:
    """With the ETag `e`."""
    return Held(key, "e", 10, None, rows, rows * 5, None)


FIRST, SECOND, EMPTY, LAST = held("a", 3), held("b", 2), held("c", 0), held("d", 4)
LEDGER = Ledger(
    event="x",
    hour="2021-09-01-07:00",
    header=None,
    headers=(),
    segments=(
        Segment(10, 5, 0, 5, 0, ()),
        Segment(15, 5, 0, 25, 0, (FIRST, SECOND)),
        Segment(20, 5, 0, 20, 0, (EMPTY, LAST)),
    ),
    quarantined=(Quarantined("bad", "e", 10, "unclosed quote", "…", None, alone=True),),
)


@pytest.mark.parametrize(
    "key, place, last", [("a", Place(1, 1, FIRST), 3), ("b", Place(1, 4, SECOND), 5), ("d", Place(2, 6, LAST), 9)]
)
def test_rows_are_counted_through_all_segments(key, place, last) -> None:
    """From 1, the header not counted; a source without rows shifts nobody."""
    assert place_of(key, LEDGER) == place
    assert place.last_row == last


def test_a_source_without_rows_has_a_place_and_no_row() -> None:
    """Its last row is before its first."""
    place = place_of("c", LEDGER)
    assert place is not None
    assert (place.segment, place.first_row, place.last_row) == (2, 6, 5)


@pytest.mark.parametrize(
    "key, etag, state",
    [
        ("a", "e", State.HELD),
        ("a", "other", State.REWRITTEN),
        ("a", None, State.VANISHED),
        ("bad", "e", State.QUARANTINED),
        ("bad", "other", State.REWRITTEN),
        ("bad", None, State.QUARANTINED),
        ("new", "e", State.WAITING),
        ("none", None, State.UNKNOWN),
    ],
)
def test_each_case_has_a_name(key, etag, state) -> None:
    """By whether it is held, named as unusable, listed, and as the same content."""
    listed = None if etag is None else SourceObject(key, etag, 10)
    found = whereabouts(key, LEDGER, listed)
    assert found.state is state
    assert (found.place is not None) is (key == "a")
    assert (found.bad is not None) is (key == "bad")


def test_another_size_is_another_content() -> None:
    """Also under the same ETag, which is opaque."""
    assert whereabouts("a", LEDGER, SourceObject("a", "e", 11)).state is State.REWRITTEN


def test_without_an_hour_file_what_is_listed_waits() -> None:
    """And what is not is unknown."""
    assert whereabouts("a", None, SourceObject("a", "e", 1)).state is State.WAITING
    assert whereabouts("a", None, None).state is State.UNKNOWN
