"""What a `delivery_report` tells a person: charts, numbers and tables, 50 kB at most. Nothing is counted here."""

from datetime import timedelta
from typing import Any

import dagster as dg

from s3_assets.report import charts
from s3_assets.report.day import DAY, HOUR, WEEK, DayReport, HourOfDay, ranges

MOST_QUARANTINED = 20
"""Quarantined sources that are listed one by one."""

MOST_CHARACTERS = 200
"""Of a name or a sentence in a table: keys may have 1,024 bytes."""

MINUTES_PER_BAR, MINUTES_SHOWN = 3, 120
"""Of the chart of arrivals."""


def sentence(report: DayReport) -> str:
    """The day in a line."""
    said = [f"{len(report.arrivals):,} sources in {report.hours_over} hours that are over"]
    for count, what in (
        (report.late_by(timedelta()), "late"),
        (len(report.quarantined), "quarantined"),
        (report.empty_hours, "hours without any"),
        (sum(len(report.missing_minutes(hour)) for hour in report.hours), "minutes missing"),
    ):
        if count:
            said.append(f"{count:,} {what}")
    return ", ".join(said)


def report_metadata(report: DayReport) -> dict[str, Any]:
    """Charts first, where there is something to draw, then numbers, each under the name of its plot, and tables."""
    late, missing = report.late_by(timedelta()), [report.missing_minutes(hour) for hour in report.hours]
    smallest, typical, largest = report.source_sizes
    ratio = report.compression_ratio
    return {
        **(_charts(report) if report.arrivals else {}),
        "sources": len(report.arrivals),
        "late_sources": late,
        "late_share": round(report.share(late), 4),
        "late_by_an_hour_share": round(report.share(report.late_by(HOUR)), 4),
        "late_by_a_day_share": round(report.share(report.late_by(DAY)), 4),
        "late_by_a_week_share": round(report.share(report.late_by(WEEK)), 4),
        "early_sources": report.early,
        "median_delay_seconds": report.delay_s(0.5),
        "p95_delay_seconds": report.delay_s(0.95),
        "longest_delay_seconds": report.delay_s(1),
        "hours_over": report.hours_over,
        "hours_without_sources": report.empty_hours,
        "missing_minutes": sum(map(len, missing)),
        "usual_minutes": ranges(sorted(report.usual_minutes)) or "none: no minute has a source in most hours",
        "quarantined_sources": len(report.quarantined),
        "gone_sources": sum(hour.gone for hour in report.hours),
        "waiting_sources": sum(hour.waiting for hour in report.hours),
        "rows": sum(hour.rows for hour in report.hours),
        "source_bytes": sum(hour.source_bytes for hour in report.hours),
        "smallest_source_bytes": smallest,
        "median_source_bytes": typical,
        "largest_source_bytes": largest,
        "hour_file_bytes": sum(hour.file_bytes for hour in report.hours),
        **({} if ratio is None else {"compression_ratio": round(ratio, 3)}),
        **({"quarantined": _quarantined(report)} if report.quarantined else {}),
        "hours": _hours(report),
    }


def _charts(report: DayReport) -> dict[str, Any]:
    return {name: dg.MetadataValue.md(charts.markdown(chart)) for name, chart in _drawn(report).items()}


def _drawn(report: DayReport) -> dict[str, charts.Chart]:
    counts, later = report.arrivals_by_minute(MINUTES_PER_BAR, MINUTES_SHOWN)
    over = 60 // MINUTES_PER_BAR
    zeros = [0] * over
    beyond = f"; {later:,} later than {MINUTES_SHOWN} min" if later else ""
    per_hour = {hour.hour.hh: hour for hour in report.hours}
    every = [per_hour.get(f"{hh:02d}") for hh in range(24)]
    return {
        "arrivals_by_minute": charts.Chart(
            f"arrivals by minute after the hour began{beyond}",
            counts[:over] + zeros,
            late=zeros + counts[over:],
            ticks=[(minute // MINUTES_PER_BAR, str(minute)) for minute in range(0, MINUTES_SHOWN, 30)],
        ),
        "arrivals_by_hour": charts.Chart(
            "sources by the hour in their names, late ones orange",
            [len(hour.arrivals) if hour else 0 for hour in every],
            late=[hour.late if hour else 0 for hour in every],
            ticks=[(hh, f"{hh:02d}") for hh in range(0, 24, 6)],
        ),
        "minutes_with_sources": charts.Chart(
            f"hours that have a source, by minute in its name, of {report.hours_over}",
            report.hours_with_minute,
            ticks=[(minute, f"{minute:02d}") for minute in range(0, 60, 15)],
        ),
        "source_sizes": _sizes(report),
    }


def _sizes(report: DayReport) -> charts.Chart:
    """Each bar twice as large sources as the one before it, from what is below 1 kB on."""
    bars = [0] * 24
    for arrival in report.arrivals:
        bars[min(len(bars) - 1, (arrival.size // 1000).bit_length())] += 1
    names = [(0, "0 kB"), (4, "8 kB"), (8, "128 kB"), (14, "8 MB"), (20, "524 MB")]
    return charts.Chart("sources by size, each bar twice that before it", bars, ticks=names)


def _hours(report: DayReport) -> dg.TableMetadataValue:
    records = [_hour_record(report, hour) for hour in report.hours]
    schema = dg.TableSchema(
        [
            dg.TableColumn("hour", "string", description="as in the sources' names, UTC"),
            dg.TableColumn("sources", "int"),
            dg.TableColumn("late", "int", description="came after the hour had ended"),
            dg.TableColumn("missing_minutes", "string", description="without a source, though most hours have one"),
            dg.TableColumn("quarantined", "int"),
            dg.TableColumn("rows", "int", description="in the hour file"),
            dg.TableColumn("source_bytes", "int"),
            dg.TableColumn("hour_file_bytes", "int"),
            dg.TableColumn("note", "string"),
        ]
    )
    return dg.MetadataValue.table(records, schema)


def _hour_record(report: DayReport, hour: HourOfDay) -> dg.TableRecord:
    notes = [
        *([] if hour.is_over else ["not over"]),
        *([f"{hour.gone:,} gone since"] if hour.gone else []),
        *([f"{hour.waiting:,} not taken in yet"] if hour.waiting else []),
        *([hour.problem[:MOST_CHARACTERS]] if hour.problem else []),
    ]
    return dg.TableRecord(
        {
            "hour": f"{hour.hour.hh}:00",
            "sources": len(hour.arrivals),
            "late": hour.late,
            "missing_minutes": ranges(report.missing_minutes(hour)),
            "quarantined": len(hour.quarantined),
            "rows": hour.rows,
            "source_bytes": hour.source_bytes,
            "hour_file_bytes": hour.file_bytes,
            "note": "; ".join(notes),
        }
    )


def _quarantined(report: DayReport) -> dg.TableMetadataValue:
    records = [
        dg.TableRecord(
            {
                "reason": bad.reason,
                "source": bad.key.rpartition("/")[2][:MOST_CHARACTERS],
                "detail": bad.detail[:MOST_CHARACTERS],
            }
        )
        for bad in report.quarantined[:MOST_QUARANTINED]
    ]
    columns = [dg.TableColumn(name, "string") for name in ("reason", "source", "detail")]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))
