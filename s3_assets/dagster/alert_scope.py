"""Which jobs, sensors and schedules an `alerts_sensor` tells of, where a code location may have several.

Nothing is told twice, and nothing is left out where one sensor of the code location takes what is no other's: each
carries in its metadata what it tells of, and the one for the location leaves that to it. The hours of a pipeline are
always its own sensor's.
"""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from typing import Any, Literal

import dagster as dg

from s3_assets.dagster.names import Names

AlertScope = Literal["pipeline", "location", "none"]
"""What a pipeline's sensor tells of: its own jobs and sensors, or all in the code location that no other tells of."""

TELLS_OF = "s3_assets/tells_of"
"""Metadata of an alerts sensor: the names of the jobs, sensors and schedules of its pipeline."""

HOURS_OF = "s3_assets/hours_of"
"""Metadata of an alerts sensor: the groups of events of its pipeline, whose hours it tells of."""


def what_it_tells(own: Collection[str], every: Collection[Names]) -> dict[str, Any]:
    """The metadata of the sensor of a pipeline with these jobs, sensors and schedules, and these groups."""
    return {TELLS_OF: sorted(own), HOURS_OF: [asdict(names) for names in every]}


def hours_told(repository: dg.RepositoryDefinition | None) -> list[Names]:
    """The groups whose hours some alerts sensor tells of; a lost run of theirs is told there, hour by hour.

    The job of a run from the UI is that of the whole code location, so its name does not tell whose it is.
    """
    sensors = [] if repository is None else repository.sensor_defs
    return [
        Names(**{**group, "key_prefix": None if group["key_prefix"] is None else tuple(group["key_prefix"])})
        for sensor in sensors
        for group in _listed(sensor, HOURS_OF)
    ]


def told_of(
    repository: dg.RepositoryDefinition | None, alerts_sensor: str, scope: AlertScope
) -> tuple[set[str], set[str]]:
    """The jobs, and the sensors and schedules, that a sensor tells of; of itself it can't.

    Args:
        repository: All definitions of the code location; None where nobody said, as in a test.
        alerts_sensor: Its name.
        scope: What it was made for.
    """
    if repository is None:
        return set(), set()
    jobs = set(repository.job_names)
    automations = {one.name for one in repository.sensor_defs} | {one.name for one in repository.schedule_defs}
    automations.discard(alerts_sensor)
    told = {sensor.name: set(map(str, _listed(sensor, TELLS_OF))) for sensor in repository.sensor_defs}
    own = told.pop(alerts_sensor, set())
    if scope == "pipeline":
        return jobs & own, automations & own
    others = set().union(*told.values())
    return jobs - others, automations - others


def _listed(sensor: dg.SensorDefinition, name: str) -> Iterator[Any]:
    value = sensor.metadata[name].value if name in sensor.metadata else None
    yield from value if isinstance(value, list) else ()
