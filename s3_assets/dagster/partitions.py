"""Partitions: event (dynamic) x hour."""

from datetime import date

import dagster as dg

from s3_assets.dagster.names import Names


def events(names: Names) -> dg.DynamicPartitionsDefinition:
    """One key per event, escaped by `hour_file.keys.escape_event`. The sensor adds them."""
    return dg.DynamicPartitionsDefinition(name=names.events)


def event_hours(start: date, names: Names) -> dg.MultiPartitionsDefinition:
    """Every event of a group in every hour from `start` to the current hour, which is included.

    Labels are UTC, whatever the local clock does: no hour is doubled or missing when clocks change.
    """
    hours = dg.HourlyPartitionsDefinition(start_date=f"{start:%Y-%m-%d}-00:00", timezone="UTC", end_offset=1)
    return dg.MultiPartitionsDefinition({"event": events(names), "hour": hours})
