"""Does the queue of hints answer, and are its messages notifications of the source? Looked at as a tick does.

Messages that are taken are put back at once. None is deleted: the right to do so is tried on a receipt that never was.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from s3_assets.doctor.cures import POLICY
from s3_assets.doctor.findings import Finding, failed, passed, warned
from s3_assets.errors import HintQueueError
from s3_assets.hints.contract import Hint
from s3_assets.hints.hours import Watched
from s3_assets.hints.queue import HintQueue
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Iterator

    import boto3

    from s3_assets.settings import Settings

TAKEN: Final = 10
"""Messages that are looked at, at most: one call."""

_WAIT_S = 1
_AT_MOST = timedelta(seconds=10)
_NO_RECEIPT = "s3-assets-doctor-no-receipt"


def hints(settings: Settings, url: str, session: boto3.Session) -> Iterator[Finding]:
    """Receive, change of visibility, deletion, and what the messages name."""
    watched = Watched(settings.source_bucket, settings.source_prefix, KeyGrammar(settings.source_pattern))
    queue = HintQueue(url, watched, session=session)
    try:
        received = queue.receive(TAKEN, _WAIT_S, datetime.now(UTC) + _AT_MOST)
    except HintQueueError as error:
        yield failed(str(error), f"{error.hint or 'look at the queue'}; {POLICY}")
        return
    yield _shape(settings, received)
    refused: Counter[str] = queue.put_back(received, 0).failed
    refused.update(
        {reason: 1 for reason in queue.forget([Hint("none", _NO_RECEIPT, frozenset())]).failed if _is_denied(reason)}
    )
    if refused:
        yield failed(
            f"messages can be received, and not settled: {'; '.join(refused)}",
            f"allow sqs:DeleteMessage and sqs:ChangeMessageVisibility, or the same messages come for ever; {POLICY}",
        )


def _is_denied(reason: str) -> bool:
    """Whether it is about rights, and not about the receipt that never was."""
    return "Denied" in reason or "HTTP 403" in reason


def _shape(settings: Settings, received: list[Hint]) -> Finding:
    strays = sum(hint.strays.counts.total() for hint in received)
    hours = {hour for hint in received for hour in hint.hours}
    if not received:
        return passed("the queue answers, and is empty")
    words = f"{counted(len(received), 'message')} looked at and put back: they name {counted(len(hours), 'hour')}"
    if hours:
        return passed(f"{words}, and {strays} objects that are no sources")
    reasons = "; ".join(sorted({reason for hint in received for reason in hint.strays.counts}))
    if not strays:
        return passed(f"{words} (S3's test event names none)")
    return warned(
        f"{words}: {reasons}",
        f"check that the bucket's notifications are for {settings.source}, and who else sends here (docs/hints.md)",
    )
