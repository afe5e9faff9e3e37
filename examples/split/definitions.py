"""One bucket and one prefix in two code locations: each takes some groups of the events, and none of the other's.

`groups.toml` says which events are in a group, `LOCATIONS` which groups are in a code location. An event is in exactly
one group, and a group in exactly one location, or none of them loads.
"""

import tomllib
from pathlib import Path

import dagster as dg

from s3_assets.dagster.hourly_pipeline import HourlyPipeline

GROUPS = Path(__file__).with_name("groups.toml")
LOCATIONS = {"billing": ["payments"], "others": ["web", ""]}  # "" is the events that no group names


def check() -> None:
    """Nothing, while each group is in one location.

    Raises:
        ValueError: One is in none or in two: its events would be made by nobody, or asked for twice.
    """
    there = ["", *tomllib.loads(GROUPS.read_text())["groups"]]
    taken = [group for groups in LOCATIONS.values() for group in groups]
    if wrong := sorted({*there} ^ {*taken} | {group for group in taken if taken.count(group) > 1}):
        raise ValueError(f"LOCATIONS and {GROUPS.name} disagree: {wrong} must be in both, and in one location each")


def location(name: str) -> dg.Definitions:
    """The definitions of a code location."""
    settings = {
        "source": dg.EnvVar("SPLIT_SOURCE"),  # the same for both
        "target": dg.EnvVar("SPLIT_TARGET"),  # too: they share no event, so they share no hour file
        "start_date": "2024-06-01",
        "config": str(GROUPS),
    }
    return HourlyPipeline(name, settings, groups=LOCATIONS[name], alerts="location").definitions()


check()
billing, others = map(location, LOCATIONS)
