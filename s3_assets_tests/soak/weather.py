"""A store as a builder may meet it: at the nth call something else happens, it fails, or the builder dies.

Calls are counted over both buckets of one build, in the order of the contract's calls. What the script says for a
call is done before it or after it; after it hides that the call was done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from s3_assets.errors import (
    BodyCutError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    WriteConflictError,
)
from s3_assets.store.contract import Download
from s3_assets.store.s3_multipart import AbortOnLeaving
from s3_assets_tests.soak.answers import LIES, lie

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets.store.contract import ObjectInfo, ObjectVersion, OpenUpload, Store, Upload

FAULTS = ("crash", "unavailable", "refused", "cut", "clean end", *LIES)
"""What a call can meet: the builder dies; 503; 412 or 409; a body or a listing that breaks off; one that just ends; or,
of a source object, an answer that is not what was listed."""

COMMITS = ("put", "complete", "delete")
"""Calls after which readers see another hour file, or none."""

KINDS_OF_CALLS = ("commit", "list", "get", "start_upload", "put_part", "copy_part", "abort")
"""At the first of which something may happen."""


class CrashError(BaseException):
    """The builder's process is gone: nothing of it runs any more."""


@dataclass
class Script:
    """What happens at which call of one build.

    Attributes:
        before: By the call's number, from 1, or by its kind, then at the first of them: a fault, or something to do.
        after: The same, once the call did its work.
        calls: How many were made.
        met: Which faults were really met, and where.
        dead: Whether the builder is.
        troubled: Whole keys of source objects of which a GET failed or was answered wrongly.
    """

    before: dict[int | str, str | Callable[[], None]] = field(default_factory=dict)
    after: dict[int | str, str | Callable[[], None]] = field(default_factory=dict)
    calls: int = 0
    met: list[str] = field(default_factory=list)
    dead: bool = False
    troubled: set[str] = field(default_factory=set)

    def start(self, operation: str, key: str) -> tuple[int, str | None]:
        """Count a call; its number, and how its body must break off, if it must."""
        if self.dead:
            raise CrashError
        self.calls += 1
        return self.calls, self._play(self._what(self.before, self.calls, operation), "before", operation, key)

    def end(self, number: int, operation: str, key: str) -> None:
        """The call did its work."""
        self._play(self._what(self.after, number, operation), "after", operation, key)

    def _what(
        self, plan: dict[int | str, str | Callable[[], None]], number: int, operation: str
    ) -> str | Callable[[], None] | None:
        if number in plan:
            return plan[number]
        kind = "commit" if operation in COMMITS else operation
        return plan.pop(kind, None)

    def _play(self, what: str | Callable[[], None] | None, when: str, operation: str, key: str) -> str | None:
        if what is None:
            return None
        if not isinstance(what, str):
            what()
            return None
        self.met.append(f"{what} {when} {operation}")
        if what == "crash":
            self.dead = True
            raise CrashError
        if what == "refused" and operation in COMMITS:
            raise (PreconditionFailedError if self.calls % 2 else WriteConflictError)(operation, key, "scripted")
        if (what in ("cut", "clean end") and operation in ("get", "list")) or (what in LIES and operation == "get"):
            return what
        raise StoreUnavailableError(operation, key, "scripted")


class WeatherStore:
    """Passes calls on to `inner`, as its script lets it."""

    def __init__(self, inner: Store, script: Script, *, sources: bool = False) -> None:
        """Share `script` among the stores of one build; `sources` is the one that is only read."""
        self.inner = inner
        self._script = script
        self._sources = sources

    @property
    def bucket(self) -> str:
        """Name of the bucket."""
        return self.inner.bucket

    def call(self, operation: str, key: str, work: Callable[[], Any]) -> Any:
        """One call without a body."""
        number, _ = self._script.start(operation, key)
        result = work()
        self._script.end(number, operation, key)
        return result

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """All objects, or an error; a listing never ends early without one (the contract)."""
        number, broken = self._script.start("list", prefix)
        infos = list(self.inner.list(prefix))
        if broken:
            yield from infos[: len(infos) // 2]
            raise StoreUnavailableError("list", prefix, "scripted: broke off")
        yield from infos
        self._script.end(number, "list", prefix)

    def head(self, key: str) -> ObjectInfo | None:
        """The object's description."""
        result: ObjectInfo | None = self.call("head", key, lambda: self.inner.head(key))
        return result

    def get(self, key: str, **options: Any) -> Download:
        """Start reading; the body may break off, end cleanly before its time, or not be what was asked for."""
        try:
            download, is_whole = self._get(key, **options)
        except (StoreError, CrashError):
            self._tell_trouble(key)
            raise
        if not is_whole or key in getattr(self.inner, "troubles", ()):
            self._tell_trouble(key)
        return download

    def _tell_trouble(self, key: str) -> None:
        if self._sources:
            self._script.troubled.add(key)

    def _get(self, key: str, **options: Any) -> tuple[Download, bool]:
        number, broken = self._script.start("get", key)
        whole = self.inner.get(key, **options)
        if not broken or (broken == "another ETag" and not self._sources):  # of an hour file it costs a try, and no row
            self._script.end(number, "get", key)
            return whole, True
        if broken in LIES:
            return lie(broken, whole), False
        data = whole.read()
        half = data[: len(data) // 2]

        def chunks() -> Iterator[bytes]:
            yield half
            if broken == "cut":
                raise BodyCutError(key, expected=len(data), found=len(half))

        return Download(whole.info, whole.start, whole.stop, chunks()), False

    def put(self, key: str, data: bytes, **options: Any) -> ObjectInfo:
        """Write in one piece."""
        result: ObjectInfo = self.call("put", key, lambda: self.inner.put(key, data, **options))
        return result

    def start_upload(self, key: str, **options: Any) -> Upload:
        """Begin an upload; its calls are in the same script."""
        inner = self.call("start_upload", key, lambda: self.inner.start_upload(key, **options))
        return WeatherUpload(self, inner)

    def list_uploads(self, prefix: str) -> Iterator[OpenUpload]:
        """The open uploads."""
        yield from self.call("list_uploads", prefix, lambda: list(self.inner.list_uploads(prefix)))

    def list_versions(self, key: str) -> Iterator[ObjectVersion]:
        """The versions of an object."""
        yield from self.call("list_versions", key, lambda: list(self.inner.list_versions(key)))

    def abort_upload(self, upload: OpenUpload) -> None:
        """Throw one away."""
        self.call("abort_upload", upload.key, lambda: self.inner.abort_upload(upload))

    def delete(self, key: str, **options: Any) -> None:
        """Delete."""
        self.call("delete", key, lambda: self.inner.delete(key, **options))


class WeatherUpload(AbortOnLeaving):
    """An upload in the same weather."""

    def __init__(self, store: WeatherStore, inner: Upload) -> None:
        """Wrap `inner`."""
        self.key = inner.key
        self._store = store
        self._inner = inner
        self._open = True

    def put_part(self, number: int, data: bytes) -> None:
        """Upload a part."""
        self._store.call("put_part", self.key, lambda: self._inner.put_part(number, data))

    def copy_part(self, number: int, source_key: str, start: int, stop: int, *, if_match: str) -> None:
        """Copy a part."""
        work = lambda: self._inner.copy_part(number, source_key, start, stop, if_match=if_match)  # noqa: E731
        self._store.call("copy_part", self.key, work)

    def complete(self, **conditions: Any) -> ObjectInfo:
        """Commit."""
        result: ObjectInfo = self._store.call("complete", self.key, lambda: self._inner.complete(**conditions))
        self._open = False
        return result

    def abort(self) -> None:
        """Throw the parts away, if the builder lives."""
        if self._open:
            self._store.call("abort", self.key, self._abort)
            self._open = False

    def _abort(self) -> None:
        try:
            self._inner.abort()
        except NotFoundError:
            return
