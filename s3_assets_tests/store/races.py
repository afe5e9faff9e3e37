"""Writers that all start at once."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from s3_assets.errors import PreconditionFailedError, S3AssetsError, WriteConflictError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def race(writers: Sequence[Callable[[], object]]) -> list[object]:
    """Start all `writers` at once; what they gave or raised, of the errors that a loser may see."""
    barrier = threading.Barrier(len(writers))

    def run(write: Callable[[], object]) -> object:
        barrier.wait(timeout=60)
        try:
            return write()
        except (PreconditionFailedError, WriteConflictError) as error:
            return error

    with ThreadPoolExecutor(len(writers)) as pool:
        return list(pool.map(run, writers))


def winners(outcomes: list[object]) -> list[int]:
    """Which of the writers got through."""
    return [number for number, outcome in enumerate(outcomes) if not isinstance(outcome, S3AssetsError)]
