"""A gate at which runs of a live deployment wait, in the middle of their work, until a test opens it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

FOLDER_VARIABLE = "SOAK_GATE"
READ, WRITE = "source/", "target/"
"""Where runs wait: before they read an object below the one, or write one below the other."""

_POLL_S = 0.05


class Gate:
    """The gate, for those who open and close it, and for those who pass it; it is files in a folder."""

    def __init__(self, folder: Path) -> None:
        """Open it; the folder is made."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def close(self, prefix: str) -> None:
        """For `READ` or `WRITE`."""
        (self._folder / prefix.strip("/")).touch()

    def open(self) -> None:
        """For all that wait, and all that come."""
        for file in self._folder.iterdir():
            file.unlink()

    def waiting(self) -> set[int]:
        """Process ids of those that wait, or that were killed while they did."""
        return {int(file.suffix[1:]) for file in self._folder.glob("waits.*")}

    def go_through(self, prefix: str) -> None:
        """Wait while it is closed."""
        closed = self._folder / prefix.strip("/")
        while closed.exists():
            (self._folder / f"waits.{os.getpid()}").touch()
            time.sleep(_POLL_S)
