"""The state: a few kilobytes whatever happens, read back as written, and nothing where it can't be."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.alerts.state import (
    EVERYWHERE,
    KNOWN,
    MOST_CLOSED,
    MOST_HELD,
    MOST_OPEN,
    AlertState,
    Closed,
    Held,
    Open,
    Things,
    digest,
)
from s3_assets_tests.alerts.making import MINUTE, NOW, decided, failing, said

DIGESTS = st.sets(st.text().map(digest), max_size=3 * KNOWN)


def alert(key: str, last: int = 0, posts: int = 1) -> Open:
    """An open alert."""
    things = Things.of(["x"])
    return Open(key, "hour", "#data", "payments: 1 hour", "07:00", "right again", things, 0, 0, last, posts)


def test_a_state_is_read_as_it_was_written():
    """All of it."""
    state = (
        AlertState("to")
        .with_open(alert("a"))
        .with_open(alert("b", last=5, posts=3))
        .without_open("a")
        .with_held("#x", Held(9, 2, "is_archived"))
        .seen(["failed runs"])
    )
    assert AlertState.load(state.dump()) == state
    assert (state.closed, state.blind) == ({"a": Closed(0, 1)}, {"failed runs": 1})


@pytest.mark.parametrize("text", [None, "", "{}", "[]", "null", "nonsense", '{"v":0}', '{"v":1,"open":3}', "[" * 10**5])
def test_what_is_no_state_is_an_empty_one(text):
    """The price is one repeated message."""
    assert AlertState.load(text) == AlertState()


@given(st.data())
def test_a_damaged_state_is_an_empty_one_or_a_state(data):
    """Whatever is changed in it, reading it raises nothing, and it can be written again."""
    state = said(decided([failing(), failing("clicks", cause="x")], AlertState())).with_held("#x", Held(9, 2, "x"))
    fields = json.loads(state.dump())
    anything = st.none() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2)
    name = data.draw(st.sampled_from(sorted(fields)))
    if name == "open":
        fields["open"][0][data.draw(st.integers(0, 12))] = data.draw(anything)
    else:
        fields[name] = data.draw(anything)
    found = AlertState.load(json.dumps(fields))
    assert AlertState.load(found.dump()) == found


def test_it_stays_small_whatever_happens():
    """Every table full, with the longest and oddest names."""
    state = AlertState("x" * 8)
    for number in range(30):
        problems = [
            failing(f"{chr(0xD0A4 + number)}\x00" * 60, hour, f"2024-06-{day:02d}", cause=f"{number}" * 200)
            for hour in range(24)
            for day in range(1, 2)
        ]
        state = said(decided(problems, state, NOW + number * MINUTE))
    for number in range(MOST_OPEN + 5):
        problems = [failing("결제" * 60, 7, f"2024-06-{1 + each:02d}", cause=f"{each}") for each in range(number + 1)]
        state = said(decided(problems, state, NOW + (30 + number) * MINUTE))
    for number in range(3 * MOST_HELD):
        state = state.with_held(f"#{number}" + "채널" * 20, Held(number, 1, "channel_not_found"))
    assert len(state.open) == MOST_OPEN + 1
    assert len(state.closed) == MOST_CLOSED
    assert len(state.held) == MOST_HELD
    assert len(state.dump().encode()) < 8_000


def test_the_oldest_closed_alert_is_forgotten_first():
    """So that what comes and goes now is remembered."""
    state = AlertState()
    for number in range(MOST_CLOSED + 3):
        state = state.with_open(alert(f"k{number}", last=number)).without_open(f"k{number}")
    assert len(state.closed) == MOST_CLOSED
    assert "k2" not in state.closed
    assert f"k{MOST_CLOSED + 2}" in state.closed


def test_said_somewhere_else_is_not_said():
    """With another channel, or Slack in place of the log, it begins anew."""
    state = AlertState("slack").with_open(alert("a"))
    assert state.for_destination("slack") is state
    assert state.for_destination("log") == AlertState("log")


def test_all_channels_wait_where_slack_itself_does():
    """One channel's wait is its own."""
    held = Held(10, 0, "")
    assert AlertState().with_held("#a", held).is_held("#a", 9)
    assert not AlertState().with_held("#a", held).is_held("#b", 9)
    assert AlertState().with_held(EVERYWHERE, held).is_held("#b", 9)
    assert not AlertState().with_held(EVERYWHERE, held).is_held("#b", 10)


def test_blind_sources_are_counted_in_a_row():
    """One that could be read in between begins again."""
    state = AlertState().seen(["a", "b"]).seen(["a"]).seen(["a", "b"])
    assert state.blind == {"a": 3, "b": 1}


@given(DIGESTS, DIGESTS)
def test_equal_sets_are_remembered_equally(one, other):
    """In whatever order they come, and different ones differently."""
    assert Things.of(sorted(one)) == Things.of(sorted(one, reverse=True))
    assert (Things.of(one) == Things.of(other)) == (one == other)
    assert Things.of(one).exact == (len(one) <= KNOWN)


def test_parts_are_not_run_together():
    """`a b|c` and `a|b c` are different things."""
    assert digest("ab", "c") != digest("a", "bc") != digest("abc")
    assert digest("\ud800") == digest("\ud800")
