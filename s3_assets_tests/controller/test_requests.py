"""Batches: every hour in one run, in order, within bounds."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.controller.records import FIRST_PAUSE, LONGEST_PAUSE, pause_after
from s3_assets.controller.requests import Wanted, batches
from s3_assets.controller.sweep import Place
from s3_assets.hour_file.keys import Hour

wanted = st.lists(
    st.builds(
        Wanted,
        st.builds(lambda day, hh: Hour("e", f"2024-01-{day:02d}-{hh:02d}:00"), st.integers(1, 31), st.integers(0, 23)),
        st.integers(0, 100),
        st.booleans(),
    ),
    unique_by=lambda one: one.hour,
    max_size=40,
)


@given(every=wanted, most=st.integers(1, 7), size=st.integers(1, 200))
def test_every_hour_is_in_one_run_of_its_kind(every: list[Wanted], most: int, size: int) -> None:
    """In the order given; no run is too large unless one hour is."""
    runs = batches(every, hours_per_run=most, bytes_per_run=size)
    for urgent in (True, False):
        given_ = [one.hour for one in every if one.is_urgent is urgent]
        assert [hour for run in runs if run.is_urgent is urgent for hour in run.hours] == given_
    sizes = {one.hour: one.size for one in every}
    for run in runs:
        assert 1 <= len(run.hours) <= most
        assert run.size == sum(sizes[hour] for hour in run.hours)
        assert run.size <= size or len(run.hours) == 1
    assert [run.is_urgent for run in runs] == sorted((run.is_urgent for run in runs), reverse=True)


@given(every=wanted)
def test_few_runs(every: list[Wanted]) -> None:
    """As many as are needed, and no more."""
    runs = batches(every, hours_per_run=10, bytes_per_run=10**9)
    kinds = [sum(one.is_urgent is urgent for one in every) for urgent in (True, False)]
    assert len(runs) == sum(-(-count // 10) for count in kinds)


def test_pauses_double_and_are_bounded() -> None:
    """So an hour that fails for ever costs a try an hour, and one that failed once is soon tried again."""
    pauses = [pause_after(tries) for tries in range(1, 40)]
    assert pauses[:4] == [FIRST_PAUSE * factor for factor in (1, 2, 4, 8)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE == timedelta(hours=1)


places = st.builds(
    Place,
    event=st.text(max_size=9),
    period=st.sampled_from(["", "2024-06", "2024-06-12", "2024-06-12-07"]),
    began=st.floats(0, 4e9),
    took=st.floats(0, 1e6),
    hot=st.text(max_size=9),
    looked=st.floats(0, 4e9),
)


@given(place=places)
def test_a_place_survives_the_cursor(place: Place) -> None:
    """And stays small."""
    assert Place.read(place.write()) == place


@given(text=st.one_of(st.none(), st.text(), st.recursive(st.none() | st.text() | st.floats(), st.lists).map(repr)))
def test_any_other_cursor_is_the_beginning_or_a_place(text: str | None) -> None:
    """Whatever somebody wrote into it."""
    assert isinstance(Place.read(text), Place)
