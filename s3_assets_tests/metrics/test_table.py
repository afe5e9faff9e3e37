"""The table of metrics, and what is said of it elsewhere: docs/metrics.md and the dashboard."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from s3_assets.metrics.table import METRICS, OF_A_PIPELINE, markdown

ROOT = Path(__file__).parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana-dashboard.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
NAMES = {metric.name for metric in METRICS}
_METRIC = re.compile(r"\bs3_assets_\w+")
_LABEL = re.compile(r"(\w+)=~")


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_are_as_prometheus_wants_them(metric):
    """Base units, `_total` for counters and for nothing else; no label is one of all metrics."""
    assert re.fullmatch(r"s3_assets_[a-z_]+", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert not re.search(r"_(ms|minutes|hours|kb|mb|count)(_total)?$", metric.name.removesuffix("failing_hours"))
    assert not {*metric.labels} & {*OF_A_PIPELINE}


def test_no_metric_is_there_twice():
    """Or Prometheus would refuse all."""
    assert len(NAMES) == len(METRICS)


def test_the_document_has_the_table_of_the_code():
    """And names no metric that is none; the settings that turn them on are there."""
    text = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert f"\n\n{markdown()}\n" in text
    names = set(_METRIC.findall(text))
    assert names - NAMES == set()
    assert {"S3_ASSETS_METRICS_FILE", "S3_ASSETS_METRICS_ADDRESS"} <= set(re.findall(r"S3_ASSETS_\w+", text))


def expressions() -> list[str]:
    """All that the dashboard asks Prometheus."""
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def test_the_dashboard_draws_every_metric_and_no_other():
    """A metric that is renamed takes its panel along."""
    assert {name for expression in expressions() for name in _METRIC.findall(expression)} == NAMES


def test_the_dashboard_selects_by_labels_that_the_metric_has():
    """By another label it would draw nothing."""
    labels = {metric.name: {*OF_A_PIPELINE, *metric.labels} for metric in METRICS}
    for expression in expressions():
        for name, selector in re.findall(r"(s3_assets_\w+)\{([^}]*)\}", expression):
            assert {*_LABEL.findall(selector)} <= labels[name], expression
            assert {found.strip('"$') for found in re.findall(r'"\$\w+"', selector)} <= VARIABLES.keys()
        (grouped,) = re.findall(r"by \(([^)]*)\)", expression)[:1] or [""]
        assert {label.strip() for label in grouped.split(",") if label} <= labels[_METRIC.findall(expression)[0]]


def test_only_counters_are_rated():
    """A rate of a gauge, and a counter as it stands, mean nothing."""
    for expression in expressions():
        for name in _METRIC.findall(expression):
            is_rated = bool(re.search(rf"(rate|increase)\({name}\b", expression))
            assert is_rated == name.endswith("_total"), expression


def test_the_data_source_is_chosen_on_the_page():
    """Nothing names one of somebody's Grafana."""
    assert VARIABLES["datasource"]["type"] == "datasource"
    assert VARIABLES["datasource"]["query"] == "prometheus"
    sources = [panel["datasource"] for panel in PANELS]
    sources += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    sources += [variable["datasource"] for variable in VARIABLES.values() if variable["type"] == "query"]
    assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)


def test_panels_have_ids_of_their_own_and_do_not_overlap():
    """Grafana would move them about."""
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in DASHBOARD["panels"])
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
