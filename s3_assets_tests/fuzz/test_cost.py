"""What one hostile source may cost its hour: CPU and memory of a process that syncs it beside a good one.

Each hour is built as `s3-assets sync` does it, with the hostile sources late: the good rows stand, the next hour is
built as ever, and what is left out is named. A share of each size in every run, all of it in a soak.
"""

from __future__ import annotations

import ctypes
import gc
import gzip
import json
import random
import subprocess
import sys
import time
import zlib
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets_tests.scale import SCALE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MOST_CPU_S = 20
MOST_MB = 300
SHARE_OF_A_RUN = 0.04
"""Of each size, where this is no soak."""

MB = 1_000_000
MIB = 1 << 20
H = b"id,name\n"
GOOD = H + b"".join(b"%d,n%d\n" % (number, number) for number in range(1, 31))
GOOD_ROWS = GOOD.partition(b"\n")[2]

Piece = tuple[bytes, float]
"""Bytes, and how often."""


def _packed(*pieces: Piece, level: int = 9) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, 31)
    parts = chain.from_iterable(repeat(piece, round(count)) for piece, count in pieces)
    return b"".join(packer.compress(part) for part in parts) + packer.flush()


def _names(start: int, count: int) -> bytes:
    return b",".join(b"c%d" % number for number in range(start, start + count))


WIDE = b"id,name," + _names(0, 1_900) + b"\n"


@dataclass(frozen=True)
class Hostile:
    """A hostile hour.

    Attributes:
        late: Its sources, by name, of a share of the full size.
        standing: What stands beside the good source.
        taken: Whether they are legitimate, and in the hour file; None where both are right.
    """

    late: Callable[[float], Iterable[bytes]]
    standing: tuple[bytes, ...] = ()
    taken: bool | None = False


def _one(*pieces: Piece) -> Callable[[float], Iterator[bytes]]:
    """One source, of pieces whose number is the share's; the first piece and the last come once."""

    def make(share: float) -> Iterator[bytes]:
        first, *middle, last = pieces
        yield _packed(first, *((piece, max(1, count * share)) for piece, count in middle), last)

    return make


def _within_the_ratio(share: float) -> Iterator[bytes]:
    """About 190 MB of rows in 1 MB: just not a bomb."""
    draw = random.Random(14)
    row = b"1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(H)]
    size = given = 0
    while given < 190 * MB * share:
        block = row * 64 + b"%d,%x\n" % (draw.randrange(100), draw.getrandbits(40))
        given += len(block)
        parts.append(packer.compress(block))
        size += len(parts[-1])
    yield b"".join(parts) + packer.flush()


def _members(share: float) -> Iterator[bytes]:
    """A gzip of a million members without content, and one with."""
    yield gzip.compress(H) + gzip.compress(b"", mtime=0) * round(MB * share) + gzip.compress(b"1,a\n")


END = (b"", 1)
HOSTILE: dict[str, Hostile] = {
    # the issue's
    "l: one name of 11.5 MB": Hostile(_one((b"id,", 1), (b"\x01" * (MB // 2), 23), (b"\n1,2\n", 1))),
    "m: a million columns": Hostile(
        lambda share: [gzip.compress(b"id," + _names(0, round(MB * share) + 20_000) + b"\n1,2\n")]
    ),
    "n: 1,000 sources with 100 new columns each": Hostile(
        lambda share: (
            b"id," + _names(100 * number, 100) + b"\n7" + b",1" * 100 + b"\n" for number in range(round(1000 * share))
        ),
        taken=None,
    ),
    "n: 100 sources with headers of 15 MB": Hostile(
        lambda share: (
            _packed((b"id,%d" % number, 1), (b"x" * MB, 15), (b"\n1,2\n", 1)) for number in range(round(100 * share))
        )
    ),
    "o: a row of 15.9 million commas": Hostile(
        _one((b"id,name,new\n", 1), (b"," * 100_000, 159), (b"\n", 1)), taken=None
    ),
    "o: a row of 14 MB of quotes, commas, line ends": Hostile(
        _one((b"id,name,new\n1,2,", 1), (b'",\n"' * 10_000, 350), (b"\n", 1)), taken=None
    ),
    # more of their kind
    "a quoted name of 11 MB": Hostile(_one((b'id,"', 1), (b"x" * MB, 11), (b'"\n1,2\n', 1))),
    "a header of 60 kB of doubled quotes": Hostile(
        lambda share: [b'id,"' + b'""' * 30_000 + b'"\n' + b"1,2\n" * round(MB * share)]
    ),
    "2,000 columns over 3 million rows of a byte": Hostile(
        _one((b"id,name," + _names(0, 1_990) + b"\n", 1), (b"1\n" * 10_000, 300), END), taken=None
    ),
    "2,000 columns over 30 million rows of a byte": Hostile(
        _one((b"id,name," + _names(0, 1_990) + b"\n", 1), (b"1\n" * 10_000, 3_000), END), taken=None
    ),
    "30 million rows of a byte beside 1,900 columns": Hostile(
        _one((b"id\n", 1), (b"1\n" * 10_000, 3_000), END), (WIDE + b"1,a\n",), taken=None
    ),
    "the same, read ahead among 40 others": Hostile(
        lambda share: [
            *(
                b"id,k%d\n" % number + b"%d,0123456789\n" % number * (1_000 + round(24_000 * share))
                for number in range(40)
            ),
            _packed((b"id\n", 1), (b"1\n" * 10_000, 3_000 * share)),
        ],
        (WIDE + b"1,a\n",),
        taken=None,
    ),
    "short rows in one MiB, long ones behind, beside 1,900 columns": Hostile(
        _one((b"id\n" + b"1\n" * (1 << 19), 1), ((b"9" * 100_000 + b"\n") * 10, 55), END),
        (WIDE + b"1,a\n",),
        taken=None,
    ),
    "1,000 sources of 30,000 short rows beside 1,900 columns": Hostile(
        lambda share: [_packed((b"id\n", 1), (b"1\n" * 30_000, 1))] * round(1000 * share),
        (WIDE + b"1,a\n",),
        taken=None,
    ),
    "five wide headers without a row, then one row": Hostile(
        lambda share: [H + b"2,b\n"],
        tuple(b"id,name," + _names(9_000 * number, 9_000)[:62_000].rpartition(b",")[0] + b"\n" for number in range(5)),
        taken=None,
    ),
    "millions of rows, then new columns by and by": Hostile(
        lambda share: (b"id," + _names(40 * number, 40) + b"\n1\n" for number in range(50)),
        (_packed((H, 1), (b"1,a\n" * 10_000, 100)),),
        taken=None,
    ),
    "400 headers of 1,000 columns, all different": Hostile(
        lambda share: (
            b"id," + b"k%d," % number + _names(0, 1_000) + b"\n1,2,3\n" for number in range(round(400 * share))
        ),
        taken=None,
    ),
    "a chain of 1,000 headers, each known by the next": Hostile(
        lambda share: (b"k%d,k%d\n1,2\n" % (number, number + 1) for number in range(round(1000 * share), 0, -1)),
        (b"id,k1\n1,2\n",),
        taken=None,
    ),
    "20,000 pages": Hostile(lambda share: repeat(b"<html>" + b"&" * 2_000, round(20_000 * share))),
    "20,000 sources of a row": Hostile(lambda share: repeat(H + b"1,a\n", round(20_000 * share)), taken=True),
    "190 MB in 1 MB": Hostile(_within_the_ratio, taken=True),
    "a million empty gzip members": Hostile(_members, taken=True),
    "64 MiB of line feeds": Hostile(_one((H, 1), (b"\n" * MIB, 63), END), taken=None),
    "64 MiB of line feeds above the header": Hostile(
        _one((b"\n", 1), (b"\n" * MIB, 62), (H + b"1,a\n", 1)), taken=None
    ),
    "64 MiB of line feeds in one column": Hostile(_one((b"id\n", 1), (b"\n" * MIB, 63), END), taken=None),
    "64 MiB of CR LF": Hostile(_one((b"id,name\r\n", 1), (b"\r\n" * (MIB // 2), 63), END), taken=None),
    "64 MiB of CR": Hostile(_one((H, 1), (b"\r" * MIB, 63), END), taken=None),
    "rows in LF and CR LF by turns, 60 MB": Hostile(_one((H, 1), (b"1,a\n2,b\r\n" * 10_000, 660), END), taken=True),
    "rows in CR CR LF, 60 MB": Hostile(_one((b"id,name\r\r\n", 1), (b"1,a\r\r\n" * 10_000, 1_000), END), taken=True),
    "short and long rows by turns, 60 MB": Hostile(_one((H, 1), (b"1\n1,\n" * 10_000, 1_200), END), taken=True),
    "rows and blank lines by turns, 60 MB": Hostile(_one((H, 1), (b"1,a\n\n" * 10_000, 1_200), END), taken=True),
    "commas too many by turns, 60 MB": Hostile(_one((H, 1), (b"1,a,\n1,a\n" * 10_000, 660), END), taken=True),
    "quoted line feeds by turns, 60 MB": Hostile(_one((H, 1), (b'1,"\n"\n1,a\n' * 10_000, 500), END), taken=True),
    "quoted and short by turns, 60 MB": Hostile(
        _one((H, 1), (b'"1"\n1,"a"\n1,"\n",\n' * 10_000, 330), END), taken=True
    ),
    "all that is odd by turns, laid out, 40 MB": Hostile(
        _one((b"name,id,new\n", 1), (b'"1"\r\n\n1,"a"\n1,"\n",\r\r\n' * 10_000, 160), END), taken=True
    ),
    "a million short rows": Hostile(_one((H, 1), (b"1\n" * 10_000, 100), END), taken=True),
    "rows of a million quoted fields": Hostile(_one((H + b"1,2,", 1), (b'"",' * 100_000, 50), (b"\n", 1)), taken=None),
    "rows of 100,000 quoted values": Hostile(_one((H, 1), (b'"a",' * 100_000 + b"\n", 100), END)),
    "NUL bytes late": Hostile(_one((H + b"1,a\n" * 1_000, 1), (b"\0" * 1_000 + b",\n", 10_000), END), taken=None),
    "rows just below the longest": Hostile(_one((H, 1), (b"1," + b"x" * (16 * MIB - 8) + b"\n", 3), END), taken=True),
    "the same, quoted, laid out": Hostile(
        _one((b"name,id,new\n", 1), (b'"' + b"\n" * (16 * MIB - 16) + b'",1\n', 3), END), taken=True
    ),
    "14 million quotes": Hostile(_one((H + b"1,", 1), (b'"' * 1_000_000, 14), (b"\n", 1)), taken=None),
    "60 million quotes": Hostile(_one((H + b"1,", 1), (b'"' * 1_000_000, 60), (b"\n", 1)), taken=None),
    "16 million commas": Hostile(_one((H, 1), (b"," * 1_000_000, 16), (b"\n", 1)), taken=None),
    "60 million commas": Hostile(_one((H, 1), (b"," * 1_000_000, 60), (b"\n", 1)), taken=None),
    "a quote that is never closed": Hostile(_one((H + b'1,"', 1), (b"x\n" * 100_000, 300), END)),
    "names that cost a regular expression most": Hostile(
        lambda share: (
            b",".join([b"%d'%s@%s" % (number, b"1 " * 90, b"a." * 9) for number in range(280)]) + b"\n1\n"
            for _ in range(round(100 * share))
        )
    ),
    "values that cost a regular expression most": Hostile(
        lambda share: (
            b"id,name\n" + (b"a." * 90 + b"@," + b"1 ,'_" * 35 + b"\n") * 1_000 for _ in range(round(100 * share))
        ),
        taken=None,
    ),
}


# --- in a process of its own -------------------------------------------------------------------------------


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


def cost(name: str, share: float) -> dict[str, Any]:
    """Build the hour `name`: what it took, and whether all is as it should be."""
    from s3_assets.builder.pipeline import Workers
    from s3_assets.builder.reconcile import HourFailure, make_right
    from s3_assets_tests.builder.bench import HOUR, NEXT_HOUR, Bench

    hostile = HOSTILE[name]
    with Workers(fetch_threads=4, hour_threads=2, compress_threads=2) as workers:
        bench = Bench(workers)
        bench.put("07_10_good.csv", GOOD)
        for number, data in enumerate(hostile.standing):
            bench.put(f"07_2{number}_standing.csv", data)
        bench.build()
        stored = 0
        for number, data in enumerate(hostile.late(share)):
            bench.put(f"07_{number % 60:02}_x{number}.csv", data)
            stored += len(data)
        bench.put("08_00_other.csv", GOOD, hour=NEXT_HOUR)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak begins anew
        before, began, wall = _peak_kb(), time.process_time(), time.monotonic()
        outcomes = {one.hour: one for one in make_right(bench.pipeline, [HOUR, NEXT_HOUR])}
        cpu_s, peak = time.process_time() - began, _peak_kb()
    mine = outcomes[HOUR]
    if isinstance(mine, HourFailure):
        return {"cpu_s": cpu_s, "mb": (peak - before) / 1000, "stored": stored, "failed": repr(mine.error)[:300]}
    held = {one.key.rpartition("/")[2]: one.rows for one in bench.ledger().held}
    late = [key for key in held if "_x" in key]
    rows = sum(len(data.splitlines()) - 1 for data in hostile.standing if not data.startswith(b"\x1f"))
    return {
        "cpu_s": cpu_s,
        "wall_s": time.monotonic() - wall,
        "mb": (peak - before) / 1000,
        "stored": stored,
        "raw": bench.ledger().raw_length,
        "file": mine.size,
        "good": held.get("07_10_good.csv") == 30,
        "standing": sum(count for key, count in held.items() if "standing" in key) >= rows,
        "other": bench.text(NEXT_HOUR) == GOOD,
        "taken": len(late),
        "left_out": sorted({one.reason for one in mine.left_out}),
        "named": len(late) + sum("_x" in one.key.rpartition("/")[2] for one in mine.left_out),
    }


def measure(names: Iterable[str], share: float, *, timeout_s: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each in turn in one process, as lines of JSON; one that hangs ends it."""
    code = f"from s3_assets_tests.fuzz import test_cost as t; t.main({list(names)!r}, {share!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=timeout_s)
    assert done.returncode == 0, done.stderr[-3000:]
    for line in done.stdout.splitlines():
        name, found = json.loads(line)
        yield name, found


def main(names: Iterable[str], share: float) -> None:
    """Tell what each costs."""
    for name in names:
        sys.stdout.write(json.dumps([name, cost(name, share)]) + "\n")


pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read and reset in /proc")


def check(name: str, found: dict[str, Any], share: float) -> None:
    """Within its bounds; the good rows stand, the hour beside it is made, and nothing is left out in silence."""
    hostile = HOSTILE[name]
    assert "failed" not in found, found
    assert found["cpu_s"] < 2 * (1 - share) + MOST_CPU_S * share, (name, found)
    assert found["mb"] < MOST_MB, (name, found)
    assert found["good"], (name, found)
    assert found["standing"], (name, found)
    assert found["other"], (name, found)
    count = len(list(hostile.late(share)))
    assert found["named"] == count, (name, found)
    if hostile.taken is not None:
        assert found["taken"] == (count if hostile.taken else 0), (name, found)


@pytest.mark.slow
@pytest.mark.skipif(SCALE.full, reason="a soak tries the full sizes")
def test_a_share_of_each_hostile_hour_costs_as_little():
    """All in one process, one after the other: what one leaves in memory is none of the next one's."""
    found = dict(measure(HOSTILE, SHARE_OF_A_RUN, timeout_s=250))
    assert found.keys() == HOSTILE.keys()
    for name, one in found.items():
        check(name, one, SHARE_OF_A_RUN)


@pytest.mark.soak
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_hour_costs_a_bounded_amount(name):
    """Each in a process of its own: under 20 CPU-seconds, and under 300 MB above the imports."""
    [(_, found)] = measure([name], 1, timeout_s=250)
    check(name, found, 1)
