"""What is said, and when: the first failure at once, the rest at a bounded rate, the end once, a retry never."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.alerts import reconcile, state
from s3_assets.alerts.groups import MOST_EVENTS
from s3_assets.alerts.problems import BLIND, HOUR, QUARANTINED, RUN, Problem, mark_of
from s3_assets.alerts.reconcile import FIRST_PAUSE_S, MOST_MESSAGES, Reason
from s3_assets.alerts.state import EVERYWHERE, MOST_OPEN, AlertState, Held
from s3_assets_tests.alerts.making import MINUTE, NOW, REPEAT_S, decided, failing, said

EMPTY = AlertState()


def reasons(decision):
    """Why each message is sent."""
    return [message.reason for message in decision.messages]


def day_of(event="payments", day="2024-06-01"):
    """The 24 hours of a day, failing."""
    return [failing(event, hour, day) for hour in range(24)]


# --- one at a time -----------------------------------------------------------------------------------------


def test_a_first_failure_is_said_at_once_and_then_there_is_silence():
    """Until the summary is due, nothing more is said of what does not change."""
    first = decided([failing()], EMPTY)
    assert reasons(first) == [Reason.NEW]
    after = said(first)
    for minutes in (1, 10, 60, 239):
        assert decided([failing(tries=minutes)], after, NOW + minutes * MINUTE).messages == []
    assert reasons(decided([failing()], after, NOW + 240 * MINUTE)) == [Reason.STILL]


def test_a_recovery_is_said_once_and_at_once():
    """The next tick has nothing to say."""
    after = said(decided([failing()], EMPTY))
    over = decided([], after, NOW + MINUTE)
    assert reasons(over) == [Reason.OVER]
    assert decided([], said(over), NOW + 2 * MINUTE).messages == []


def test_what_is_not_sent_is_not_said():
    """Slack is down: the same is decided again, and what healed meanwhile is never said."""
    first = decided([failing()], EMPTY)
    again = decided([failing()], AlertState.load(first.state.dump()), NOW + MINUTE)
    assert reasons(again) == [Reason.NEW]
    assert decided([], again.state, NOW + 2 * MINUTE).messages == []


def test_a_recovery_that_is_not_sent_is_decided_again():
    """It is not forgotten that something was said."""
    after = said(decided([failing()], EMPTY))
    lost = decided([], after, NOW + MINUTE)
    assert reasons(decided([], lost.state, NOW + 2 * MINUTE)) == [Reason.OVER]


def test_a_failure_that_a_retry_may_mend_is_not_said():
    """It opens nothing, and takes back nothing that was said of its thing."""
    assert decided([failing(settled=False)], EMPTY).messages == []
    after = said(decided([failing()], EMPTY))
    assert decided([failing(settled=False)], after, NOW + MINUTE).messages == []
    assert reasons(decided([], after, NOW + 2 * MINUTE)) == [Reason.OVER]


def test_what_comes_back_within_the_pause_waits_for_its_end():
    """A thing that fails and heals each minute is not said each minute."""
    current, at, reasons_seen = EMPTY, NOW, []
    for minute in range(60):
        at = NOW + minute * MINUTE
        decision = decided([failing()] if minute % 2 == 0 else [], current, at)
        reasons_seen += reasons(decision)
        current = said(decision)
    assert reasons_seen.count(Reason.NEW) == reasons_seen.count(Reason.OVER) == 3  # at 0, 10 and 30 minutes


def test_another_hour_of_the_group_is_said_with_what_is_right_again():
    """Its first failure is news, whatever happened to the others."""
    after = said(decided([failing(hour=7), failing(hour=8)], EMPTY))
    changed = decided([failing(hour=8), failing(hour=9)], after, NOW + 30 * MINUTE)
    assert reasons(changed) == [Reason.CHANGED]
    [message] = changed.messages
    assert message.was is not None
    assert message.was.gone == 1


def test_hours_that_get_right_one_by_one_are_no_news():
    """Until the last: that is the end."""
    current = said(decided([failing(hour=hour) for hour in range(5)], EMPTY))
    for minute in range(1, 5):
        decision = decided([failing(hour=hour) for hour in range(minute, 5)], current, NOW + 30 * minute * MINUTE)
        assert decision.messages == []
        current = said(decision)
    assert reasons(decided([], current, NOW + 150 * MINUTE)) == [Reason.OVER]


def test_an_hour_that_left_a_group_and_fails_again_is_news():
    """That it left was noted without a word."""
    current = said(decided([failing(hour=7), failing(hour=8)], EMPTY))
    current = said(decided([failing(hour=8)], current, NOW + 20 * MINUTE))
    assert reasons(decided([failing(hour=7), failing(hour=8)], current, NOW + 40 * MINUTE)) == [Reason.CHANGED]


def test_another_cause_is_no_recovery():
    """The hour is still wrong: that is said of the new cause, and nothing of the old one."""
    first = said(decided([failing(cause="StoreUnavailableError")], EMPTY))
    moved = decided([failing(cause="ForeignTargetError")], first, NOW + MINUTE)
    assert reasons(moved) == [Reason.NEW]
    current = said(moved)
    settled = decided([failing(cause="ForeignTargetError")], current, NOW + 2 * MINUTE)
    assert settled.messages == []
    assert len(said(settled).open) == 1
    assert reasons(decided([], said(settled), NOW + 3 * MINUTE)) == [Reason.OVER]


def test_an_end_does_not_speak_for_what_is_told_elsewhere():
    """Of two hours one is right, the other fails for another cause, which is said first."""
    current = said(decided([failing(hour=7), failing(hour=8)], EMPTY))
    now = [failing(hour=8, cause="AccessDeniedError")]
    moved = decided(now, current, NOW + MINUTE)
    assert reasons(moved) == [Reason.NEW]
    [over] = decided(now, said(moved), NOW + 2 * MINUTE).messages
    assert over.was is not None
    assert over.was.end == "right again, but for what is told elsewhere"


def test_what_is_said_once_is_not_repeated():
    """A quarantined source may stay for ever."""
    bad = failing(kind=QUARANTINED, cause="")
    after = said(decided([bad], EMPTY))
    assert decided([bad], after, NOW + timedelta(days=30)).messages == []
    more = [bad, failing(hour=8, kind=QUARANTINED, cause="")]
    assert reasons(decided(more, after, NOW + timedelta(days=30))) == [Reason.CHANGED]


def test_a_log_is_told_of_changes_only():
    """Nobody needs a repetition there."""
    after = said(decided([failing()], EMPTY, repeats=False))
    assert decided([failing()], after, NOW + timedelta(days=3), repeats=False).messages == []


def test_nothing_is_concluded_from_what_could_not_be_looked_at():
    """A source of problems that fails is not read as all being well."""
    after = said(decided([failing()], EMPTY))
    assert decided([], after, NOW + MINUTE, blind={HOUR.name}).messages == []
    assert reasons(decided([], after, NOW + MINUTE, blind={QUARANTINED.name})) == [Reason.OVER]


def test_one_thing_is_told_once_whatever_names_it():
    """Also where two sources find the same hour."""
    decision = decided([failing(cause="A"), failing(cause="B"), failing(cause="A")], EMPTY)
    assert decision.problems == 1
    assert len(decision.messages) == 1


# --- storms ------------------------------------------------------------------------------------------------


def test_a_storm_of_one_event_is_one_message():
    """4,000 failed hours of it."""
    days = [f"2024-{month:02d}-{day:02d}" for month in range(1, 7) for day in range(1, 29)]
    storm = [problem for day in days for problem in day_of(day=day)][:4000]
    decision = decided(storm, EMPTY)
    [message] = decision.messages
    assert message.group is not None
    assert len(message.group.problems) == 4000
    assert len(said(decision).dump()) < 500


def test_a_storm_of_many_events_and_causes_is_a_handful():
    """Events beyond a few share a message per cause; it grows, and is said ever less often, and ends once."""
    current, sent = EMPTY, []
    for minute in range(0, 300, 10):
        count = min(300, 10 + 3 * minute) if minute < 240 else 0
        storm = [
            failing(f"event_{place}", hour, cause=cause)
            for place in range(count)
            for hour, cause in ((7, "StoreUnavailableError"), (8, "AccessDeniedError"))
        ]
        decision = decided(storm, current, NOW + minute * MINUTE)
        sent += reasons(decision)
        current = said(decision)
    assert sent.count(Reason.NEW) == sent.count(Reason.OVER) == 2
    assert len(sent) <= 14
    assert current.open == {}


def test_a_crowd_of_which_some_heal_is_said_again_at_the_summary_rate():
    """Which of them is not remembered; that it is another set is."""
    after = said(decided(day_of(), EMPTY))
    fewer = day_of()[:20]
    assert decided(fewer, after, NOW + 30 * MINUTE).messages == []
    [message] = decided(fewer, after, NOW + timedelta(seconds=REPEAT_S)).messages
    assert message.reason is Reason.CHANGED
    assert message.after is not None
    assert message.after.things.count == 20


def test_events_share_a_message_once_there_are_too_many():
    """Those that had their own go on with it; so nothing looks like a recovery."""
    few = [failing(f"event_{place}") for place in range(MOST_EVENTS)]
    current = said(decided(few, EMPTY))
    assert len(current.open) == MOST_EVENTS
    decision = decided([*few, failing("another"), failing("one_more")], current, NOW + MINUTE)
    [message] = decision.messages
    assert message.reason is Reason.NEW
    assert message.group is not None
    assert message.group.subject == "2 hours of 2 events"


def test_too_many_sorts_of_problems_share_one_alert():
    """The state stays small, and a tick says little; nothing is lost."""
    causes = [failing("payments", 7, f"2024-06-{1 + n:02d}", cause=f"Cause{n}") for n in range(MOST_OPEN + 6)]
    first = decided(causes[:MOST_OPEN], EMPTY)
    assert len(first.messages) == MOST_MESSAGES
    assert first.left == MOST_OPEN - MOST_MESSAGES
    current, at = EMPTY, NOW
    for _ in range(8):
        current = said(decided(causes[:MOST_OPEN], current, at))
        at += MINUTE
    assert len(current.open) == MOST_OPEN
    [further] = decided(causes, current, at).messages
    assert further.group is not None
    assert further.group.subject == "payments: 6 problems"
    current = said(decided(causes, current, at))
    assert decided(causes, current, at + MINUTE).messages == []
    for _ in range(5):
        current = said(decided([], current, at))
        at += MINUTE
    assert current.open == {}


def test_errors_go_before_warnings_and_ends_between():
    """With a tick's few messages, the urgent ones are sent first."""
    old = [failing(kind=QUARANTINED, cause="", event="clicks")]
    after = said(decided(old, EMPTY))
    now = [
        *(failing(f"bad_{place}", kind=QUARANTINED, cause="") for place in range(3)),
        Problem(RUN, "backup_job", "it failed"),
        Problem(BLIND, "failed runs", "no storage"),
        failing(),
    ]
    decision = decided(now, after, NOW + MINUTE)
    severities = [message.group.severity if message.group else "over" for message in decision.messages]
    assert severities == ["error", "error", "error", "over", "warning"]
    assert decision.left == 2


def test_a_channel_that_waits_holds_up_no_other():
    """Its messages are decided again when its time has come."""
    held = EMPTY.with_held("#data", state.Held(int(NOW.timestamp()) + 60, 1, "channel_not_found"))
    decision = decided([failing()], held)
    assert (decision.messages, decision.held) == ([], 1)
    assert len(decided([failing()], held, NOW + MINUTE).messages) == 1


# --- whatever happens --------------------------------------------------------------------------------------

HOURS = [(event, hour) for event in ("a", "b", "c") for hour in range(3)]
TICKS = st.lists(
    st.tuples(
        st.sets(st.sampled_from(HOURS), max_size=4),  # which of them change between wrong and right
        st.sampled_from([1, 1, 3, 11, 70, 300]),  # minutes since the tick before
        st.sampled_from([0, 1, MOST_MESSAGES, MOST_MESSAGES]),  # how many messages Slack takes
    ),
    max_size=25,
)


class History:
    """Ticks, and what was said in them."""

    def __init__(self) -> None:
        self.state = AlertState()
        self.now = NOW
        self.posts: list[tuple[int, str, Reason, frozenset[str]]] = []
        self.wrong: dict[tuple[str, int], str] = {}
        self.appeared: dict[str, int] = {}

    def tick(self, minutes: int, slack_takes: int, unsettled: frozenset[tuple[str, int]] = frozenset()) -> None:
        """Decide, send what Slack takes, and start anew from the cursor."""
        self.now += minutes * MINUTE
        at = int(self.now.timestamp())
        problems = [
            failing(event, hour, cause=cause, settled=(event, hour) not in unsettled)
            for (event, hour), cause in self.wrong.items()
        ]
        names = {problem.thing for problem in problems}
        self.appeared = {name: self.appeared.get(name, at) for name in names}
        decision = decided(problems, self.state, self.now)
        assert len(decision.messages) <= MOST_MESSAGES
        current = decision.state
        for message in decision.messages[:slack_takes]:
            current = message.sent(current)
            alert = message.after or message.was
            assert alert is not None
            things = frozenset(each.thing for each in message.group.problems) if message.group else frozenset()
            if message.reason is Reason.OVER:
                still_wrong = {mark_of(HOUR, name) for name in names} & set(alert.things.known)
                assert not still_wrong or alert.end.endswith("told elsewhere")
            self.posts.append((at, alert.key, message.reason, things))
        text = current.dump()
        assert len(text.encode()) < 4000
        self.state = AlertState.load(text)
        assert self.state == current

    def settle(self, ticks: int = 12) -> None:
        """Slack works, nothing changes, and time goes by."""
        for _ in range(ticks):
            self.tick(30, MOST_MESSAGES)


def run(ticks, causes=("X",)) -> History:
    """A history of ticks; each time that an hour goes wrong, it is for the next of the causes."""
    history, count = History(), 0
    for changes, minutes, slack_takes in ticks:
        for each in sorted(changes):
            if each in history.wrong:
                del history.wrong[each]
            else:
                history.wrong[each] = causes[count % len(causes)]
                count += 1
        history.tick(minutes, slack_takes)
    return history


@given(TICKS)
def test_what_persists_is_said_since_it_began(ticks):
    """Whatever healed, failed and got lost before."""
    history = run(ticks)
    history.settle()
    for name, since in history.appeared.items():
        assert any(at >= since and name in things for at, _, _, things in history.posts), name


@given(TICKS)
def test_nothing_is_said_more_often_than_the_rate(ticks):
    """Between two messages on a group there is a pause, and what is unchanged has a long one. Ends are not counted."""
    history = run(ticks)
    history.settle()
    times: dict[str, int] = {}
    for at, key, reason, _ in history.posts:
        if reason is Reason.OVER:
            continue
        least = REPEAT_S if reason is Reason.STILL else FIRST_PAUSE_S
        assert at - times.get(key, 0) >= least
        times[key] = at


@given(TICKS)
def test_each_alert_ends_once(ticks):
    """New, then changes and repetitions, then over; and after all is well, nothing is open."""
    history = run(ticks)
    history.wrong.clear()
    history.settle(ticks=5)
    assert history.state.open == {}
    by_key = defaultdict(list)
    for _, key, reason, _ in history.posts:
        by_key[key].append(reason)
    for sequence in by_key.values():
        rounds = "".join(reason[0] for reason in sequence).split("o")  # n(ew), c(hanged), s(till), o(ver)
        assert rounds.pop() == ""
        assert all(each[0] == "n" and "n" not in each[1:] for each in rounds)


@given(TICKS)
def test_what_was_said_ends_also_where_causes_change(ticks):
    """After the last message that named a thing, an alert that named it ends, or is said without it.

    An hour that goes wrong for another cause each time moves from alert to alert.
    """
    history = run(ticks, causes=("X", "Y", "X", "Z"))
    history.wrong.clear()
    history.settle(ticks=6)
    assert history.state.open == {}
    named: dict[str, frozenset[str]] = {}
    unended: set[str] = set()
    for _, key, _, things in history.posts:
        unended = (unended - named.get(key, frozenset())) | things
        named[key] = things
    assert unended == set()


@given(TICKS)
def test_crowds_are_said_and_end_too(ticks):
    """The same where no more than two things of a group are known one by one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(state, "KNOWN", 2)
        history = run(ticks)
        history.settle()
        everything = {name for _, _, _, things in history.posts for name in things}
        assert history.appeared.keys() <= everything
        history.wrong.clear()
        history.settle(ticks=5)
        assert history.state.open == {}
        opened = sum(reason is Reason.NEW for _, _, reason, _ in history.posts)
        assert sum(reason is Reason.OVER for _, _, reason, _ in history.posts) == opened


@given(TICKS, st.sets(st.sampled_from(HOURS)))
def test_what_never_settles_is_never_said(ticks, flaky):
    """Hours whose retry always comes in time, beside others that fail for good."""
    history = History()
    for changes, minutes, slack_takes in ticks:
        for each in changes:
            if each in history.wrong:
                del history.wrong[each]
            else:
                history.wrong[each] = "X"
        history.tick(minutes, slack_takes, frozenset(flaky))
    named = {name for _, _, _, things in history.posts for name in things}
    assert not named & {f"{event} 2024-06-01-{hour:02d}:00" for event, hour in flaky}


def test_pauses_double_and_are_bounded():
    """By the rate that the operator chose, but never below the first pause."""
    pauses = [reconcile.pause_s(posts, REPEAT_S) for posts in range(1, 9)]
    assert pauses[:3] == [FIRST_PAUSE_S, 2 * FIRST_PAUSE_S, 4 * FIRST_PAUSE_S]
    assert pauses == sorted(pauses)
    assert pauses[-1] == REPEAT_S
    assert reconcile.pause_s(5, 60) == FIRST_PAUSE_S


# --- a clock that was wrong --------------------------------------------------------------------------------


@pytest.mark.parametrize("was", ["open", "closed", "held"])
def test_what_a_clock_that_was_ahead_left_keeps_nothing_unsaid(was):
    """It was set back by a year: the pause begins when that is seen, and does not last for a year."""
    year = timedelta(days=365)
    opened = said(decided([failing()], EMPTY, NOW + year))
    closed = said(decided([], opened, NOW + year))
    held = AlertState(held={EVERYWHERE: Held(int((NOW + year).timestamp()), 1, "")})
    before, again = {"open": (opened, Reason.STILL), "closed": (closed, Reason.NEW), "held": (held, Reason.NEW)}[was]
    first = decided([failing()], before)
    assert reasons(first) == []
    assert reasons(decided([failing()], said(first), NOW + timedelta(hours=5))) == [again]
