"""What is known of servers that their answers don't tell, by the `Server` header: which conditions don't hold alone.

SeaweedFS (4.48 in races, 4.44 by its source) checks a condition in one of two places. A PutObject with one condition
goes to the filer that owns the key, and is checked there, under the filer's lock. CopyObject is checked by the gateway
under another lock, and so is a PutObject with two conditions. Under the same lock one of several writers wins; of a
PutObject under the one and a CopyObject under the other, both did in 5 to 8 of 100 races, and what the first wrote was
lost. A completed upload is checked by the gateway under none. So a PutObject gets a second condition there, one that
always holds.

Where versioning is suspended, that filer looks at the version `null` only: what was written before can't be replaced
with one If-Match, and can with two conditions.
"""

from __future__ import annotations

from typing import Final

SEAWEEDFS: Final = "SeaweedFS"

COMPLETE_NOT_ATOMIC: Final = (SEAWEEDFS,)
"""Servers, by the `Server` header, that let several racing completes win."""

PUT_LOCKED_APART: Final = (SEAWEEDFS,)
"""Servers on which a PutObject with one condition and a CopyObject can both win."""

SECOND_CONDITION: Final = {"If-Unmodified-Since": "Fri, 31 Dec 9999 23:59:59 GMT"}
"""Always holds; beside If-Match it is to be ignored (RFC 9110, 13.1.4). Never sent to AWS, which may refuse it."""


def known(server: str, names: tuple[str, ...]) -> str | None:
    """Which of `names` the `Server` header tells, or None."""
    return next((name for name in names if name.lower() in server.lower()), None)
