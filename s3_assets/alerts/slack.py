"""Sends alerts to Slack, through Dagster's `SlackResource`.

One call and one try a message: nothing is waited for, since the sensor comes again. What Slack answers is told in
two errors: try later, or change something.
"""

from __future__ import annotations

import re
from http import HTTPStatus
from http.client import HTTPException
from typing import TYPE_CHECKING, Final

from dagster_slack import SlackResource
from slack_sdk.errors import SlackApiError, SlackClientError

from s3_assets.alerts.foreign_text import shown
from s3_assets.errors import AlertDelayedError, AlertRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from slack_sdk import WebClient

    from s3_assets.alerts.compose import Composed

TIMEOUT_S: Final = 5
"""For connecting and for each read. Five messages with an answer just in time fit into a sensor's minute."""

_CODE = re.compile(r"[a-z][a-z0-9_]{2,60}")
"""What Slack's own errors look like; a proxy's page does not."""

_LATER: Final = frozenset(
    {
        *("accesslimited", "fatal_error", "internal_error", "ratelimited", "rate_limited", "request_timeout"),
        *("service_unavailable", "team_added_to_org"),
    }
)
"""Errors that go by themselves."""

_EVERYWHERE: Final = frozenset(
    {
        *("access_denied", "account_inactive", "ekm_access_denied", "enterprise_is_restricted", "invalid_auth"),
        *("missing_scope", "no_permission", "not_allowed_token_type", "not_authed", "org_login_required"),
        *("team_access_not_granted", "token_expired", "token_revoked", "two_factor_setup_required"),
    }
)
"""Errors that are the token's, not the channel's."""

_HINTS: Final = {
    "channel_not_found": "check the channel's name or id; a private channel is found only by a bot that is in it",
    "is_archived": "take the channel out of the archive, or name another one",
    "missing_scope": "give the app the scope chat:write, and install it again",
    "not_in_channel": "invite the bot: /invite in the channel",
}


class SlackSender:
    """Sends to one workspace."""

    def __init__(self, token: str, *, url: str) -> None:
        """With a bot's `token`; `url` is where the Web API is, for example `https://slack.com/api/`."""
        self._client: WebClient = SlackResource(token=token).get_client()
        self._client.base_url = url.rstrip("/") + "/"
        self._client.timeout = TIMEOUT_S
        self._client.retry_handlers = []  # they sleep

    def post(self, composed: Composed) -> None:
        """Send it to its channel.

        Raises:
            AlertDelayedError: Slack did not answer, failed, or asked to wait.
            AlertRefusedError: The token or the channel can't be used.
        """
        try:
            self._post(composed, blocks=True)
        except AlertRefusedError as error:
            if not error.code.startswith("invalid_blocks"):
                raise
            self._post(composed, blocks=False)  # plain is better than silent

    def _post(self, composed: Composed, *, blocks: bool) -> None:
        try:
            self._client.chat_postMessage(
                channel=composed.channel,
                text=composed.text,
                blocks=composed.blocks if blocks else None,
                unfurl_links=False,
                unfurl_media=False,
            )
        except SlackApiError as error:
            answer = error.response
            raise _translated(composed.channel, answer.status_code, answer.headers, answer.get("error")) from None
        except (OSError, HTTPException, SlackClientError, ValueError) as error:
            # what is not JSON in a good answer is a ValueError
            raise AlertDelayedError(composed.channel, shown(f"{type(error).__name__}: {error}"), after_s=0) from None


def _translated(
    channel: str, status: int, headers: Mapping[str, str], code: object
) -> AlertDelayedError | AlertRefusedError:
    """Slack's answer as an error of ours."""
    named = code if isinstance(code, str) and _CODE.fullmatch(code) else ""
    if status == HTTPStatus.TOO_MANY_REQUESTS or named in _LATER or not named:
        words = named or f"HTTP {status}"
        return AlertDelayedError(channel, words, after_s=_retry_after(headers))
    return AlertRefusedError(channel, named, everywhere=named in _EVERYWHERE, hint=_HINTS.get(named, ""))


def _retry_after(headers: Mapping[str, str]) -> int:
    """Seconds; 0 where Slack names none."""
    for name, value in headers.items():
        if name.lower() == "retry-after" and str(value).strip().isdecimal():
            return int(str(value).strip())
    return 0
