"""Sending to a Slack on loopback: what goes out, what its answers mean, and that nothing unsent is taken for sent."""

from __future__ import annotations

import logging
import time
from dataclasses import replace

import pytest

from s3_assets.alerts import slack as slack_module
from s3_assets.alerts.compose import Composed, compose
from s3_assets.alerts.deliver import FIRST_HOLD_S, LONGEST_WAIT_S, deliver, refused_channels
from s3_assets.alerts.groups import Destination
from s3_assets.alerts.problems import Severity
from s3_assets.alerts.reconcile import decide
from s3_assets.alerts.slack import SlackSender
from s3_assets.alerts.state import EVERYWHERE, LONGEST_HOLD_S, AlertState
from s3_assets.errors import AlertDelayedError, AlertRefusedError
from s3_assets_tests.alerts.making import MINUTE, NOW, REPEAT_S, decided, failing
from s3_assets_tests.alerts.slack_stand_in import DROPS, FAILS, HANGS, OK, RATE_LIMITED, TOKEN, Answer, refuses

HELLO = Composed("#data", Severity.ERROR, "hello", "hello", [{"type": "divider"}])


@pytest.fixture
def sender(slack):
    """A sender to the stand-in."""
    return SlackSender(TOKEN, url=slack.url)


def tick(problems, state, now, sender, route=None):
    """One tick, as the sensor does it."""
    everything = [*problems, *refused_channels(state, "#data")]
    decision = (
        decided(everything, state, now)
        if route is None
        else decide(everything, state, now, route=route, repeat_s=REPEAT_S)
    )
    done = deliver(decision, sender, now, ui=None)
    return replace(done, state=AlertState.load(done.state.dump()))


# --- one message -------------------------------------------------------------------------------------------


def test_a_message_is_posted_with_blocks_and_text(slack, sender):
    """With the bot's token, to its channel, without previews of links."""
    [message] = decided([failing()], AlertState()).messages
    one = compose(message, NOW, None)
    sender.post(one)
    assert slack.tokens == [f"Bearer {TOKEN}"]
    assert slack.posted == [
        {"channel": "#data", "text": one.text, "blocks": one.blocks, "unfurl_links": False, "unfurl_media": False}
    ]


@pytest.mark.parametrize(
    "answer, after_s",
    [
        (FAILS, 0),
        (DROPS, 0),
        (RATE_LIMITED, 150),
        (Answer(429, b"slow down", {"retry-after": "7"}), 7),
        (Answer(429, b"", {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}), 0),
        (Answer(503, b'{"ok":false,"error":"service_unavailable"}'), 0),
        (Answer(200, b"<html>a proxy's page</html>"), 0),
        (Answer(200, b""), 0),
        (Answer(200, b"{half"), 0),
        (Answer(200, b"\xff"), 0),
        (refuses("internal_error"), 0),
        (refuses("ratelimited"), 0),
    ],
)
def test_what_may_go_by_is_a_delay(slack, sender, answer, after_s):
    """Failures, limits and pages that are not Slack's; one try each."""
    slack.standing = answer
    with pytest.raises(AlertDelayedError) as caught:
        sender.post(HELLO)
    assert caught.value.after_s == after_s
    assert TOKEN not in caught.value.describe()
    assert len(slack.asked) == 1


@pytest.mark.parametrize(
    "code, everywhere, hint",
    [
        ("invalid_auth", True, "S3_ASSETS_SLACK_TOKEN"),
        ("token_revoked", True, "S3_ASSETS_SLACK_TOKEN"),
        ("missing_scope", True, "chat:write"),
        ("channel_not_found", False, "private channel"),
        ("not_in_channel", False, "/invite"),
        ("some_new_error", False, "S3_ASSETS_SLACK_TOKEN"),
    ],
)
def test_what_somebody_has_to_change_is_refused(slack, sender, code, everywhere, hint):
    """With Slack's word and what to do about it."""
    slack.standing = refuses(code)
    with pytest.raises(AlertRefusedError, match=code) as caught:
        sender.post(HELLO)
    assert caught.value.everywhere == everywhere
    assert hint in caught.value.describe()
    assert TOKEN not in caught.value.describe()


def test_a_slack_that_does_not_answer_is_a_delay(slack, sender, monkeypatch):
    """A tick can't wait for long."""
    sender._client.timeout = 0.2
    slack.standing = HANGS
    began = time.monotonic()
    with pytest.raises(AlertDelayedError, match="timed out"):
        sender.post(HELLO)
    assert time.monotonic() - began < 25  # the stand-in hangs for 30
    assert SlackSender(TOKEN, url=slack.url)._client.timeout == slack_module.TIMEOUT_S


def test_nobody_there_is_a_delay(slack, sender):
    """A port on which nothing listens."""
    gone = SlackSender(TOKEN, url="http://127.0.0.1:1/api")
    with pytest.raises(AlertDelayedError, match="refused"):
        gone.post(HELLO)


def test_blocks_that_slack_refuses_go_out_as_text(slack, sender):
    """Plain is better than silent."""
    slack.answers.append(refuses("invalid_blocks"))
    sender.post(HELLO)
    assert "blocks" not in slack.posted[0]
    assert slack.posted[0]["text"] == "hello"


def test_the_token_is_in_no_log(slack, sender, caplog):
    """At any level, whatever Slack answers."""
    caplog.set_level(logging.DEBUG)
    slack.answers.extend([OK, FAILS, refuses("invalid_auth")])
    sender.post(HELLO)
    with pytest.raises(AlertDelayedError):
        sender.post(HELLO)
    with pytest.raises(AlertRefusedError):
        sender.post(HELLO)
    assert caplog.records
    assert TOKEN not in caplog.text


# --- tick by tick ------------------------------------------------------------------------------------------


def test_when_slack_is_down_nothing_is_marked_and_all_comes_later(slack, sender):
    """An hour that healed meanwhile is never said; one that persists is said once."""
    slack.standing = FAILS
    state = AlertState()
    for minute in range(3):
        done = tick([failing(), failing("clicks")], state, NOW + minute * MINUTE, sender)
        assert (done.sent, done.state.open) == (0, {})
        assert "HTTP 500" in done.troubles[0]
        state = done.state
    assert len(slack.asked) == 3  # one a tick: the next message would fare no better
    slack.standing = OK
    done = tick([failing()], state, NOW + 3 * MINUTE, sender)
    assert done.sent == 1
    assert slack.titles == ["payments: 1 hour can't be made right (ForeignTargetError)"]
    assert tick([failing()], done.state, NOW + 4 * MINUTE, sender).sent == 0


def test_a_limit_is_waited_for_by_later_ticks(slack, sender):
    """Retry-After is 150 seconds: two ticks ask nothing, the third sends."""
    slack.answers.append(RATE_LIMITED)
    state = tick([failing()], AlertState(), NOW, sender).state
    for minute in (1, 2):
        done = tick([failing()], state, NOW + minute * MINUTE, sender)
        assert (done.sent, done.troubles) == (0, [])
        state = done.state
    assert len(slack.asked) == 1
    done = tick([failing()], state, NOW + 3 * MINUTE, sender)
    assert done.sent == 1
    assert done.state.held == {}


def test_no_wait_is_longer_than_an_hour(slack, sender):
    """Whatever Slack, or something in between, asks for."""
    slack.standing = Answer(429, b"", {"Retry-After": "999999"})
    state = tick([failing()], AlertState(), NOW, sender).state
    assert state.held[EVERYWHERE].until == int(NOW.timestamp()) + LONGEST_WAIT_S


def test_a_message_that_is_limited_halfway_leaves_those_before_it_sent(slack, sender):
    """Each is marked for itself."""
    slack.answers.extend([OK, RATE_LIMITED])
    problems = [failing("a"), failing("b"), failing("c")]
    done = tick(problems, AlertState(), NOW, sender)
    assert (done.sent, len(done.state.open)) == (1, 1)
    done = tick(problems, done.state, NOW + 3 * MINUTE, sender)
    assert (done.sent, len(done.state.open)) == (2, 3)
    assert len(set(slack.titles)) == len(slack.titles) == 3


def test_a_refused_token_is_tried_ever_more_slowly(slack, sender):
    """After 5 minutes, 10, 20, up to an hour; said each time, and no alert is lost."""
    slack.standing = refuses("invalid_auth")
    state, tries = AlertState(), []
    for minute in range(240):
        asked = len(slack.asked)
        done = tick([failing()], state, NOW + minute * MINUTE, sender)
        if len(slack.asked) > asked:
            assert "invalid_auth" in done.troubles[0]
            tries.append(minute)
        state = done.state
    assert tries == [0, 5, 15, 35, 75, 135, 195]
    assert (FIRST_HOLD_S, LONGEST_HOLD_S) == (300, 3600)
    slack.standing = OK
    done = tick([failing()], state, NOW + 300 * MINUTE, sender)
    assert (done.sent, done.state.held) == (1, {})


def test_a_refused_channel_holds_up_no_other_and_is_told_there(slack, sender):
    """The default channel says which one refuses; once it takes a message, that is over, and its alert was not lost."""

    def route(problem):
        return Destination("#payments" if problem.event == "payments" else "#data", "")

    slack.of_channel["#payments"] = refuses("not_in_channel")
    problems = [failing(), failing("clicks")]
    state = AlertState()
    for minute in range(3):
        state = tick(problems, state, NOW + minute * MINUTE, sender, route).state
    assert [message["channel"] for message in slack.posted] == ["#data", "#data"]
    assert slack.titles[1] == "1 channel refused by Slack (not_in_channel)"
    assert slack.posted[1]["text"].split("\n")[1] == "#payments"
    del slack.of_channel["#payments"]
    state = tick(problems, state, NOW + 6 * MINUTE, sender, route).state
    assert state.held == {}
    state = tick(problems, state, NOW + 7 * MINUTE, sender, route).state
    assert slack.titles[2:] == [
        "payments: 1 hour can't be made right (ForeignTargetError)",
        "1 channel no longer refused",
    ]


def test_a_channel_for_which_nothing_waits_is_not_held(slack, sender):
    """Its alert healed: whether it still refuses is not known, and is no problem."""
    slack.standing = refuses("is_archived")
    state = tick([failing()], AlertState(), NOW, sender).state
    assert list(state.held) == ["#data"]
    assert tick([], state, NOW + 6 * MINUTE, sender).state.held == {}
