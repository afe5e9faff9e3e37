"""The checkup of Slack, against a stand-in that answers as Slack does: token, scope, channels."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.doctor.findings import Verdict
from s3_assets.doctor.slack import slack
from s3_assets.settings import load_alert_settings
from s3_assets_tests.alerts.slack_stand_in import DROPS, FAILS, OK, TOKEN, Answer, SlackStandIn, refuses

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.server import BaseHTTPRequestHandler

KNOWN = {"ok": True, "user": "s3-assets", "team": "Data"}


def good(body: dict[str, Any], **headers: str) -> Answer:
    """A good answer."""
    return Answer(200, json.dumps(body).encode(), headers)


class Workspace(SlackStandIn):
    """Knows the methods of a checkup, too.

    Attributes:
        of_method: Answers by method; the rest is as it should be.
        scheduled: The messages that are waiting, by their ids.
    """

    def __init__(self) -> None:
        super().__init__()
        self.of_method: dict[str, Answer] = {}
        self.scheduled: dict[str, dict[str, Any]] = {}

    def answer(self, path: str, token: str, body: dict[str, Any]) -> Answer:
        """Note the request and take the answer."""
        self.tokens.append(token)
        method = path.removeprefix("/api/")
        if method in self.of_method:
            return self.of_method[method]
        if method == "auth.test":
            return good(KNOWN, **{"X-OAuth-Scopes": "chat:write,users:read"})
        if body.get("channel") in self.of_channel:
            return self.of_channel[body["channel"]]
        if method == "chat.scheduleMessage":
            found = f"Q{len(self.scheduled)}"
            self.scheduled[found] = body
            return good({"ok": True, "channel": "C0123ABCD", "scheduled_message_id": found})
        if method == "chat.deleteScheduledMessage" and body["channel"] == "C0123ABCD":
            del self.scheduled[body["scheduled_message_id"]]
            return OK
        return super().answer(path, token, body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        class Handler(super()._handler()):
            def do_POST(self) -> None:  # noqa: N802 - a name of http.server
                if self.headers["Content-Length"] in (None, "0"):  # auth.test has no argument
                    del self.headers["Content-Length"]
                    self.headers["Content-Length"] = "2"
                    self.rfile = io.BytesIO(b"{}")
                super().do_POST()

        return Handler


@pytest.fixture
def workspace() -> Iterator[Workspace]:
    """A stand-in."""
    with Workspace() as made:
        yield made


def look(workspace: Workspace, **more: str) -> list[tuple[Verdict, str]]:
    """What a checkup says."""
    environment = {
        "S3_ASSETS_SLACK_TOKEN": TOKEN,
        "S3_ASSETS_SLACK_CHANNEL": "#data",
        "S3_ASSETS_SLACK_URL": workspace.url,
        **more,
    }
    findings = list(slack(load_alert_settings({name: value for name, value in environment.items() if value})))
    assert all(TOKEN not in f"{one.seen} {one.todo}" for one in findings)
    assert all(one.todo for one in findings if one.verdict is not Verdict.PASS)
    return [(one.verdict, f"{one.seen} -> {one.todo}") for one in findings]


def test_token_and_channels_are_tried_and_nobody_sees_it(workspace: Workspace, tmp_path) -> None:
    """Also those of routes and owners, each once; nothing is posted, and nothing stays scheduled."""
    config = tmp_path / "s3_assets.toml"
    config.write_text(
        '[alerts]\n[[alerts.routes]]\nevents = ["pay*"]\nchannel = "#payments"\n'
        '[[alerts.routes]]\nevents = ["x"]\nowner = "@growth"\n[alerts.owners]\n"@growth" = "#growth"\n'
    )
    found = look(workspace, S3_ASSETS_CONFIG=str(config))
    assert [verdict for verdict, _ in found] == [Verdict.PASS] * 4
    assert "bot s3-assets of Data" in found[0][1]
    assert [words.split()[0] for _, words in found[1:]] == ["#data", "#payments", "#growth"]
    assert (workspace.posted, workspace.scheduled) == ([], {})
    assert set(workspace.tokens) == {f"Bearer {TOKEN}"}


def test_no_token_is_a_warning(workspace: Workspace) -> None:
    """Alerts go to the log, and nothing is asked."""
    [(verdict, words)] = look(workspace, S3_ASSETS_SLACK_TOKEN="", S3_ASSETS_SLACK_CHANNEL="")
    assert (verdict, workspace.tokens) == (Verdict.WARN, [])
    assert "alerts go to the log" in words


@pytest.mark.parametrize(
    "answer, words",
    [
        (refuses("invalid_auth"), "Slack says invalid_auth -> set S3_ASSETS_SLACK_TOKEN"),
        (refuses("token_revoked"), "Slack says token_revoked -> install the app again"),
        (FAILS, "Slack says HTTP 500"),
        (DROPS, "no good answer from http://127.0.0.1"),
        (
            good(KNOWN, **{"X-OAuth-Scopes": "users:read"}),
            "the token has no scope chat:write -> give the app the scope",
        ),
    ],
    ids=["invalid", "revoked", "fails", "drops", "scope"],
)
def test_a_token_that_is_no_good_is_named(workspace: Workspace, answer, words) -> None:
    """And no channel is tried with it."""
    workspace.of_method["auth.test"] = answer
    [(verdict, seen)] = look(workspace)
    assert verdict is Verdict.FAIL
    assert words in seen


@pytest.mark.parametrize(
    "code, todo",
    [("channel_not_found", "check the channel's name"), ("not_in_channel", "invite"), ("is_archived", "archive")],
)
def test_a_channel_that_takes_nothing_is_named(workspace: Workspace, code, todo) -> None:
    """With what to do."""
    workspace.of_channel["#data"] = refuses(code)
    (first, _), (verdict, seen) = look(workspace)
    assert (first, verdict) == (Verdict.PASS, Verdict.FAIL)
    assert f"#data: Slack says {code}" in seen
    assert todo in seen


def test_a_trial_that_can_not_be_taken_back_is_said(workspace: Workspace) -> None:
    """By its id."""
    workspace.of_method["chat.deleteScheduledMessage"] = refuses("invalid_scheduled_message_id")
    _, (verdict, seen) = look(workspace)
    assert verdict is Verdict.WARN
    assert "(Q0)" in seen
