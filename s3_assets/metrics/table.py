"""The table of metrics: what each is called, what it counts, by which labels.

A new metric is one row here, and whoever sets it in `s3_assets.dagster.metrics`. docs/metrics.md holds this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

OF_A_PIPELINE: Final = ("pipeline", "group")
"""Labels of every metric; empty for the pipeline without a name, and for the events in no group."""

Key = tuple[str, tuple[str, ...]]
"""A metric, and the values of its own labels."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric.

    Attributes:
        name: As Prometheus has it; a counter's ends in `_total`.
        kind: A counter only grows, until what is kept of it is lost.
        meaning: One sentence or two, in Markdown that reads as plain text.
        labels: Its own, beside `OF_A_PIPELINE`. Each has as many values as there are events, or a fixed few.
    """

    name: str
    kind: Literal["gauge", "counter"]
    meaning: str
    labels: tuple[str, ...] = ()


METRICS: Final = (
    Metric(
        "s3_assets_hours_behind",
        "gauge",
        "Hours known to differ from their sources. One counts from the look that found it until a run made it, or "
        "until a look at it finds it right.",
        ("event",),
    ),
    Metric(
        "s3_assets_oldest_unbuilt_source_age_seconds",
        "gauge",
        "Age of the oldest source that an hour behind lacks, at the time of the tick; 0 where none is behind.",
        ("event",),
    ),
    Metric(
        "s3_assets_failing_hours",
        "gauge",
        "Hours whose last try failed.",
        ("event",),
    ),
    Metric(
        "s3_assets_quarantined_sources",
        "gauge",
        "Source objects that hour files leave out as unusable.",
        ("event",),
    ),
    Metric(
        "s3_assets_sources_listed_total",
        "counter",
        "Source objects that ticks listed in hours; one counts in each tick that lists it.",
    ),
    Metric(
        "s3_assets_source_changes_total",
        "counter",
        "Source objects that made a difference to an hour file, by change: new, late, rewritten, vanished and so on.",
        ("event", "change"),
    ),
    Metric(
        "s3_assets_hours_made_total",
        "counter",
        "Hours that runs made right, by what had to be done: build and splice write an hour file, nothing wrote none.",
        ("event", "verdict"),
    ),
    Metric(
        "s3_assets_run_bytes_total",
        "counter",
        "Bytes that runs moved for hours that they made right: downloaded, uploaded, or copied by the server.",
        ("direction",),
    ),
    Metric(
        "s3_assets_run_requests_total",
        "counter",
        "S3 requests of runs, for hours that they made right, by kind.",
        ("kind",),
    ),
    Metric(
        "s3_assets_tick_requests_total",
        "counter",
        "S3 requests of ticks that came to their end, by kind.",
        ("kind",),
    ),
    Metric(
        "s3_assets_ticks_total",
        "counter",
        "Ticks of the source sensor, by result: ok or failed.",
        ("result",),
    ),
    Metric(
        "s3_assets_tick_seconds_total",
        "counter",
        "Time that ticks of the source sensor took, also those that failed.",
    ),
    Metric(
        "s3_assets_last_tick_seconds",
        "gauge",
        "Time that the last tick of the source sensor took.",
    ),
    Metric(
        "s3_assets_last_tick_timestamp_seconds",
        "gauge",
        "When the source sensor last came to the end of a tick without failing.",
    ),
    Metric(
        "s3_assets_alerts_sent_total",
        "counter",
        "Messages that the alerts sensor sent to Slack or, without a token, to its log.",
    ),
    Metric(
        "s3_assets_alerts_open",
        "gauge",
        "Alerts that were said and are not over.",
    ),
)
"""All of them, in the order of the docs."""


def markdown() -> str:
    """The table in docs/metrics.md."""
    rows = [f"| `{one.name}` | {one.kind} | {', '.join(one.labels)} | {one.meaning} |" for one in METRICS]
    return "\n".join(["| Metric | Kind | Labels | Meaning |", "|---|---|---|---|", *rows]) + "\n"
