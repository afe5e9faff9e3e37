"""Hints from an SQS queue, standard or FIFO, that S3, EventBridge or SNS sends its notifications to.

Duplicates, disorder, delay and loss are harmless by design: a hint says where to look, and looking twice, or at an hour
that is right already, changes nothing. So no message is checked for its age, its sequence or its sender, none is
remembered, and what can't be forgotten comes again. The invariant: nothing that a message holds makes a call here fail;
only the queue itself can, as `HintQueueError`.

The queue's address says where its server is. AWS_ENDPOINT_URL is not asked, since it names the object store, which may
well be another one. boto3 is imported, and its client made, at the first call.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol, cast
from urllib.parse import urlsplit

from s3_assets.errors import HintQueueError
from s3_assets.hints.contract import LONGEST_PUT_BACK_S, Hint, Settled
from s3_assets.hints.hours import Watched, hours_named
from s3_assets.hints.sqs_errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import boto3

DEFAULT_REGION = "us-east-1"
"""Where neither the address, the caller nor the session names one: servers other than AWS take any."""

_BATCH: Final = 10
"""SQS takes and gives so many messages in a call."""

_GO_ON_S = 1
"""So long a call waits once there was something. With no wait SQS asks only some of its servers and may find none."""

_HOST = re.compile(r"(?:.*\.)?sqs(?:-fips)?\.(?P<region>[a-z0-9-]+)\..*")
_OLD_HOST = re.compile(r"(?:(?P<region>[a-z0-9-]+)\.)?queue\.(?P<domain>amazonaws\.com(?:\.cn)?)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often a call is tried. A tick waits for it, so both are small: the next tick asks again.

    Attributes:
        attempts: Tries of one request in all, the first included.
        connect_s: For a connection, in seconds.
        answer_s: For an answer, the wait for messages included, in seconds; no wait is longer than half of it.
    """

    attempts: int = 2
    connect_s: float = 3
    answer_s: float = 12


def _now() -> datetime:
    return datetime.now(UTC)


class _SqsClient(Protocol):
    """The calls used of boto3's SQS client."""

    def receive_message(self, **arguments: Any) -> Mapping[str, Any]: ...
    def delete_message_batch(self, **arguments: Any) -> Mapping[str, Any]: ...
    def change_message_visibility_batch(self, **arguments: Any) -> Mapping[str, Any]: ...


class HintQueue:
    """A `HintSource` over one SQS queue, for one thread at a time."""

    def __init__(
        self,
        url: str,
        watched: Watched,
        *,
        session: boto3.Session | None = None,
        endpoint_url: str | None = None,
        region: str | None = None,
        limits: Limits | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        """Keep the settings; nothing is sent.

        Args:
            url: Of the queue, as SQS gives it; without credentials.
            watched: Where sources are: what is elsewhere is a stray.
            session: Whose credentials to use; None takes them from the environment, as every AWS tool does.
            endpoint_url: Of SQS; None takes the server that `url` names.
            region: None takes the one that `url` names, then the session's.
            limits: How patient to be.
            clock: The time (aware), for deadlines.
        """
        self.url = url
        self.name = url.rstrip("/").rpartition("/")[2]
        self._watched = watched
        self._given_session = session
        self._endpoint_url = endpoint_url
        self._region = region
        self._limits = limits or Limits()
        self._clock = clock

    def receive(self, most: int, wait_s: int, deadline: datetime) -> list[Hint]:
        """Take the hints that are there, ten a call, until there is none, or `most`, or the deadline.

        An error after the first ones is logged and ends the list: those who came must not wait for their visibility
        timeout, and what is wrong with the queue shows at the next call.
        """
        found: dict[str, Hint] = {}
        while len(found) < most:
            left_s = (deadline - self._clock()).total_seconds()
            if left_s <= 0:
                break
            wait = min(wait_s, _GO_ON_S) if found else wait_s
            try:
                hints = self._receive(min(_BATCH, most - len(found)), int(min(wait, left_s, self._limits.answer_s / 2)))
            except HintQueueError as error:
                if not found:
                    raise
                _log.warning("%d hints received, then: %s", len(found), error.describe())
                break
            news = [hint for hint in hints if hint.message_id not in found]
            found.update((hint.message_id, hint) for hint in hints)  # the newer receipt is the one that forgets
            if not news:  # none is left, or all are back already, where messages are hidden for no time
                break
        return list(found.values())

    def forget(self, hints: Iterable[Hint]) -> Settled:
        """Delete the messages, ten a call. Never fails: what is not deleted comes again and is counted."""
        entries = [{"ReceiptHandle": hint.receipt} for hint in hints]
        return self._settle("DeleteMessageBatch", lambda: self._client.delete_message_batch, entries)

    def put_back(self, hints: Iterable[Hint], in_s: int) -> Settled:
        """Change the visibility of the messages, ten a call. Never fails: the others come again at their own time.

        Each time a message comes counts towards the `maxReceiveCount` of a dead-letter queue.
        """
        if not 0 <= in_s <= LONGEST_PUT_BACK_S:
            raise ValueError(f"0 to {LONGEST_PUT_BACK_S} seconds, not {in_s}")
        entries = [{"ReceiptHandle": hint.receipt, "VisibilityTimeout": in_s} for hint in hints]
        return self._settle(
            "ChangeMessageVisibilityBatch", lambda: self._client.change_message_visibility_batch, entries
        )

    def _receive(self, most: int, wait_s: int) -> list[Hint]:
        with translated("ReceiveMessage", self.name):
            answer = self._client.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=wait_s,
                MessageSystemAttributeNames=["SentTimestamp", "ApproximateReceiveCount"],
            )
        return [self._hint(message) for message in answer.get("Messages", ())]

    def _hint(self, message: Mapping[str, Any]) -> Hint:
        message_id, attributes = message["MessageId"], message.get("Attributes", {})
        hours, strays = hours_named(message.get("Body", ""), self._watched, message_id=message_id)
        deliveries = attributes.get("ApproximateReceiveCount", "")
        return Hint(
            message_id,
            message["ReceiptHandle"],
            hours,
            strays,
            _sent_at(attributes.get("SentTimestamp", "")),
            int(deliveries) if deliveries.isdecimal() else 0,
        )

    def _settle(
        self,
        operation: str,
        call: Callable[[], Callable[..., Mapping[str, Any]]],
        entries: list[dict[str, Any]],
    ) -> Settled:
        done, failed = 0, Counter[str]()
        for first in range(0, len(entries), _BATCH):
            batch = [{"Id": str(number), **entry} for number, entry in enumerate(entries[first : first + _BATCH])]
            try:
                with translated(operation, self.name):
                    answer = call()(QueueUrl=self.url, Entries=batch)
            except HintQueueError as error:
                failed[error.describe()] += len(entries) - first  # the rest would wait as long, for the same
                break
            refused = {str(entry.get("Id")): str(entry.get("Code", "")) for entry in answer.get("Failed", ())}
            taken = {str(entry.get("Id")) for entry in answer.get("Successful", ())}
            for entry in batch:
                if entry["Id"] in taken:
                    done += 1
                else:
                    failed[refused.get(entry["Id"]) or "no answer"] += 1
        return Settled(done, failed)

    @cached_property
    def _client(self) -> _SqsClient:
        import boto3
        from botocore.config import Config

        session = self._given_session or boto3.Session()
        endpoint_url, region = server_of(self.url)
        client = session.client(
            "sqs",
            endpoint_url=self._endpoint_url or endpoint_url,
            region_name=self._region or region or session.region_name or DEFAULT_REGION,
            config=Config(
                connect_timeout=self._limits.connect_s,
                read_timeout=self._limits.answer_s,
                retries={"mode": "standard", "total_max_attempts": self._limits.attempts},
            ),
        )
        return cast("_SqsClient", client)


def server_of(url: str) -> tuple[str, str | None]:
    """The endpoint that serves the queue at `url`, and its region where the host's name holds it."""
    address = urlsplit(url)
    host = address.hostname or ""
    if old := _OLD_HOST.fullmatch(host):  # as SQS gave them long ago; today's endpoint takes such a QueueUrl
        region = old["region"] or DEFAULT_REGION
        return f"https://sqs.{region}.{old['domain']}", region
    named = _HOST.fullmatch(host)
    return f"{address.scheme}://{address.netloc}", named["region"] if named else None


def _sent_at(milliseconds: str) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(milliseconds))
    except (ValueError, OverflowError):
        return None
