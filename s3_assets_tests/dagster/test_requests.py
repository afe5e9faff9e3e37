"""What a tick decides to ask for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from s3_assets.dagster.requests import FIRST_PAUSE, LONGEST_PAUSE, FailedRun, decide
from s3_assets.hour_file.keys import Hour

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = [Hour("e", f"2021-09-01-{hour:02d}:00") for hour in range(24)]
subsets = st.sets(st.sampled_from(HOURS))


@given(
    changed=st.lists(st.sampled_from(HOURS), unique=True),
    busy=subsets,
    failed=st.lists(st.tuples(subsets, st.integers(0, 5000)), max_size=5),
    size=st.integers(1, 5),
    runs=st.integers(1, 3),
)
def test_every_hour_that_differs_is_asked_for_or_accounted_for_once(changed, busy, failed, size, runs) -> None:
    """Asked for, under way, resting or left for the next tick: one of them, and the order is kept."""
    history = [FailedRun(hours, NOW - timedelta(seconds=ago)) for hours, ago in failed]
    requests = decide(changed, busy, history, NOW, hours_per_run=size, runs=runs)
    asked = [hour for batch in requests.batches for hour in batch]
    assert sorted([*asked, *requests.busy, *requests.waiting, *requests.left]) == sorted(changed)
    assert [hour for hour in changed if hour in {*asked, *requests.left}] == [*asked, *requests.left]
    assert all(1 <= len(batch) <= size for batch in requests.batches)
    assert len(requests.batches) <= runs
    assert not set(asked) & busy
    assert requests.count == len(asked)


def test_pauses_double_with_each_failure_and_are_bounded() -> None:
    """So an hour that fails for ever costs a run an hour, and one that failed once is soon tried again."""
    hour = HOURS[0]
    pauses = []
    for failures in range(1, 12):
        history = [FailedRun([hour], NOW)] * failures
        pauses.append(decide([hour], [], history, NOW, hours_per_run=1).waiting[hour] - NOW)
    assert pauses[0] == FIRST_PAUSE
    assert pauses[1] == 2 * FIRST_PAUSE
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE
    assert decide([hour], [], [FailedRun([hour], NOW - FIRST_PAUSE)], NOW, hours_per_run=1).batches == [[hour]]
