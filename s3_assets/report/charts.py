"""Small bar charts as SVG, for Markdown that takes an image as a data URI.

Dagster's UI shows Markdown metadata in place while it has fewer than `IN_PLACE_CHARACTERS` characters, and behind a
click when it has more. No library draws that small: the charts are text of this module, one path for each colour, and
the event log holds under 1 kB of each. Not here: what is counted (`day`), and where a chart is shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_PLACE_CHARACTERS = 1000
"""Markdown metadata of so many characters or more is behind a click (Dagster 1.13's UI; a browser test looks)."""

WIDTH, HEIGHT, TOP, BOTTOM = 420, 84, 14, 66
"""Of the image: as wide as the room that the UI has beside its lists in a window of 1,440; and where in it the highest
bar ends and all begin. Pixels."""

_SAFE = "=:/'!,;@$*"
"""Characters that mean nothing to Markdown within an image's address, and need not be escaped in a data URI."""


@dataclass(frozen=True, slots=True)
class Chart:
    """Bars side by side.

    Attributes:
        title: Stands over the bars, and for the image where it can't be shown. Plain words: no markup.
        bars: Their heights, 0 or more.
        late: Bars in another colour that are drawn over the others, from the foot up, on the same scale; none by
            default.
        ticks: Words under a bar, by its number.
    """

    title: str
    bars: Sequence[int]
    late: Sequence[int] = ()
    ticks: Sequence[tuple[int, str]] = ()


def markdown(chart: Chart) -> str:
    """The chart as a Markdown image that needs no other file."""
    return f"![{chart.title}](data:image/svg+xml,{quote(svg(chart), safe=_SAFE)})"


def svg(chart: Chart) -> str:
    """The chart as SVG, on white: the UI may be dark."""
    step = WIDTH // max(len(chart.bars), 1)
    most = max(*chart.bars, *chart.late, 0)
    ticks = "".join(f"<tspan x='{place * step}'>{word}</tspan>" for place, word in chart.ticks)
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{WIDTH}' height='{HEIGHT}'"
        " style='font:11px Arial;background:white'>"
        f"<text y='10'>{chart.title}; max {most:,}</text>"
        f"<path fill='#75b' d='{_outline(chart.bars, most, step)}'/>"
        + (f"<path fill='#e83' d='{_outline(chart.late, most, step)}'/>" if any(chart.late) else "")
        + f"<path stroke='black' d='M0 {BOTTOM}h{WIDTH}'/><text y='79'>{ticks}</text></svg>"
    )


def _outline(bars: Sequence[int], most: int, step: int) -> str:
    """One path around all bars. What is not 0 is at least a pixel high, so that it is seen."""
    drawn, level = [f"M0 {BOTTOM}"], 0
    for height, run in groupby(-(-bar * (BOTTOM - TOP) // most) if most else 0 for bar in bars):
        drawn.append(f"v{level - height}h{step * len(list(run))}")
        level = height
    return "".join(drawn) + f"V{BOTTOM}"
