"""Which jobs, sensors and schedules an `alerts_sensor` tells of, where a code location may have several.

Nothing is told twice, and nothing is left out where one sensor of the code location takes what is no other's: each
carries in its metadata what it tells of, and the one for the location leaves that to it. The hours of a pipeline are
always its own sensor's.
"""

from collections.abc import Iterator
from typing import Literal

import dagster as dg

AlertScope = Literal["pipeline", "location", "none"]
"""What a pipeline's sensor tells of: its own jobs and sensors, or all in the code location that no other tells of."""

TELLS_OF = "s3_assets/tells_of"
"""Metadata of an alerts sensor: the names of the jobs, sensors and schedules of its pipeline."""


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
    told = {sensor.name: set(_own(sensor)) for sensor in repository.sensor_defs}
    own = told.pop(alerts_sensor, set())
    if scope == "pipeline":
        return jobs & own, automations & own
    others = set().union(*told.values())
    return jobs - others, automations - others


def _own(sensor: dg.SensorDefinition) -> Iterator[str]:
    value = sensor.metadata[TELLS_OF].value if TELLS_OF in sensor.metadata else None
    yield from map(str, value if isinstance(value, list) else ())
