"""What the contract of `HintSource` says, sentence by sentence, of the memory twin and of SQS on real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from s3_assets.hints.contract import LONGEST_PUT_BACK_S
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.hints.shapes import TEST_EVENT, direct

HIDDEN_S = 600
"""So long a message is hidden where the test does not wait for its return."""


def body(number: int) -> str:
    """A notification for hour `number`."""
    return direct(f"source/e/2021-09-01/{number:02}_00_x.csv")


def hour(number: int) -> Hour:
    """That hour."""
    return Hour("e", f"2021-09-01-{number:02}:00")


def hours(hints) -> list[Hour]:
    """The hours of all hints, sorted, each as often as it came."""
    return sorted(each for hint in hints for each in hint.hours)


def test_what_was_sent_comes_out_as_hours(make_bench):
    """With when it was sent, and that it came for the first time."""
    bench = make_bench(HIDDEN_S)
    bench.send(body(7))
    (hint,) = bench.wait_for(len)
    assert hint.hours == {hour(7)}
    assert hint.deliveries == 1
    assert not hint.strays.counts
    assert hint.sent_at.utcoffset() == timedelta(0)
    assert hint.message_id


def test_an_empty_queue_gives_nothing(make_bench):
    """And does not wait where no wait is asked for."""
    assert make_bench(HIDDEN_S).take() == []


def test_a_receive_goes_on_beyond_one_call(make_bench):
    """Ten are a call's share in SQS; all come, each once."""
    bench = make_bench(HIDDEN_S)
    bench.send(*map(body, range(24)))
    assert hours(bench.wait_for(lambda came: len(came) >= 24)) == [hour(number) for number in range(24)]


def test_no_more_than_most_come(make_bench):
    """The rest stays for the next time."""
    bench = make_bench(HIDDEN_S)
    bench.send(*map(body, range(15)))
    first = bench.wait_for(len)
    assert bench.source.receive(0, 0, datetime.max.replace(tzinfo=UTC)) == []
    rest = bench.wait_for(lambda came: len(first) + len(came) >= 15)
    assert hours([*first, *rest]) == [hour(number) for number in range(15)]
    bench.send(*map(body, range(15)))
    assert len(bench.take(most=12)) <= 12


def test_each_message_comes_once_in_a_receive(make_bench):
    """Also where messages are hidden for no time at all, so that each call could give the same ones."""
    bench = make_bench(0)
    bench.send(body(1), body(2))
    came = bench.wait_for(len)
    assert len({hint.message_id for hint in bench.take()}) == len(bench.take()) == 2
    assert {hint.message_id for hint in came} <= {hint.message_id for hint in bench.take()}


def test_after_the_deadline_nothing_is_asked(make_bench):
    """The message stays as it was."""
    bench = make_bench(HIDDEN_S)
    bench.send(body(1))
    assert bench.source.receive(10, 20, datetime(2020, 1, 1, tzinfo=UTC)) == []
    (hint,) = bench.wait_for(len)
    assert hint.deliveries == 1


def test_what_is_not_settled_comes_again_and_what_is_does_not(make_bench):
    """The same message, with another receipt, once its time is over; none that was forgotten or put back for long."""
    bench = make_bench(1)
    bench.send(body(1), body(2), body(3))
    for _ in range(10):  # on a slow machine it may be visible again before it is put back
        came = {next(iter(hint.hours)): hint for hint in bench.wait_for(lambda came: len(set(hours(came))) == 3)}
        if bench.source.put_back([came[hour(3)]], HIDDEN_S).done:
            break
    assert bench.source.forget([came[hour(1)]]).done == 1
    again = bench.wait_for(lambda came: hours(came).count(hour(2)) >= 2)
    assert set(hours(again)) == {hour(2)}
    assert {hint.message_id for hint in again} == {came[hour(2)].message_id}
    assert again[-1].deliveries > came[hour(2)].deliveries
    assert again[-1].receipt != came[hour(2)].receipt


def test_many_are_forgotten_at_once(make_bench):
    """More than a call takes; twice is no error, nothing to forget is none either."""
    bench = make_bench(1)
    bench.send(*map(body, range(23)))
    came = bench.take()
    came += bench.wait_for(lambda more: len({hint.message_id for hint in (*came, *more)}) >= 23)
    newest = list({hint.message_id: hint for hint in came}.values())
    assert len(newest) == 23
    settled = bench.source.forget(newest)
    assert (settled.done, settled.failed) == (23, {})
    twice = bench.source.forget(newest)
    assert twice.done + twice.failed.total() == 23
    assert bench.source.forget([]) == bench.source.put_back([], 0)
    bench.send(body(23))
    assert set(hours(bench.wait_for(lambda came: hours(came).count(hour(23)) >= 2))) == {hour(23)}


def test_what_is_put_back_for_no_time_comes_again_at_once(make_bench):
    """Long before it would have."""
    bench = make_bench(HIDDEN_S)
    bench.send(*map(body, range(11)))
    came = bench.wait_for(lambda came: len(came) >= 11)
    settled = bench.source.put_back(came, 0)
    assert (settled.done, settled.failed) == (11, {})
    again = bench.wait_for(lambda more: len(more) >= 11)
    assert hours(again) == hours(came)
    assert {hint.deliveries for hint in again} == {2}


def test_putting_back_what_is_forgotten_is_counted(make_bench):
    """One is forgotten, so one at most can be put back; nothing is raised."""
    bench = make_bench(HIDDEN_S)
    bench.send(body(1), body(2))
    came = bench.wait_for(lambda came: len(came) >= 2)
    bench.source.forget(came[:1])
    settled = bench.source.put_back(came, 0)
    assert settled.done + settled.failed.total() == 2
    assert hours(bench.wait_for(len)) == hours(came[1:])


@pytest.mark.parametrize("in_s", [-1, LONGEST_PUT_BACK_S + 1])
def test_a_time_that_no_server_takes_is_a_mistake_of_the_caller(make_bench, in_s):
    """And says what is possible."""
    with pytest.raises(ValueError, match=f"0 to {LONGEST_PUT_BACK_S} seconds"):
        make_bench(HIDDEN_S).source.put_back([], in_s)


GARBAGE = ["hello", "{", "[[[[", '{"Records": [1]}', "\t\n", "고객 😀", "x" * 262_144]


def test_garbage_comes_as_hints_without_hours(make_bench):
    """It is named, costs the good one beside it nothing, and can be forgotten."""
    bench = make_bench(1)
    bench.send(*GARBAGE, TEST_EVENT, body(1))
    came = bench.wait_for(lambda came: len({hint.message_id for hint in came}) >= len(GARBAGE) + 2)
    newest = {hint.message_id: hint for hint in came}.values()
    assert hours(newest) == [hour(1)]
    useless = [hint for hint in newest if not hint.hours]
    assert sorted(hint.strays.counts.total() for hint in useless) == [0, *[1] * len(GARBAGE)]
    assert bench.source.forget(useless).done == len(useless)
    assert {hint.hours for hint in bench.wait_for(len)} == {frozenset({hour(1)})}
