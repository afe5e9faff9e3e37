"""What a plan costs: requests, bytes, dollars and time. Numbers in, words out; nothing is asked of anybody.

The price list and the measured rates are here and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from s3_assets.cli.render import human_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets.store.metered import Traffic

PRICE_LIST: Final = "AWS's list prices, S3 Standard, us-east-1, November 2026"
"""Only requests: bytes that stay within the region are free, as is deleting."""

USD_PER_WRITE: Final = 0.005 / 1000
"""PUT, COPY, POST, LIST: also each part, and beginning and completing an upload."""

USD_PER_READ: Final = 0.0004 / 1000
"""GET, HEAD and all others."""

REQUESTS: Final[Mapping[str, tuple[int, int]]] = {
    "list": (1, 0),
    "list_level": (1, 0),
    "list_versions": (1, 0),
    "list_uploads": (3, 0),  # the key's own uploads, those of its staging keys, and these keys
    "put": (1, 0),
    "start_upload": (1, 0),
    "put_part": (1, 0),
    "copy_part": (1, 0),
    "complete": (1, 0),
    "abort": (0, 0),
    "head": (0, 1),
    "get": (0, 1),
    "delete": (0, 1),  # it is looked at first; deleting is free
}
"""What a call of the store's contract sends that is paid for: at the price of a write, and of a read."""

CPU_SECONDS_PER_HOUR: Final = 0.0033
CPU_SECONDS_PER_SOURCE: Final = 0.00072
CPU_SECONDS_PER_BYTE: Final = 2.4e-8
"""Of an hour that is written, a source that is read, and a byte of it: `python -m bench.rates`, 2 cores, November 2026.

The work alone: wall time is as much on a machine beside its store, and more where the store is slow to answer.
"""

CPU_SECONDS_PER_LOOK: Final = 0.0015
"""Of an hour that is looked at and stays as it is: `sync` of 480 hours against one of 48, the same machine."""


@dataclass(slots=True)
class Cost:
    """What has been added up so far.

    Attributes:
        hours: How many are written.
        left: How many are looked at and stay as they are.
        sources: How many source objects are read,
        source_bytes: and their bytes.
        requests: Calls of the stores' contract, by kind.
        down: Bytes that this host reads,
        up: and sends.
        copied: Bytes that the server copies.
    """

    hours: int = 0
    left: int = 0
    sources: int = 0
    source_bytes: int = 0
    requests: Counter[str] = field(default_factory=Counter)
    down: int = 0
    up: int = 0
    copied: int = 0

    def add(self, traffic: Traffic) -> None:
        """Requests and bytes."""
        self.requests.update(traffic.requests)
        self.down += traffic.bytes_down
        self.up += traffic.bytes_up
        self.copied += traffic.bytes_copied

    @property
    def usd(self) -> float:
        """All requests at `PRICE_LIST`."""
        return sum(
            count * (writes * USD_PER_WRITE + reads * USD_PER_READ)
            for kind, count in self.requests.items()
            for writes, reads in (REQUESTS[kind],)
        )

    @property
    def cpu_seconds(self) -> float:
        """What this host has to work."""
        hours = self.hours * CPU_SECONDS_PER_HOUR + self.left * CPU_SECONDS_PER_LOOK
        sources = self.sources * CPU_SECONDS_PER_SOURCE
        return hours + sources + self.source_bytes * CPU_SECONDS_PER_BYTE

    def lines(self) -> list[str]:
        """In words."""
        time = f"about {duration(self.cpu_seconds)} of CPU time, and what the store takes to answer"
        price = f"{self.usd:.4f} USD of requests ({PRICE_LIST})"
        bytes_ = [f"{human_bytes(self.down)} down", f"{human_bytes(self.up)} up"]
        bytes_ += [f"{human_bytes(self.copied)} copied by the server"] if self.copied else []
        kinds = (f"{count:,} {kind}" for kind, count in sorted(self.requests.items()))
        return [f"{time}; {price}", f"bytes: {', '.join(bytes_)}", f"requests: {', '.join(kinds)}"]

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "hours": self.hours,
            "sources": self.sources,
            "source_bytes": self.source_bytes,
            "requests": dict(sorted(self.requests.items())),
            "bytes_down": self.down,
            "bytes_up": self.up,
            "bytes_copied": self.copied,
            "usd": round(self.usd, 6),
            "prices": PRICE_LIST,
            "cpu_seconds": round(self.cpu_seconds, 3),
        }


def duration(seconds: float) -> str:
    """`40 s`, `12 min`, `3.5 h`."""
    if seconds < 120:  # noqa: PLR2004  (two minutes)
        return f"{max(1, round(seconds))} s"
    if seconds < 7200:  # noqa: PLR2004  (two hours)
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
