"""Messages to hours, and to strays with their reasons."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hints.hours import NAMED_STRAYS, Strays, Watched, hours_named
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets_tests.hints.shapes import ENCODINGS, TEST_EVENT, WATCHED, direct, eventbridge

folder_names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=20)
SEVEN = "2021-09-01-07:00"


def look(body, watched=WATCHED):
    """What a message of this body says."""
    return hours_named(body, watched, message_id="m1")


@given(folder_names, st.datetimes(), st.integers(0, 59), st.text(st.characters(exclude_categories=["Cs"]), max_size=9))
def test_every_source_object_leads_to_its_hour(event, moment, minute, name):
    """Whatever characters the event and the name hold, and whoever wrote the message."""
    hour = Hour(event, f"{moment.year:04}-{moment:%m-%d-%H}:00")
    key = f"source/{event}/{hour.date}/{hour.hh}_{minute:02}_{name}.csv"
    for body in (*(direct(encode(key)) for encode in ENCODINGS.values()), eventbridge(key)):
        hours, strays = look(body)
        assert hour in hours
        assert len(hours) <= 3
        assert not strays.counts


def test_a_plain_message_leads_to_one_hour():
    """And several records of one hour to that one."""
    keys = ["source/a/2021-09-01/07_00_x.csv", "source/a/2021-09-01/07_59_y.csv.gz", "source/b/2021-09-01/07_00_x.csv"]
    assert look(direct(*keys)) == (frozenset({Hour("a", SEVEN), Hour("b", SEVEN)}), Strays())


def test_both_hours_are_there_where_a_key_has_two_readings():
    """The caller looks at both; one of them is empty."""
    hours, _ = look(direct("source/a+b/2021-09-01/07_00_x.csv"))
    assert hours == {Hour("a b", SEVEN), Hour("a+b", SEVEN)}


def test_strays_are_counted_by_reason_and_named():
    """A neighbour's bucket, a neighbour's prefix, names that don't parse; the good one beside them counts."""
    keys = [
        "source/a/2021-09-01/07_00_x.csv",
        "other/a/2021-09-01/07_00_x.csv",
        "sourcery/a.csv",
        "source/readme+first.txt",
        "source/a/2021-09-01/25_00_x.csv",
        "source/a/2021-09-01/",
    ]
    hours, strays = look(direct(*keys))
    assert hours == {Hour("a", SEVEN)}
    assert strays.counts == {
        "not below the source prefix": 2,
        f"not of the form {WATCHED.grammar.source_pattern}": 1,
        "no such hour": 1,
        "a folder marker": 1,
    }
    assert ("source/readme first.txt", f"not of the form {WATCHED.grammar.source_pattern}") in strays.named
    hours, strays = look(direct("source/a/2021-09-01/07_00_x.csv", bucket="other"))
    assert (hours, strays.named) == (
        frozenset(),
        [("other/source/a/2021-09-01/07_00_x.csv", "in another bucket")],
    )


def test_the_name_of_a_stray_is_never_a_piece_of_garbage():
    """What can't be read is named by its message: it may hold anything."""
    hours, strays = look('{"password": "hunter2"')
    assert (hours, strays.named) == (frozenset(), [("message m1", "not JSON")])


def test_a_test_event_leads_nowhere_and_is_no_stray():
    """It is there to be forgotten."""
    assert look(TEST_EVENT) == (frozenset(), Strays())


def test_few_strays_are_named_all_are_counted():
    """In a message, and in many together."""
    strays = [look(direct(*(f"other/{number}" for number in range(4))))[1] for _ in range(3)]
    assert [len(each.named) for each in strays] == [4, 4, 4]
    together = Strays.together(strays)
    assert together.counts.total() == 12
    assert len(together.named) == NAMED_STRAYS
    assert strays[0].counts.total() == 4


def test_prefix_and_pattern_are_the_settings():
    """An empty prefix is the whole bucket; the pattern may be another."""
    watched = Watched("raw", "", KeyGrammar("x/{event}/{date}/{HH}-{MM}-{name}.txt"))
    assert look(direct("x/a/2021-09-01/07-00-x.txt"), watched)[0] == {Hour("a", SEVEN)}
    assert look(direct("source/a/2021-09-01/07_00_x.csv"), watched)[0] == frozenset()
