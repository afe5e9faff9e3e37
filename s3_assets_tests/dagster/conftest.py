"""A Dagster instance of the test's own, and the code location over a real bucket."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from s3_assets.dagster.definitions import build_definitions
from s3_assets.dagster.names import Names
from s3_assets.dagster.sensors import source_sensor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets_tests.deployment import Deployment


@dataclass
class Location:
    """The code location and an instance, as a daemon would use them."""

    instance: dg.DagsterInstance
    definitions: dg.Definitions
    cursor: str | None = None
    names: Names = field(default_factory=Names)

    def tick(self) -> dg.SensorResult:
        """Evaluate the sensor, and add the partitions that it asks for."""
        resources = self.definitions.resources
        with dg.build_sensor_context(
            instance=self.instance, definitions=self.definitions, resources=resources, cursor=self.cursor
        ) as context:
            result = source_sensor({}, self.names)(context)
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        for request in result.dynamic_partitions_requests or ():
            self.instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
        return result

    def launch(self, request: dg.RunRequest) -> dg.ExecuteInProcessResult:
        """Do what the sensor asked for."""
        return self.run(dict(request.run_config), dict(request.tags))

    def run(
        self, run_config: dict[str, Any] | None = None, tags: dict[str, str] | None = None, partition: str | None = None
    ) -> dg.ExecuteInProcessResult:
        """Run the job; errors are left to the result."""
        job = self.definitions.resolve_job_def(self.names.job)
        return job.execute_in_process(
            instance=self.instance, run_config=run_config, tags=tags, partition_key=partition, raise_on_error=False
        )

    def tick_and_launch(self) -> dg.SensorResult:
        """Tick, then do all that it asked for."""
        result = self.tick()
        for request in result.run_requests or ():
            self.launch(request)
        return result


@pytest.fixture
def location(deployment: Deployment) -> Iterator[Location]:
    """The code location over the bucket of `deployment`."""
    with dg.DagsterInstance.ephemeral() as instance:
        yield Location(instance, build_definitions())


def asked_for(result: dg.SensorResult, names: Names = Names()) -> list[str]:  # noqa: B008  (frozen)
    """The partition keys that a tick asked for, in order."""
    return [
        key
        for request in result.run_requests or ()
        for key in request.run_config["ops"][names.op]["config"]["partition_keys"]
    ]


def materializations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    """What a run materialized, by partition."""
    found = [event.materialization for event in result.all_events if event.is_step_materialization]
    assert len({one.partition for one in found}) == len(found)
    return {str(one.partition): one for one in found}
