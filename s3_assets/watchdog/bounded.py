"""A bound on waits that have none of their own: a database that does not answer, a mount that hangs, a name server."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

Result = TypeVar("Result")


class TookTooLongError(Exception):
    """The work goes on in its thread, and nobody waits for it: the process has to be ended by `os._exit`."""


def within(seconds: float, work: Callable[[], Result]) -> Result:
    """What `work` gives, or raises.

    Raises:
        TookTooLongError: It was not done within `seconds`.
    """
    results: list[Result] = []
    errors: list[Exception] = []

    def run() -> None:
        try:
            results.append(work())
        except Exception as error:  # noqa: BLE001  (raised again where it is waited for)
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if errors:
        raise errors[0]
    if not results:
        raise TookTooLongError(f"not done within {seconds:g} s")
    return results[0]
