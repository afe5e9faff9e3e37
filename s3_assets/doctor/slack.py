"""Would an alert arrive? Token and channels are tried with the one scope that alerts need, `chat:write`.

A channel can't be looked up with that scope, so a message is scheduled for it and taken back at once: Slack checks the
channel as it does for a message, and nobody sees anything. What this can't show is that a message is accepted when it
matters: posting may be restricted by then.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from typing import TYPE_CHECKING, Any, Final

from dagster_slack import SlackResource
from slack_sdk.errors import SlackApiError, SlackClientError

from s3_assets.alerts.foreign_text import shown
from s3_assets.doctor.findings import Finding, failed, passed, warned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slack_sdk import WebClient
    from slack_sdk.web import SlackResponse

    from s3_assets.settings import AlertSettings

TIMEOUT_S: Final = 5
"""For connecting and for each read."""

SCOPE: Final = "chat:write"
"""All that alerts need."""

CHANNELS: Final = 20
"""How many channels of routes are tried, at most."""

_CODE: Final = re.compile(r"[a-z][a-z0-9_]{2,60}")
"""What Slack's own errors look like; a proxy's page does not."""

_FAR: Final = timedelta(days=100)
"""Slack schedules no message further ahead than 120 days (chat.scheduleMessage)."""

_TEXT: Final = "`s3-assets doctor` tried this channel and could not take this message back: it means nothing."
_TODO: Final = {
    "account_inactive": "the bot or its workspace is gone: install the app again",
    "channel_not_found": "check the channel's name or id; a private channel is found only by a bot that is in it",
    "invalid_auth": "set S3_ASSETS_SLACK_TOKEN to the bot's token as api.slack.com/apps shows it (xoxb-…)",
    "is_archived": "take the channel out of the archive, or name another one",
    "missing_scope": f"give the app the scope {SCOPE}, and install it again",
    "not_authed": "set S3_ASSETS_SLACK_TOKEN to the bot's token as api.slack.com/apps shows it (xoxb-…)",
    "not_in_channel": "invite the bot: /invite in the channel",
    "token_expired": "make a new token, or switch token rotation off",
    "token_revoked": "install the app again, and set S3_ASSETS_SLACK_TOKEN to its new token",
}


def slack(settings: AlertSettings) -> Iterator[Finding]:
    """The token, its scope, and every channel that an alert may go to."""
    if settings.slack_token is None:
        yield warned(
            "no S3_ASSETS_SLACK_TOKEN: alerts go to the log of alerts_sensor, where somebody has to look",
            "set S3_ASSETS_SLACK_TOKEN and S3_ASSETS_SLACK_CHANNEL (docs/alerts.md)",
        )
        return
    client = _client(settings.slack_token, settings.slack_url)
    answer = _ask(client, "auth.test", {})
    if isinstance(answer, Finding):
        yield answer
        return
    scopes = {scope.strip() for scope in str(_header(answer, "x-oauth-scopes")).split(",")} - {""}
    if scopes and SCOPE not in scopes:
        yield failed(f"the token has no scope {SCOPE}", _TODO["missing_scope"])
        return
    yield passed(f"Slack knows the token: bot {shown(str(answer.get('user')))} of {shown(str(answer.get('team')))}")
    channels = _channels(settings)
    for channel in channels[:CHANNELS]:
        yield _channel(client, channel)
    if len(channels) > CHANNELS:
        yield warned(f"{len(channels) - CHANNELS} more channels of routes were not tried", "try them by hand")


def _client(token: str, url: str) -> WebClient:
    client: WebClient = SlackResource(token=token).get_client()
    client.base_url = url.rstrip("/") + "/"
    client.timeout = TIMEOUT_S
    client.retry_handlers = []
    return client


def _channels(settings: AlertSettings) -> list[str]:
    routed = [route.channel for route in settings.routes if route.channel]
    every = [settings.slack_channel, *routed, *settings.owners.values()]
    return list(dict.fromkeys(channel for channel in every if channel))


def _channel(client: WebClient, channel: str) -> Finding:
    at = round((datetime.now(UTC) + _FAR).timestamp())
    answer = _ask(client, "chat.scheduleMessage", {"channel": channel, "text": _TEXT, "post_at": at}, channel)
    if isinstance(answer, Finding):
        return answer
    found = {"channel": answer.get("channel", channel), "scheduled_message_id": answer.get("scheduled_message_id")}
    taken_back = _ask(client, "chat.deleteScheduledMessage", found, channel)
    if isinstance(taken_back, Finding):
        return warned(
            f"{channel} takes messages; the one that was scheduled for it as a trial is still there "
            f"({shown(str(found['scheduled_message_id']))}): {taken_back.seen}",
            "delete it with chat.deleteScheduledMessage, or it appears in 100 days",
        )
    return passed(f"{channel} takes messages (one was scheduled for it, and taken back)")


def _ask(client: WebClient, method: str, body: dict[str, Any], channel: str = "") -> SlackResponse | Finding:
    """Slack's good answer, or the finding that it is not."""
    whose = f" for {channel}" if channel else ""
    try:
        return client.api_call(method, json=body)
    except SlackApiError as error:
        code = error.response.get("error") if isinstance(error.response.data, dict) else None
        named = isinstance(code, str) and _CODE.fullmatch(code)
        words = str(code) if named else f"HTTP {error.response.status_code}"
        todo = _TODO.get(words, "see what Slack says of this code (docs/alerts.md); nothing arrives until then")
        return failed(f"{method}{whose}: Slack says {words}", todo)
    except (OSError, HTTPException, SlackClientError, ValueError) as error:
        words = shown(f"{type(error).__name__}: {error}")
        return failed(
            f"{method}{whose}: no good answer from {client.base_url}: {words}",
            "check the network, and S3_ASSETS_SLACK_URL where it is set",
        )


def _header(answer: SlackResponse, wanted: str) -> str:
    return next((str(value) for name, value in answer.headers.items() if name.lower() == wanted), "")
