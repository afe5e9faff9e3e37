"""Charts: well-formed, small enough to be shown in place, and as high as what they count."""

from __future__ import annotations

import random
import re
from itertools import accumulate
from urllib.parse import unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.report.charts import BOTTOM, IN_PLACE_CHARACTERS, TOP, WIDTH, Chart, markdown, svg

SVG = "{http://www.w3.org/2000/svg}"


def bars_of(chart: Chart, path: int = 0) -> list[int]:
    """The heights in pixels at the middle of each bar, read from a path of the drawn image."""
    found = ET.fromstring(svg(chart)).findall(f"{SVG}path")  # noqa: S314  (our own)
    drawn = found[path].attrib["d"]
    assert drawn.startswith(f"M0 {BOTTOM}")
    assert drawn.endswith(f"V{BOTTOM}")
    steps = [(int(up), int(along)) for up, along in re.findall(r"v(-?\d+)h(\d+)", drawn)]
    heights = list(accumulate(-up for up, _ in steps))
    return [height for height, (_, along) in zip(heights, steps, strict=True) for _ in range(along)][
        WIDTH // len(chart.bars) // 2 :: WIDTH // len(chart.bars)
    ]


TITLE = "arrivals by minute after the hour began; 1,000,000 later than 120 min"

counts = st.integers(0, 10**7)


@pytest.mark.parametrize("bars, with_late", [(40, False), (60, False), (24, True)])
def test_the_most_ragged_charts_are_shown_in_place(bars, with_late):
    """Every bar of another height is what takes most room; drawn by chance, many times."""
    chance = random.Random(bars)
    for _ in range(300):
        heights = [chance.randint(0, 10**7) for _ in range(bars)]
        late = [chance.randint(0, height) for height in heights] if with_late else []
        ticks = [(place, "524 MB") for place in range(0, bars, bars // 4)]
        assert len(markdown(Chart(TITLE, heights, late, ticks))) < IN_PLACE_CHARACTERS


@given(st.sampled_from([24, 40, 60]).flatmap(lambda many: st.lists(counts, min_size=many, max_size=many)), st.data())
def test_any_chart_is_shown_in_place(bars, data):
    """Whatever is counted: below the size at which the UI hides it, and of one line."""
    late = (
        data.draw(st.none() | st.lists(st.sampled_from([0, 1]), min_size=24, max_size=24)) if len(bars) == 24 else None
    )
    ticks = [(place, "524 MB") for place in range(0, len(bars), len(bars) // 4)]
    chart = Chart(TITLE, bars, [bar * one for bar, one in zip(bars, late or [0] * 60, strict=False)], ticks)
    shown = markdown(chart)
    assert len(shown) < IN_PLACE_CHARACTERS
    found = re.fullmatch(r"!\[([^\[\]\n]*)\]\(data:image/svg\+xml,([^\s()<>]+)\)", shown)
    assert found is not None
    assert (found[1], unquote(found[2])) == (TITLE, svg(chart))
    ET.fromstring(svg(chart))  # noqa: S314  (our own)


@given(st.lists(counts, min_size=24, max_size=24))
def test_bars_are_as_high_as_what_they_count(bars):
    """The highest has all the room, none has less than its share, and one that is not 0 is seen."""
    drawn = bars_of(Chart("t", bars))
    room, most = BOTTOM - TOP, max(bars)
    assert len(drawn) == 24
    for bar, height in zip(bars, drawn, strict=True):
        assert (height > 0) == (bar > 0)
        assert not most or bar * room / most <= height < bar * room / most + 1
    assert max(drawn) == (room if most else 0)


def test_the_late_part_is_drawn_over_the_rest():
    """From the foot up, on the same scale."""
    chart = Chart("t", [4, 2, 0], late=[1, 2, 0])
    assert bars_of(chart) == [52, 26, 0]
    assert bars_of(chart, path=1) == [13, 26, 0]


def test_without_late_ones_nothing_is_drawn_for_them():
    """Bars and the line at their foot."""
    assert svg(Chart("t", [1, 2], late=[0, 0])).count("<path") == 2
