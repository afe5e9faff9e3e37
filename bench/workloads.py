"""What `bench.hours` makes hour files from: how many sources, how large, and the one that comes late.

Rows are real ones, drawn by a fixed seed, so that every run of the bench has the same bytes. Workloads with the same
sources share them: the large ones take longer to put than to measure.
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bench.contenders import DATE, EVENT, HH
from s3_assets_tests.demo.flights import read_flights

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MB: Final = 1_000_000
LATE_BYTES: Final = 10_000

BUILDERS: Final = ("s3_assets", "s3_assets fast", "today", "s5cmd, pigz", "duckdb", "floor")
APPENDERS: Final = ("s3_assets", "s3_assets as on AWS", "today", "s5cmd, pigz", "s5cmd, new member", "floor")

SPLICERS: Final = ("s3_assets", "s3_assets as on AWS", "floor")


@dataclass(frozen=True, slots=True)
class Workload:
    """What is made.

    Attributes:
        name: Of the workload.
        about: In words.
        data: How many sources there are before the late one, and how many bytes in each.
        late: Minute of the late file; None is a first build.
        contenders: Their names.
        rounds: How many are counted, unless said otherwise.
        warm: Rounds before, which are not: the first one finds cold caches. None where a round takes minutes.
        once: Contenders that only the first round has: they take minutes.
    """

    name: str
    about: str
    data: tuple[int, int]
    late: int | None
    contenders: tuple[str, ...]
    rounds: int = 2
    warm: int = 0
    once: tuple[str, ...] = ()

    @property
    def raw_bytes(self) -> int:
        """Of all sources."""
        count, size = self.data
        return count * size

    @property
    def source_prefix(self) -> str:
        """Of the sources, which workloads with the same data share."""
        return "{}x{}/source/".format(*self.data)

    @property
    def base_prefix(self) -> str:
        """Of the hour file to which a late file comes, which they share, too."""
        return "{}x{}/base/".format(*self.data)

    @property
    def in_quick(self) -> bool:
        """Whether a quick look has it."""
        return self.raw_bytes < 1_000 * MB

    @property
    def late_name(self) -> str:
        """Of the late file below its prefix; empty for a first build."""
        return "" if self.late is None else source_name(self.late, 9999)


_100_MB: Final = (60, 7_400_000)
_1_GB: Final = (60, 74_000_000)
"""Sources of which an hour file gets so large."""

SLOW: Final = ("today", "s5cmd, pigz", "s5cmd, new member")
WORKLOADS: Final = (
    Workload("build_60", "first build from 60 sources of 1 MB", (60, MB), None, BUILDERS, rounds=5, warm=1),
    Workload("build_1000", "first build from 1,000 sources of 10 KB", (1000, 10_000), None, BUILDERS, rounds=9, warm=1),
    Workload(
        "late_100mb", "one late file of 10 KB, last in order, into 100 MB", _100_MB, 59, APPENDERS, rounds=3, once=SLOW
    ),
    Workload("middle_100mb", "one late file of 10 KB, in the middle, into 100 MB", _100_MB, 30, SPLICERS, rounds=3),
    Workload("late_1gb", "one late file of 10 KB, last in order, into 1 GB", _1_GB, 59, APPENDERS, rounds=4, once=SLOW),
    Workload("middle_1gb", "one late file of 10 KB, in the middle, into 1 GB", _1_GB, 30, SPLICERS),
)


def source_name(minute: int, number: int) -> str:
    """Of a source object."""
    return f"{EVENT}/{DATE}/{HH}_{minute:02d}_file_{number:04d}.csv"


class Rows:
    """Rows of real CSV (flights), as many as are wanted, in an order of chance: they compress about 1 to 4.4."""

    def __init__(self) -> None:
        """Read them; blocks of 64 KiB are shuffled, so that repeats are further apart than a gzip can see."""
        self.header, rows = read_flights()
        data = b"".join(rows)
        self._blocks: list[bytes] = []
        at = 0
        while at < len(data):
            end = data.find(b"\n", at + 65_536) + 1 or len(data)
            self._blocks.append(data[at:end])
            at = end
        self._chance = random.Random(7)

    def take(self, size: int) -> bytes:
        """Whole rows of about so many bytes."""
        found = bytearray()
        while len(found) < size:
            found += self._chance.choice(self._blocks)
        return bytes(found[: found.rfind(b"\n", 0, size) + 1])


class Sources:
    """The sources of workloads that share them, and what an hour file of each must hold.

    Attributes:
        late: Body of the late file.
        digests: SHA-256 of header and all rows in key order, by workload; whole once `bodies` is read to its end.
    """

    def __init__(self, workloads: Sequence[Workload]) -> None:
        """Draw the late file; the others are drawn as they are asked for."""
        self._rows = Rows()
        self._workloads = workloads
        self._late_rows = self._rows.take(LATE_BYTES)
        self.late = self._rows.header + self._late_rows
        self.digests: dict[str, str] = {}

    def bodies(self) -> Iterator[tuple[str, bytes]]:
        """Names and bodies of all but the late ones, in key order."""
        digests = {workload: hashlib.sha256(self._rows.header) for workload in self._workloads}
        of_late = {workload.late_name for workload in self._workloads if workload.late_name}
        count, size = self._workloads[0].data
        names = (source_name(number * 60 // count, number) for number in range(count))
        for name in sorted([*names, *of_late]):
            rows = self._late_rows if name in of_late else self._rows.take(size)
            for workload, digest in digests.items():
                if name not in of_late or name == workload.late_name:
                    digest.update(rows)
            if name not in of_late:
                yield name, self._rows.header + rows
        self.digests = {workload.name: digest.hexdigest() for workload, digest in digests.items()}
