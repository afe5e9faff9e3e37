"""The values of all sensors of this process, as Prometheus reads them."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from s3_assets.metrics.table import METRICS, OF_A_PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric as Family

    from s3_assets.metrics.table import Key


class Exposition:
    """What each sensor measured last; a collector, as `prometheus_client` calls it. Any thread may use it."""

    def __init__(self) -> None:
        """Without anything."""
        self._lock = threading.Lock()
        self._values: dict[tuple[str, tuple[str, str]], Mapping[Key, float]] = {}

    def put(self, sensor: str, of: tuple[str, str], values: Mapping[Key, float]) -> None:
        """Take what `sensor` measured in place of what it measured before.

        Args:
            sensor: Its name.
            of: The values of `OF_A_PIPELINE`.
            values: By metric and its own labels.
        """
        with self._lock:
            self._values[sensor, of] = dict(values)

    def registry(self) -> CollectorRegistry:
        """A registry with these metrics and no others: nothing of this process's memory or threads."""
        from prometheus_client import CollectorRegistry

        made = CollectorRegistry(auto_describe=False)
        made.register(self)
        return made

    def text(self) -> bytes:
        """All of it in Prometheus's text format, version 0.0.4."""
        from prometheus_client import generate_latest

        return generate_latest(self.registry())

    def collect(self) -> Iterator[Family]:
        """The metrics that have a value, in the order of the table."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        with self._lock:
            every = sorted(self._values.items())
        for metric in METRICS:
            kind = GaugeMetricFamily if metric.kind == "gauge" else CounterMetricFamily
            family = kind(metric.name, metric.meaning, labels=[*OF_A_PIPELINE, *metric.labels])
            for (_, of), values in every:
                for (name, labels), value in sorted(values.items()):
                    if name == metric.name:
                        family.add_metric([*of, *labels], value)
            if family.samples:
                yield family
