"""Where results lie: one file of JSON lines for each part of the bench, below a folder that git ignores."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

FOLDER: Final = Path(__file__).parent.parent / ".bench"
"""Of whole results; those of a quick look are in `quick/` below it."""

QUICK: Final = FOLDER / "quick"

Rounds = list[dict[str, Any]]
Results = dict[str, dict[str, Rounds]]
"""By workload and contender, in the order in which they were measured."""


class Part:
    """The file of one part, begun anew."""

    def __init__(self, folder: Path, workload: str) -> None:
        """Empty it."""
        folder.mkdir(parents=True, exist_ok=True)
        self._workload = workload
        self._path = folder / f"{workload}.jsonl"
        self._path.write_text("")

    def add(self, contender: str, result: dict[str, Any]) -> None:
        """One line."""
        about = {"workload": self._workload, "contender": contender, "on": time.strftime("%Y-%m-%d", time.gmtime())}
        with self._path.open("a") as file:
            file.write(json.dumps({**about, **result}) + "\n")


def read(folder: Path) -> Results:
    """All that is there."""
    found: Results = defaultdict(lambda: defaultdict(list))
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            result = json.loads(line)
            found[result["workload"]][result["contender"]].append(result)
    return {workload: dict(of) for workload, of in found.items()}


def say(words: str) -> None:
    """What happens, on stderr."""
    print(f"{time.strftime('%H:%M:%S')} {words}", file=sys.stderr, flush=True)


def reset_peak() -> float:
    """Forget the most memory that this process held; what it holds now, in MiB (Linux).

    `getrusage` won't do: what it calls the peak of a process begins with that of the process that started it.
    """
    Path("/proc/self/clear_refs").write_text("5")
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def peak() -> float:
    """The most memory that this process held since, in MiB (Linux)."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
