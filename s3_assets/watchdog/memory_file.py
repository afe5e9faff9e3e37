"""The file with the watchdog's memory: read whole or not at all, replaced in one step."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from s3_assets.alerts.state import digest
from s3_assets.watchdog.bounded import TookTooLongError, within
from s3_assets.watchdog.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES: Final = 1_000_000
"""More is not read: it is none of ours."""

LINK_S: Final = 2.0
"""So long it may take to find out where DAGSTER_HOME is, in seconds."""


def default_path(environ: Mapping[str, str], home: str) -> Path:
    """Where it is if nobody says: with the user's other state, and not in DAGSTER_HOME, which may be what is broken.

    Args:
        environ: The environment.
        home: DAGSTER_HOME; each has a memory of its own.

    Raises:
        OSError: This user has no home folder.
    """
    given = environ.get("XDG_STATE_HOME") or ""
    try:
        state = Path(given) if given.startswith("/") else Path.home() / ".local" / "state"  # XDG: no relative one
    except RuntimeError:  # neither HOME nor an entry of the user who runs this
        raise OSError("this user has no home folder; name the file by --state, or set HOME") from None
    return state / "s3_assets" / f"watchdog-{digest(_real(home))}.json"


def _real(home: str) -> str:
    """Where a link leads to; where its disk hangs, its path as it is."""
    try:
        return within(LINK_S, lambda: os.path.realpath(home))
    except TookTooLongError:
        return os.path.normpath(home)


def read_memory(path: Path) -> Memory:
    """What is in the file; nothing where there is none, or where it is damaged.

    Raises:
        OSError: It is there, and can't be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        return Memory()
    return Memory.load(data.decode("utf-8", "replace")) if len(data) <= MOST_BYTES else Memory()


def write_memory(path: Path, memory: Memory) -> None:
    """Replace the file; a crash leaves the old one or the new one.

    Raises:
        OSError: It can't be written; the old one stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(number, "w", encoding="utf-8", errors="surrogatepass") as file:
            file.write(memory.dump())
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
