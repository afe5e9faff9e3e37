"""Heartbeats: telling a watcher outside that something began, was done, or failed, as healthchecks.io takes it.

A POST to the URL says that it was done, to `/start` that it began, to `/fail` that it failed; the body is a few words.
A dead process sends nothing, so the watcher's alarm is silence. What is told never matters to the one who tells: a
watcher that is away, slow or broken costs at most `PATIENCE_S` for each word and is a line of the log, never an error.
The URL is a secret, as whoever has it can say that all is well: it is in no line of the log, and the body holds nothing
that looks like a key or a token.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from contextlib import contextmanager
from http.client import HTTPException
from threading import Thread
from typing import TYPE_CHECKING, Final

from s3_assets import __version__
from s3_assets.alerts.foreign_text import cut, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S: Final = 1.0
"""So long one word is waited for, looking up the watcher's name included."""

BODY_BYTES: Final = 1000
"""Of the words that go along; healthchecks.io keeps 100 kB."""

START, DONE, FAIL = "/start", "", "/fail"


class Heartbeat:
    """Tells one watcher; without a URL it tells nobody.

    Attributes:
        words: What goes along when it is done.
        quiet: Whether nothing more is said: neither that it was done nor that it failed.
    """

    def __init__(self, url: str | None, log: Callable[[str], None]) -> None:
        """Tell the watcher at `url`; `log` takes a line about what it did not take."""
        self.words = ""
        self.quiet = False
        self._url = url
        self._log = log

    def tell(self, sort: str, words: str = "") -> None:
        """Say one word, `START`, `DONE` or `FAIL`, with some of `words`; it takes `PATIENCE_S` at most."""
        if self._url is None or self.quiet:
            return
        trouble: list[str] = []
        request = urllib.request.Request(  # noqa: S310  (settings take http and https alone)
            self._url + sort,
            data=cut(shown(words, lines=True), BODY_BYTES).encode(),
            headers={"Content-Type": "text/plain; charset=utf-8", "User-Agent": f"s3_assets/{__version__}"},
            method="POST",
        )
        # A socket's timeout holds neither for the look-up of a name nor for an answer that comes byte by byte.
        thread = Thread(target=_send, args=(request, trouble), name="heartbeat", daemon=True)
        thread.start()
        thread.join(PATIENCE_S)
        if thread.is_alive():
            trouble.append(f"no answer within {PATIENCE_S:g} s")
        if trouble:
            self._log(f"the heartbeat {(sort or '/done')[1:]!r} did not get through: {trouble[0]}")


@contextmanager
def beating(url: str | None, log: Callable[[str], None]) -> Iterator[Heartbeat]:
    """Say that something begins, and how it ended: with what it raised, or with the heartbeat's `words`.

    Args:
        url: Where the watcher is; None tells nobody.
        log: Takes a line about what the watcher did not take.
    """
    heart = Heartbeat(url, log)
    heart.tell(START)
    try:
        yield heart
    except BaseException as error:
        heart.tell(FAIL, f"{type(error).__name__}: {error}")
        raise
    heart.tell(DONE, heart.words)


def _send(request: urllib.request.Request, trouble: list[str]) -> None:
    """Send it; what went wrong is put into `trouble`, in words that can't hold the URL."""
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S):  # noqa: S310  (as above)
            pass
    except urllib.error.HTTPError as error:
        with error:
            trouble.append(f"HTTP {error.code}")
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        detail = getattr(reason, "strerror", None)
        trouble.append(f"{type(reason).__name__}{f': {detail}' if isinstance(detail, str) else ''}")
