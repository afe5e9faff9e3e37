"""Our code location as it is, but that runs wait at a gate while it is closed: for `DagsterStack(module=...)`.

So a test knows that a run is in the middle of its work, and in which process, before it kills something. The sensor
reads and writes no object, and is not held up.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from s3_assets.dagster.definitions import defs  # noqa: F401  (what Dagster looks for)
from s3_assets.store.s3 import S3Store
from s3_assets_tests.soak.gate import FOLDER_VARIABLE, READ, WRITE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

GATE = Gate(Path(os.environ[FOLDER_VARIABLE]))


def gated(prefix: str, call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call, which waits at the gate with keys below `prefix`."""

    def waits(store: S3Store, key: str, *args: object, **options: object) -> object:
        if key.startswith(prefix):
            GATE.go_through(prefix)
        return call(store, key, *args, **options)

    return waits


S3Store.get = gated(READ, S3Store.get)
S3Store.put = gated(WRITE, S3Store.put)
