"""What things are called in Dagster, for each group of events: one asset, job, sensor and grid of partitions a group.

Without groups in the TOML file there is one, which takes all events. Groups keep the grids of many events small enough
for the UI; they share settings, buckets and pool.
"""

from dataclasses import dataclass

import dagster as dg

POOL = "hour_files"
"""The pool of all ops that write hour files: with a limit of 1, as in deploy/dagster.yaml, no two work at once."""


@dataclass(frozen=True)
class Names:
    """The names of one group.

    Attributes:
        group: Its name in the TOML file; empty for the events that are in none.
    """

    group: str = ""

    @property
    def asset(self) -> dg.AssetKey:
        """Of the asset of its hour files."""
        return dg.AssetKey(self.op)

    @property
    def op(self) -> str:
        """Of the op that makes them."""
        return f"hourly_gzip{self._suffix}"

    @property
    def job(self) -> str:
        """Of the job that sensor and people launch."""
        return f"{self.op}_job"

    @property
    def verify_job(self) -> str:
        """Of the job that audits them."""
        return f"verify{self._suffix}_job"

    @property
    def sensor(self) -> str:
        """Of the sensor that asks for them."""
        return f"source_sensor{self._suffix}"

    @property
    def events(self) -> str:
        """Of the dynamic partitions: one key per event."""
        return f"event{self._suffix}"

    @property
    def _suffix(self) -> str:
        return f"_{self.group}" if self.group else ""
