"""Every error this package raises on purpose.

One base, small classes below it. Each carries the fields that a caller or an operator needs, says whether
trying again can help (`retryable`), and holds a hint: what to do about it. No secret is ever part of a message.
"""

from __future__ import annotations

from typing import ClassVar, Final, Self

MOST_QUOTED: Final = 200
"""Characters of a foreign text that an error, a log line or a value of metadata quotes: a key has up to 1,024 bytes, a
forged ledger up to 64 MiB."""


def quoted(value: object, limit: int = MOST_QUOTED) -> str:
    """A foreign value as a message shows it: on one line, about `limit` characters at most, at a bounded cost.

    Of a long text its beginning and its end are shown, since keys differ at their end, and how long it is. Of a list or
    a table only the size is: what lies in it may be of any depth.
    """
    if isinstance(value, str | bytes):
        return _quoted_text(value, limit)
    if isinstance(value, list | tuple):
        return f"a list of {len(value):,}"
    if isinstance(value, dict):
        return f"a table of {len(value):,}"
    if isinstance(value, int) and value.bit_length() > limit:  # Python refuses to write out very long ones
        return f"a number of {value.bit_length():,} bits"
    return shortened(repr(value), limit)


def shortened(text: str, limit: int = MOST_QUOTED) -> str:
    """The beginning and the end of a text that is longer than `limit` characters; others as they are."""
    if len(text) <= limit:
        return text
    end = limit // 3
    return f"{text[: limit - end - 1]}…{text[-end:]}"


def _quoted_text(value: str | bytes, limit: int) -> str:
    length = len(value)
    if length > 2 * limit:  # what is in between is not looked at
        shown = repr(value[:limit])[:-1] + "…" + repr(value[-limit:]).lstrip("b")[1:]
    else:
        shown = repr(value)
        if length <= limit and len(shown) <= limit + len("b''"):
            return shown
    # An escape takes up to ten characters, so what is written out is shortened once more.
    return f"{shortened(shown, limit)} ({length:,} {'bytes' if isinstance(value, bytes) else 'characters'})"


class S3AssetsError(Exception):
    """Base of all errors of this package.

    Attributes:
        retryable: Whether the same call can succeed later with nothing changed by an operator.
        hint: What an operator can do, in one sentence; empty when there is nothing to do.
    """

    retryable: ClassVar[bool] = False
    hint: str = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        """Keep the message; `hint` replaces the class's own when given."""
        super().__init__(message)
        if hint:
            self.hint = hint

    def describe(self) -> str:
        """The message and, where there is one, the hint, for a person."""
        return f"{self} ({self.hint})" if self.hint else str(self)


class SettingsError(S3AssetsError):
    """The settings can't be used; lists every problem found, not just the first."""

    def __init__(self, problems: list[str]) -> None:
        """Keep `problems`, one line each, naming the variable and a valid example."""
        self.problems = problems
        lines = "".join(f"\n  - {problem}" for problem in problems)
        plural = "" if len(problems) == 1 else "s"
        super().__init__(f"{len(problems)} problem{plural} in the settings:{lines}")


# --- the store ---------------------------------------------------------------------------------------------


class StoreError(S3AssetsError):
    """A call to the object store failed for good (a 4xx that has no class of its own)."""

    def __init__(self, operation: str, key: str, detail: str, *, hint: str = "") -> None:
        """Name the `operation` (S3's own name), the `key` or prefix, and the server's own words."""
        self.operation = operation
        self.key = key
        self.detail = detail
        super().__init__(f"{operation} {quoted(key)}: {detail}", hint=hint)


class NotFoundError(StoreError):
    """The object, or the version asked for, is not there (404)."""


class PreconditionFailedError(StoreError):
    """The object is not what the call expected (412, or 404 on If-Match): read again, plan again."""


class WriteConflictError(StoreError):
    """Another write to the key was under way (409): the same call may succeed at once."""

    retryable = True


class AccessDeniedError(StoreError):
    """The credentials may not do this (401, 403)."""

    hint = "check the credentials and what they and the bucket's policy allow"


class ArchivedError(StoreError):
    """The object lies in an archive (InvalidObjectState): it must be restored before it can be read."""

    hint = "restore it (`aws s3api restore-object`), or keep archive classes away from the source prefix"


class BucketNotFoundError(StoreError):
    """The bucket does not exist."""

    hint = "check the bucket's name, the region and AWS_ENDPOINT_URL"


class StoreUnavailableError(StoreError):
    """The store did not answer, throttled, broke off or failed (network, 5xx), after the client's own retries."""

    retryable = True


class BodyCutError(StoreUnavailableError):
    """A download ended before all the bytes that were promised came."""

    def __init__(self, key: str, *, expected: int, found: int) -> None:
        """Keep how many bytes were `expected` and how many were `found`."""
        self.expected = expected
        self.found = found
        super().__init__("GetObject", key, f"the body ended after {found} of {expected} bytes")


class ChangedAnswerError(StoreError):
    """A GET was answered with other bytes than the listing shows: another ETag, another size, or not there."""

    retryable = True
    hint = "nothing was ingested; if it stays so, look for a proxy or cache between here and the store"


_READING_HINTS: dict[type, str] = {
    AccessDeniedError: "if other objects can be read, this one has a KMS key or an owner of its own: allow kms:Decrypt "
    "with that key, or have it written again",
}
"""What to do where one object can't be read, and others can."""


# --- hints -------------------------------------------------------------------------------------------------


class HintQueueError(S3AssetsError):
    """The queue of hints can't be used: hours are found by listing alone until it can be. Nothing is lost."""

    def __init__(self, operation: str, queue: str, detail: str, *, hint: str = "") -> None:
        """Name the `operation` (SQS's own name), the `queue` and the server's own words."""
        self.operation = operation
        self.queue = queue
        self.detail = detail
        super().__init__(f"{operation} {queue!r}: {detail}", hint=hint)


class HintQueueUnavailableError(HintQueueError):
    """The queue did not answer, throttled or failed: it may be there again by itself."""

    retryable = True


# --- the hour file -----------------------------------------------------------------------------------------


class KeyGrammarError(S3AssetsError):
    """A key or a partition key does not have the form that the grammar asks for."""


class DamagedTargetError(S3AssetsError):
    """An hour file is not what its ledger says, or its ledger can't be read: it is left alone."""

    hint = "look at it; `s3-assets sync --rebuild` makes it again from the sources that are still there"

    def __init__(self, key: str, detail: str) -> None:
        """Name the target's `key` and what is wrong with it."""
        self.key = key
        self.detail = detail
        super().__init__(f"target {quoted(key)} is damaged: {detail}")

    def mended_by(self, command: str) -> Self:
        """The same error, whose hint names the `command` for its hour and no other."""
        self.hint = self.hint.replace("`s3-assets sync --rebuild`", f"`{command}`")
        return self


class ForeignTargetError(DamagedTargetError):
    """There is an object under the target key that this package did not write: it is left alone."""

    hint = "it may be someone's data: move it away, or `s3-assets sync --rebuild` to replace it"


class NewerFormatError(DamagedTargetError):
    """The hour file was written by a later version of this package: it is left alone, also by a rebuild."""

    hint = "upgrade s3_assets"

    def __init__(self, key: str, detail: str) -> None:
        """Name the target's `key` and the version found."""
        super().__init__(key, detail)
        self.args = (f"target {quoted(key)} can't be read: {detail}",)


class AccountingError(S3AssetsError):
    """Rows in are not rows out plus rows quarantined: nothing was written."""

    hint = "this is a defect of s3_assets: please report it with the hour's sources"


class RowsWouldLeaveError(S3AssetsError):
    """A commit would take rows out of an hour file that must stay in it: nothing was written."""

    hint = "this is a defect of s3_assets: please report it with the hour's sources"

    def __init__(self, key: str, rows: int, why: str) -> None:
        """Name the source by its `key`, how many `rows` would leave, and why they must not."""
        self.key = key
        self.rows = rows
        super().__init__(f"{rows:,} rows of {quoted(key)} would leave the hour file, although it {why}")


class UnreadableSourcesError(S3AssetsError):
    """Sources of an hour can't be read: the hour file has all others, and these are tried again."""

    retryable = True

    def __init__(self, unreadable: dict[str, StoreError], known: int) -> None:
        """Keep the error of each key; `known` is how many sources the hour has."""
        self.unreadable = unreadable
        first = next(iter(unreadable))
        error = unreadable[first]
        more = f", and {len(unreadable) - 1:,} more" if len(unreadable) > 1 else ""
        super().__init__(
            f"{len(unreadable):,} of {known:,} source objects can't be read: {quoted(first)}: {error.detail}{more}; "
            "the hour file has the others",
            hint=_READING_HINTS.get(type(error), error.hint),
        )


class BreakerOpenError(S3AssetsError):
    """More sources lost all their rows at once than the breaker lets pass: nothing was written."""

    hint = (
        "if they were meant to go, raise `max_vanished_share` for the event or run `s3-assets sync --accept-vanished`"
    )


class ContendedError(S3AssetsError):
    """An hour kept changing under the builder: every try lost the race."""

    retryable = True
    hint = "nothing is lost; it is tried again when the hour is next looked at"


class OutOfBudgetError(S3AssetsError):
    """A tick has no time or no requests left: what it did not look at is unknown, and waits for the next one."""

    retryable = True
    hint = "nothing is lost; raise S3_ASSETS_TICK_SECONDS or S3_ASSETS_TICK_REQUESTS if it never gets through"

    def __init__(self, *, seconds: float, requests: int) -> None:
        """Keep what was used."""
        self.seconds = seconds
        self.requests = requests
        super().__init__(f"the tick's budget is used up: {seconds:.1f} s, {requests} requests")


# --- the backup --------------------------------------------------------------------------------------------


class BackupFolderError(S3AssetsError):
    """The local folder can't be taken for what is to be backed up: nothing was uploaded."""

    hint = "check S3_ASSETS_BACKUP_DIR, that its disk is mounted, and that this user may read it"


class LocalFileError(S3AssetsError):
    """One local file can't be backed up, restored or removed; the others can."""

    def __init__(self, path: str, detail: str, *, hint: str = "") -> None:
        """Name the file by its `path` below the folder, and what is wrong."""
        self.path = path
        self.detail = detail
        super().__init__(f"{path!r}: {detail}", hint=hint)


class ChangedWhileReadError(LocalFileError):
    """A file changed while it was read, in every try: no torn copy of it was kept."""

    retryable = True
    hint = "it is being written: it is taken when that is done"


class NoBackupError(S3AssetsError):
    """There is no manifest of the day: it was not backed up in whole."""

    def __init__(self, day: str, uri: str) -> None:
        """Name the `day` and where its manifest would be."""
        self.day = day
        self.uri = uri
        super().__init__(f"{day} is not backed up: there is no {uri}", hint=f"`s3-assets backup run --date {day}`")


class DamagedManifestError(S3AssetsError):
    """The manifest of a day can't be read, or is not what this package writes: it is left alone."""

    hint = "look at it; moved away, `s3-assets backup run` makes it again of what is still in the folder"

    def __init__(self, key: str, detail: str) -> None:
        """Name the manifest's `key` and what is wrong with it."""
        self.key = key
        self.detail = detail
        super().__init__(f"manifest {quoted(key)} is damaged: {detail}")


class DamagedCopyError(S3AssetsError):
    """What the store holds under a key is not what was sent there."""

    def __init__(self, key: str, *, expected: str, found: str) -> None:
        """Name the `key`; `expected` and `found` are SHA-256 digests, or words."""
        self.key = key
        self.expected = expected
        self.found = found
        super().__init__(f"the copy {quoted(key)} is damaged: expected {expected}, found {found}")


# --- alerts ------------------------------------------------------------------------------------------------


class AlertDelayedError(S3AssetsError):
    """A message was not sent, and may be at another time: Slack did not answer, failed or asked to wait."""

    retryable = True
    hint = "it is tried again at the next ticks; nothing is lost"

    def __init__(self, channel: str, detail: str, *, after_s: int) -> None:
        """Name the `channel` and what was said; `after_s` seconds is what was asked for, 0 for the next tick."""
        self.channel = channel
        self.detail = detail
        self.after_s = after_s
        wait = f", to wait {after_s} s" if after_s else ""
        super().__init__(f"an alert for {channel} was not sent: {detail}{wait}")


class AlertRefusedError(S3AssetsError):
    """Slack refuses the token or the channel: a message was not sent, and somebody has to change something."""

    hint = "check the token (S3_ASSETS_SLACK_TOKEN), its scope chat:write, and that the bot is in the channel"

    def __init__(self, channel: str, code: str, *, everywhere: bool, hint: str = "") -> None:
        """Name the `channel` and Slack's `code`; `everywhere` where no other channel would fare better."""
        self.channel = channel
        self.code = code
        self.everywhere = everywhere
        super().__init__(f"an alert for {channel} was refused: Slack says {code}", hint=hint)
