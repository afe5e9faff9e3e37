"""Source objects that can't be read, each in its own way, and answers that are not what was listed.

As a proxy, a cache, an archive or a key policy makes them: the listing shows the object, and only its GET goes wrong,
every time, until somebody does something about it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from s3_assets.errors import AccessDeniedError, ArchivedError, NotFoundError, StoreUnavailableError
from s3_assets.store.contract import Download

if TYPE_CHECKING:
    from s3_assets.store.contract import Store

ERRORS = {
    "denied": AccessDeniedError,
    "archived": ArchivedError,
    "not there": NotFoundError,
    "unavailable": StoreUnavailableError,
}
LIES = ("half", "nothing", "another ETag", "another size", "another object")
"""A body that is half of it, or empty, with a length that agrees; headers that are not the listing's; another body."""

TROUBLES = (*ERRORS, *LIES)


class Troubled:
    """Passes calls on to `inner`, and answers wrongly for some objects.

    Attributes:
        troubles: What is wrong, by whole key.
    """

    def __init__(self, inner: Store) -> None:
        """With no trouble yet."""
        self.inner: Any = inner
        self.troubles: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:
        """Everything but a GET."""
        return getattr(self.inner, name)

    def get(self, key: str, **options: Any) -> Download:
        """Start reading, or what comes instead."""
        trouble = self.troubles.get(key)
        if trouble is None:
            whole: Download = self.inner.get(key, **options)
            return whole
        if trouble in ERRORS:
            raise ERRORS[trouble]("GetObject", key, "scripted")
        return lie(trouble, self.inner.get(key, **options))


def lie(trouble: str, whole: Download) -> Download:
    """Another answer than `whole`, which itself is in order."""
    data, info = whole.read(), whole.info
    if trouble == "another ETag":
        info = replace(info, etag="0" * 32)
    elif trouble == "another size":
        info = replace(info, size=info.size + 7)
    elif trouble == "another object":
        data = b"a,b\n7,another\n"
        info = replace(info, etag="1" * 32, size=len(data))
    else:
        data = data[: len(data) // 2] if trouble == "half" else b""
        info = replace(info, size=len(data))
    return Download(info, 0, len(data), iter((data,)))
