"""How an alert reads: the same facts in the same order, within Slack's limits, and harmless whatever it quotes."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.alerts.compose import (
    MOST_BLOCKS,
    MOST_FIELD,
    MOST_SECTION,
    MOST_TEXT,
    compose,
    duration,
    escape,
    fit,
)
from s3_assets.alerts.groups import Destination, label_ranges
from s3_assets.alerts.problems import AUTOMATION, HOUR, QUARANTINED, RUN, Problem
from s3_assets.alerts.reconcile import decide
from s3_assets.alerts.state import AlertState
from s3_assets_tests.alerts.making import FOREIGN, MINUTE, NOW, REPEAT_S, decided, failing, said

UI = "https://dagster.example.com"
RUN_PAGE = {"page": "runs/0b3ff1b6-9c0e", "page_name": "run 0b3ff1b6"}
TEXT = st.text(st.characters(exclude_categories=()), max_size=60)
NASTY = st.sampled_from(
    ["<!channel>", "<@U123>", "@here", "```", "*b*", "&lt;", "<https://evil|x>", "<!subteam^S1>", "\u202e", "|", "\n"]
)


def composed(problems, state=None, now=NOW, ui=UI):
    """The one message that there is."""
    [message] = decided(problems, state or AlertState(), now).messages
    return compose(message, now, ui)


def test_a_first_failure_says_all_that_there_is_to_know():
    """What, which, the error's words, since when, whether it heals, who, where; in Slack and in a log."""
    one = composed([failing(tries=3, owner="@payments-team", heals="move it away", **RUN_PAGE)])
    assert one.plain == (
        "payments: 1 hour can't be made right (ForeignTargetError)\n"
        "2024-06-01-07:00\n"
        f"  {FOREIGN}\n"
        "Since: 2026-11-22 11:55 UTC (5 min)\n"
        "Failed: 3 times\n"
        "Heals by itself: no: move it away\n"
        "Owner: @payments-team\n"
        "Look: run 0b3ff1b6 https://dagster.example.com/runs/0b3ff1b6-9c0e"
    )
    assert one.text == one.plain
    texts = [text for block in one.blocks for text in texts_of(block)]
    assert texts == [
        ":red_circle: *payments: 1 hour can't be made right (ForeignTargetError)*\n2024-06-01-07:00",
        f"```{FOREIGN}```",
        "*Since*\n2026-11-22 11:55 UTC (5 min)",
        "*Failed*\n3 times",
        "*Heals by itself*\nno: move it away",
        "*Owner*\n@payments-team",
        "*Look*\n<https://dagster.example.com/runs/0b3ff1b6-9c0e|run 0b3ff1b6>",
    ]


def texts_of(block):
    """The texts of one block."""
    return [each["text"] for each in [*block.get("fields", []), *block.get("elements", []), block.get("text")] if each]


def test_changes_say_what_is_new_and_what_is_right_again():
    """Against the last message."""
    state = said(decided([failing(hour=7), failing(hour=8)], AlertState()))
    lines = composed([failing(hour=8), failing(hour=9), failing(hour=10)], state, NOW + 30 * MINUTE).plain.split("\n")
    assert lines[:3] == [
        "payments: 3 hours can't be made right (ForeignTargetError)",
        "2024-06-01-08:00 to 10:00",
        "2 more, 1 right again since this was said at 2026-11-22 12:00 UTC.",
    ]


def test_a_repetition_says_that_nothing_is_new():
    """So that nobody looks for what changed."""
    state = said(decided([failing()], AlertState()))
    lines = composed([failing()], state, NOW + 240 * MINUTE).plain.split("\n")
    assert lines[2] == "Nothing new since this was said at 2026-11-22 12:00 UTC."


def test_a_crowd_is_counted_against_the_last_time():
    """Which of them are new is not known."""
    day = [failing(hour=hour) for hour in range(20)]
    state = said(decided(day, AlertState()))
    more = composed([*day, *(failing(hour=hour) for hour in range(20, 24))], state, NOW + 10 * MINUTE)
    assert "24 where there were 20 since this was said" in more.plain


def test_the_end_names_what_is_over():
    """And how long it was."""
    state = said(decided([failing(hour=7), failing(hour=8)], AlertState()))
    one = composed([], state, NOW + 130 * MINUTE)
    assert one.plain == (
        "payments: 2 hours right again\n2024-06-01-07:00 to 08:00\nSince: 2026-11-22 11:55 UTC, for 2 h 15 min"
    )
    assert one.severity is None
    assert [text for block in one.blocks for text in texts_of(block)] == [
        ":white_check_mark: *payments: 2 hours right again*\n2024-06-01-07:00 to 08:00",
        "*Since* 2026-11-22 11:55 UTC, for 2 h 15 min",
    ]


def test_a_storm_is_counted_and_its_first_are_named():
    """The events with the most hours, two different errors, and whether all of it heals."""
    storm = [
        failing(f"e{place:03d}", hour, cause="StoreUnavailableError", words=f"timeout of e{place}", by_itself=place > 0)
        for place in range(200)
        for hour in range(20)
    ]
    one = composed(storm)
    assert one.plain.split("\n")[:5] == [
        "4,000 hours of 200 events can't be made right (StoreUnavailableError)",
        "e000 (20), e001 (20), e002 (20) and 197 more events",
        "  timeout of e0",
        "  timeout of e1",
        "  (and 198 other messages)",
    ]
    assert "Heals by itself: 3,980 of 4,000: do what the error says" in one.plain


@pytest.mark.parametrize(
    "problem, title",
    [
        (Problem(RUN, "backup_job 2024-06-01", "it failed"), "1 job failed in the last run"),
        (Problem(AUTOMATION, "source_sensor", "x", cause="Failure"), "1 sensor or schedule failing tick after tick"),
        (failing(kind=QUARANTINED, cause=""), "payments: 1 hour with unusable source objects"),
    ],
)
def test_other_kinds_read_alike(problem, title):
    """One style for all."""
    assert composed([problem]).plain.split("\n")[0].startswith(title)


def test_without_an_address_runs_are_named_and_not_linked():
    """A link to nowhere helps nobody."""
    one = composed([failing(**RUN_PAGE)], ui=None)
    assert "Look: run 0b3ff1b6" in one.plain
    assert "http" not in json.dumps(one.blocks)


def test_an_owner_may_be_told_by_slack_and_nobody_else():
    """The operator's own mention is the only one that is not escaped."""

    def owner(text):
        return json.dumps(composed([failing(owner=text)]).blocks, ensure_ascii=False)

    assert "<!subteam^S0123ABCD>" in owner("<!subteam^S0123ABCD>")
    assert "<@U0123ABCD>" in owner("<@U0123ABCD>")
    assert "&lt;!channel&gt;" in owner("<!channel>")
    assert "<!channel>" not in owner("<@U0123ABCD> <!channel>")


def test_names_can_be_copied():
    """An underscore in a name stays as it is."""
    assert "customer_new_customer_event: 1 hour" in json.dumps(
        composed([failing("customer_new_customer_event")]).blocks
    )


def test_secrets_in_errors_are_not_sent():
    """Nor in names, nor to the log."""
    one = composed([failing(words="https://user:hunter2@host said password=hunter2", heals="token=hunter2 is bad")])
    assert "hunter2" not in one.plain + json.dumps(one.blocks)
    two = composed([failing("AKIAIOSFODNN7EXAMPLE")])
    assert "AKIAIOSFODNN7EXAMPLE" not in two.plain + json.dumps(two.blocks)
    state = said(decided([failing("AKIAIOSFODNN7EXAMPLE")], AlertState()))
    assert "AKIAIOSFODNN7EXAMPLE" not in state.dump()


@given(
    event=st.lists(TEXT | NASTY, max_size=20).map("".join),
    words=st.lists(TEXT | NASTY, max_size=60).map("".join),
    cause=st.lists(TEXT | NASTY, max_size=10).map("".join),
    heals=st.lists(TEXT | NASTY, max_size=30).map("".join),
    times=st.integers(1, 40),
)
def test_nothing_quoted_can_ping_link_or_break_the_limits(event, words, cause, heals, times):
    """Whatever events, errors and hints hold, also in the message on the end."""
    problems = [
        failing(event * times, 7, words=words * times, cause=cause * times, heals=heals * times, **RUN_PAGE),
        failing(event * times, 8, words=f"other {words * times}", cause=cause * times, heals=heals, **RUN_PAGE),
    ]
    decision = decided(problems, AlertState())
    over = decided([], said(decision), NOW + MINUTE)
    for message in (*decision.messages, *over.messages):
        one = compose(message, NOW, UI)
        json.dumps(one.blocks, ensure_ascii=False).encode()
        assert len(one.text) <= MOST_TEXT
        assert len(one.blocks) <= MOST_BLOCKS
        for block in one.blocks:
            assert len(block.get("fields", [])) <= 10
            most = MOST_FIELD if "fields" in block else MOST_SECTION
            for text in texts_of(block):
                assert 0 < len(text) <= most
                assert re.findall(r"<[^>]*>?", text) in (
                    [],
                    ["<https://dagster.example.com/runs/0b3ff1b6-9c0e|run 0b3ff1b6>"],
                )
                assert text.count("```") in (0, 2)
                assert not re.search(r"&(?!amp;|lt;|gt;)", text)
        assert not re.search(r"[<>]", one.text)


@given(st.text(), st.integers(8, 60))
def test_what_is_cut_to_fit_is_still_escaped(text, most):
    """No escape is cut in two."""
    found = fit(text, most)
    assert len(found) <= most
    assert escape(text) == found or (found.endswith("…") and escape(text).startswith(found[:-1]))
    assert not re.search(r"&(?!amp;|lt;|gt;)", found)


@pytest.mark.parametrize(
    "labels, ranges",
    [
        (["2024-06-01-07:00"], ["2024-06-01-07:00"]),
        (["2024-06-01-09:00", "2024-06-01-07:00", "2024-06-01-08:00"], ["2024-06-01-07:00 to 09:00"]),
        (["2024-06-01-23:00", "2024-06-02-00:00"], ["2024-06-01-23:00 to 2024-06-02-00:00"]),
        (["2024-06-01-07:00", "2024-06-01-09:00"], ["2024-06-01-07:00", "2024-06-01-09:00"]),
    ],
)
def test_neighbouring_hours_are_a_range(labels, ranges):
    """In order, over midnight too."""
    assert label_ranges(labels) == ranges


@pytest.mark.parametrize(
    "span, text",
    [
        (timedelta(seconds=59), "less than a minute"),
        (timedelta(seconds=-5), "less than a minute"),
        (timedelta(minutes=40), "40 min"),
        (timedelta(hours=2, minutes=5), "2 h 5 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
)
def test_durations_are_short(span, text):
    """Two units at most."""
    assert duration(span) == text


def test_routes_decide_where_and_who():
    """Problems of one cause that go to different channels are told apart."""

    def route(problem):
        return Destination("#payments", "@pay") if problem.event == "payments" else Destination("#data", "")

    problems = [failing(), failing("clicks"), Problem(HOUR, "x", "no event")]
    decision = decide(problems, AlertState(), NOW, route=route, repeat_s=REPEAT_S)
    found = {message.channel: compose(message, NOW, None).plain for message in decision.messages}
    assert "Owner: @pay" in found["#payments"]
    assert "Owner" not in found["#data"]
    assert len(decision.messages) == 3
