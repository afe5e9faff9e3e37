"""What is kept from tick to tick: counters, and the hours known to be behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.hour_file.keys import Hour
from s3_assets.metrics import kept as module
from s3_assets.metrics.kept import Kept

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SEVEN, EIGHT, OLD = (Hour("pay", label) for label in ("2026-11-22-07:00", "2026-11-22-08:00", "2020-01-01-00:00"))

TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=5)
NUMBERS = st.integers(0, 2**53) | st.floats(0, 1e15)
HOURS = st.builds(Hour, TEXT, st.sampled_from([SEVEN.label, EIGHT.label, OLD.label]))


@given(
    st.none() | st.integers(0, 2**62),
    st.dictionaries(st.tuples(TEXT, st.lists(TEXT, max_size=2).map(tuple)), NUMBERS, max_size=5),
    st.dictionaries(HOURS, NUMBERS, max_size=5),
)
def test_what_is_kept_comes_back(position, values, behind):
    """Whatever events are called."""
    kept = Kept(position, values, behind)
    assert Kept.load(kept.dump()) == kept


@pytest.mark.parametrize(
    "text", [None, "", "{", "[]", "null", "{}", '{"values": 3, "behind": {}}', '{"values": [], "behind": {"a": 1}}']
)
def test_what_can_not_be_read_begins_anew(text):
    """Counters go back to zero, which Prometheus knows how to take."""
    assert Kept.load(text) == Kept()


def test_an_hour_is_behind_until_it_was_made_or_a_look_finds_it_right():
    """Also while looks see other hours only."""
    kept = Kept()
    came = NOW - timedelta(hours=3)
    kept.looked(lambda _: True, {OLD: came, SEVEN: came}, NOW)
    kept.looked(lambda hour: hour == SEVEN, {}, NOW)
    assert kept.behind == {OLD: came.timestamp()}
    kept.looked(lambda hour: hour == SEVEN, {SEVEN: came}, NOW)
    kept.made(OLD)
    kept.made(EIGHT)
    assert kept.behind == {SEVEN: came.timestamp()}


def test_an_hour_that_stays_behind_keeps_its_oldest_source():
    """A further one makes it no younger; one without a time is dated by the first look."""
    kept = Kept()
    kept.looked(lambda _: True, {SEVEN: NOW - timedelta(hours=3), EIGHT: None}, NOW)
    kept.looked(lambda _: True, {SEVEN: NOW, EIGHT: None}, NOW + timedelta(hours=1))
    assert kept.behind == {SEVEN: (NOW - timedelta(hours=3)).timestamp(), EIGHT: NOW.timestamp()}


def test_of_too_many_hours_the_oldest_are_kept(monkeypatch):
    """So that the age of the oldest source stays right."""
    monkeypatch.setattr(module, "MOST_BEHIND", 2)
    kept = Kept()
    since = {SEVEN: NOW, OLD: NOW - timedelta(days=2), EIGHT: NOW - timedelta(days=1)}
    kept.looked(lambda _: True, since, NOW)
    assert kept.behind == {hour: since[hour].timestamp() for hour in (OLD, EIGHT)}
