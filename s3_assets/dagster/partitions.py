"""Partitions: event (dynamic) x hour."""

from datetime import date

import dagster as dg

EVENT_PARTITIONS_NAME = "event"

EVENTS = dg.DynamicPartitionsDefinition(name=EVENT_PARTITIONS_NAME)
"""One key per event, escaped by `hour_file.keys.escape_event`. The sensor adds them."""


def event_hours(start: date) -> dg.MultiPartitionsDefinition:
    """Every event in every hour from `start` to the current hour, which is included.

    Labels are UTC, whatever the local clock does: no hour is doubled or missing when clocks change.
    """
    hours = dg.HourlyPartitionsDefinition(start_date=f"{start:%Y-%m-%d}-00:00", timezone="UTC", end_offset=1)
    return dg.MultiPartitionsDefinition({"event": EVENTS, "hour": hours})
