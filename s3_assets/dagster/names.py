"""What things are called in Dagster: one asset, job, sensor and grid of partitions for each group of a pipeline.

Without groups in the TOML file there is one, which takes all events. Groups keep the grids of many events small enough
for the UI; they share settings, buckets and pool. A pipeline with a name has it in all of its names, so that several
stand side by side in one code location. The names of the pipeline without one never change: history hangs on them.
"""

from dataclasses import dataclass

import dagster as dg

POOL = "hour_files"
"""The pool of all ops that write hour files: with a limit of 1, as in deploy/dagster.yaml, no two work at once."""

ASSET_GROUP = "hour_files"
"""The group of assets in the UI, where nobody says another."""


@dataclass(frozen=True)
class Names:
    """The names of one group.

    Attributes:
        group: Its name in the TOML file; empty for the events that are in none.
        pipeline: The name of its pipeline; empty for the one of the environment.
        key_prefix: What the keys of its assets begin with; None for the name of the pipeline.
        asset_group: Where the UI shows its assets.
    """

    group: str = ""
    pipeline: str = ""
    key_prefix: tuple[str, ...] | None = None
    asset_group: str = ASSET_GROUP

    @property
    def asset(self) -> dg.AssetKey:
        """Of the asset of its hour files."""
        return self._key(f"hourly_gzip{self._suffix}")

    @property
    def source(self) -> dg.AssetKey:
        """Of the asset that stands for the source objects: one for all groups of the pipeline."""
        return self._key("source_csv")

    @property
    def op(self) -> str:
        """Of the op that makes them."""
        return self.of_pipeline(f"hourly_gzip{self._suffix}")

    @property
    def job(self) -> str:
        """Of the job that sensor and people launch."""
        return f"{self.op}_job"

    @property
    def verify_job(self) -> str:
        """Of the job that audits them."""
        return self.of_pipeline(f"verify{self._suffix}_job")

    @property
    def sensor(self) -> str:
        """Of the sensor that asks for them."""
        return self.of_pipeline(f"source_sensor{self._suffix}")

    @property
    def events(self) -> str:
        """Of the dynamic partitions: one key per event.

        With a slash, as no name of a pipeline or a group has one: else two pipelines might share theirs in silence.
        """
        return f"{self.pipeline}/event{self._suffix}" if self.pipeline else f"event{self._suffix}"

    @property
    def settings(self) -> str:
        """Of the resource that holds the settings: one for all groups of the pipeline."""
        return self.of_pipeline("pipeline")

    @property
    def s3(self) -> str:
        """Of the resource that holds credentials, region and endpoint: likewise."""
        return self.of_pipeline("s3")

    @property
    def resources(self) -> set[str]:
        """The keys of both."""
        return {self.settings, self.s3}

    def of_pipeline(self, name: str) -> str:
        """`name`, told apart from that of other pipelines."""
        return f"{self.pipeline}_{name}" if self.pipeline else name

    def _key(self, name: str) -> dg.AssetKey:
        own = [self.pipeline] if self.pipeline else []
        return dg.AssetKey([*(own if self.key_prefix is None else self.key_prefix), name])

    @property
    def _suffix(self) -> str:
        return f"_{self.group}" if self.group else ""
