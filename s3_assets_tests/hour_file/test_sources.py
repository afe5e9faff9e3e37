"""Sets of sources: their order, their fingerprint, and a listing sorted into hours."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.sources import NAMED_REJECTS, Sorter, SourceObject, fingerprint, in_order

identities = st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5), st.integers(0, 99)), unique=True, max_size=5)


@given(identities, st.randoms())
def test_the_order_does_not_show_in_a_fingerprint(drawn, chance):
    """It is of a set."""
    turned = list(drawn)
    chance.shuffle(turned)
    assert fingerprint(turned, "t") == fingerprint(drawn, "t")


@given(identities, identities, st.text(max_size=3), st.text(max_size=3))
def test_different_sets_have_different_fingerprints(some, others, token, other_token):
    """Also where key, ETag and size joined are the same text."""
    same = set(some) == set(others) and token == other_token
    assert (fingerprint(some, token) == fingerprint(others, other_token)) == same


def test_a_fingerprint_does_not_change_between_releases():
    """It is recorded as data versions: if it changed, every hour would be looked at again."""
    assert fingerprint([("k", "e", 1)], "header=true") == "38e1ee98d61472ef142208b1961f5e53"


def test_time_is_no_part_of_a_source():
    """The same object seen twice is equal, whatever the clock said."""
    assert SourceObject("k", "e", 1, datetime(2021, 9, 1, tzinfo=UTC)) == SourceObject("k", "e", 1)


def test_a_listing_in_any_order_is_sorted_into_hours():
    """Every key is in an hour or counted with its reason; the first few of those are named."""
    sorter = Sorter(KeyGrammar(), first_label="2021-09-01-00:00", last_label="2021-09-01-08:00")
    keys = ["e/2021-09-01/08_00_a.csv", "e/2021-09-01/07_10_file_10.csv", "e/2021-09-01/07_10_file_9.csv"]
    bad = [
        "readme.txt",
        "e/2021-09-01/",
        "e/2021-09-01/25_61_x.csv",
        "e/2021-08-31/23_00_x.csv",
        "e/2021-09-01/09_00_x.csv",
    ]
    listing = sorter.sort(SourceObject(key, "x", 1) for key in keys + bad)
    assert set(listing.hours) == {Hour("e", "2021-09-01-07:00"), Hour("e", "2021-09-01-08:00")}
    assert [source.key for source in in_order(listing.hours[Hour("e", "2021-09-01-07:00")])] == [keys[2], keys[1]]
    assert listing.source_count == len(keys)
    assert [key for key, _ in listing.named] == bad
    assert sum(listing.rejected.values()) == len(bad)
    assert listing.rejected["in the future"] == listing.rejected["before the start date"] == 1


def test_many_bad_keys_are_counted_and_a_few_named():
    """A million of them would not make a message of a million lines."""
    sorter = Sorter(KeyGrammar(), first_label="2021-09-01-00:00", last_label="2021-09-01-08:00")
    listing = sorter.sort(SourceObject(f"bad{number}", "x", 1) for number in range(1000))
    assert sum(listing.rejected.values()) == 1000
    assert len(listing.named) == NAMED_REJECTS
