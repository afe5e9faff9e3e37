"""The file for node_exporter's textfile collector, which reads any `*.prom` at any moment."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MODE = 0o644
"""node_exporter runs as a user of its own."""


def write_whole(path: Path, text: bytes) -> None:
    """Put `text` at `path` at once: a reader finds the old text or the new one, and never half of it.

    Raises:
        OSError: It can't be written; what was there stays.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")  # no *.prom: nobody reads it
    try:
        with beside.open("wb") as out:
            os.fchmod(out.fileno(), MODE)
            out.write(text)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
