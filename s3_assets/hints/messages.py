"""Bodies of SQS messages to the objects that they name, whichever way the notification took.

S3 straight to SQS, through EventBridge, or either through SNS with or without raw delivery. What kind of event it was
does not matter here: created, deleted, restored and expired all say 'look here'. Nothing in a body is trusted: whatever
it holds, the answer is a `Reading`, in a time that its length bounds, never an exception. What a bucket or a key means
is the business of `s3_assets.hints.hours`.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, unquote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BODY_BYTES: Final = 1024 * 1024
"""SQS takes no longer message (SQS quotas)."""

MAX_KEY_BYTES: Final = 1024
"""Of a key in UTF-8 (S3 User Guide, Naming objects)."""

_MOST_RECORDS = 10_000
"""More than fit: the shortest record that names an object has over 100 bytes of a message's 1 MiB."""

_LONGEST_ENCODED = 3 * MAX_KEY_BYTES

_WRAPPERS = 3
"""How many SNS envelopes are opened at most, one in another: EventBridge to SNS to SNS is possible, if odd."""


class _UnreadableError(ValueError):
    """A body or a part of it names no object. The text is a kind, to be counted: it holds nothing of the body."""


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object that a message names.

    Attributes:
        bucket: Its bucket.
        keys: Its key, as each way of writing keys in notifications would have it, the likeliest first. S3 and the
            servers like it write one key as `a%2Fb+c`, `a/b+c` or `a/b%20c`, EventBridge as it is; a body does not
            say which. At least one, each a legal key.
    """

    bucket: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What a message says.

    Attributes:
        objects: Those it names, in its order. None in a test event, which S3 sends when notifications are set up.
        unreadable: How many parts of it name no object that can be, per reason; one part if it is no notification.
    """

    objects: tuple[NamedObject, ...] = ()
    unreadable: Counter[str] = field(default_factory=Counter)


def read_message(body: str | bytes) -> Reading:
    """Which objects the notification in `body` names. Never raises, whatever `body` holds."""
    objects: list[NamedObject] = []
    unreadable: Counter[str] = Counter()
    try:
        for part, encoded in _parts(_opened(body)):
            try:
                objects.append(_named_object(part, encoded=encoded))
            except _UnreadableError as error:
                unreadable[str(error)] += 1
    except _UnreadableError as error:
        unreadable[str(error)] += 1
    return Reading(tuple(objects), unreadable)


def _opened(body: str | bytes) -> dict[str, Any]:
    """The notification itself, taken out of the envelopes of SNS."""
    document = _json_object(body)
    for _ in range(_WRAPPERS):
        if document.get("Type") == "SubscriptionConfirmation":
            raise _UnreadableError("an SNS subscription that waits to be confirmed")
        if document.get("Type") != "Notification" or not isinstance(document.get("Message"), str):
            break
        document = _json_object(document["Message"])
    return document


def _json_object(text: str | bytes) -> dict[str, Any]:
    if len(text) > MAX_BODY_BYTES:
        raise _UnreadableError("longer than a message can be")
    try:
        # json.loads alone would take bytes for UTF-16 where they look like it
        document = json.loads(text if isinstance(text, str) else text.decode())
    except UnicodeDecodeError:
        raise _UnreadableError("not UTF-8") from None
    except RecursionError:
        raise _UnreadableError("nested too deeply") from None
    except ValueError:  # JSONDecodeError, and a number of more digits than Python reads
        raise _UnreadableError("not JSON") from None
    if not isinstance(document, dict):
        raise _UnreadableError("not a notification of S3")
    return document


def _parts(document: dict[str, Any]) -> Iterator[tuple[object, bool]]:
    """What holds `bucket` and `object`, and whether its key is encoded."""
    records, detail = document.get("Records"), document.get("detail")
    if isinstance(records, list) and records:
        if len(records) > _MOST_RECORDS:
            raise _UnreadableError("more records than a message can hold")
        for record in records:
            yield (record.get("s3") if isinstance(record, dict) else None), True
    elif isinstance(detail, dict):
        yield detail, False
    elif document.get("Event") != "s3:TestEvent":
        raise _UnreadableError("not a notification of S3")


def _named_object(part: object, *, encoded: bool) -> NamedObject:
    bucket, text = _text(part, "bucket", "name"), _text(part, "object", "key")
    if bucket is None or text is None:
        raise _UnreadableError("names no object")
    keys = tuple(_readings(text, encoded=encoded))
    if not keys:
        raise _UnreadableError("names a key that can't be")
    return NamedObject(bucket, keys)


def _text(part: object, *path: str) -> str | None:
    for name in path:
        part = part.get(name) if isinstance(part, dict) else None
    return part if isinstance(part, str) else None


def _readings(text: str, *, encoded: bool) -> Iterator[str]:
    if len(text) > _LONGEST_ENCODED:
        return
    decoded = [_decoded(text, plus_is_space=True), _decoded(text, plus_is_space=False)]
    for key in dict.fromkeys([*decoded, text] if encoded else [text, *decoded]):
        if key is not None and _is_key(key):
            yield key


def _decoded(text: str, *, plus_is_space: bool) -> str | None:
    try:
        return (unquote_plus if plus_is_space else unquote)(text, errors="strict")
    except UnicodeDecodeError:  # so it was not encoded
        return None


def _is_key(key: str) -> bool:
    try:
        return 0 < len(key.encode()) <= MAX_KEY_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can write and S3 can't hold
        return False
