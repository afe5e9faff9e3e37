"""The settings of metrics: which file they go to, and where they are served.

They are read alone: a tick that fails for what is wrong with any other setting has to be counted. What is measured is
in `s3_assets.metrics`; nothing of the hour files here, nothing of the backup, and nothing of alerts.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from s3_assets.errors import SettingsError
from s3_assets.settings.reading import read_value
from s3_assets.settings.table import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from s3_assets.settings.values import ListenAddress


@dataclass(frozen=True, slots=True)
class MetricsSettings:
    """The settings of metrics, checked. The fields are the `metrics_` rows of `SETTINGS`.

    Attributes:
        metrics_file: None writes no file.
        metrics_address: None serves nothing.
    """

    metrics_file: Path | None = None
    metrics_address: ListenAddress | None = None

    @property
    def are_on(self) -> bool:
        """Whether anybody wants metrics."""
        return self.metrics_file is not None or self.metrics_address is not None


def load_metrics_settings(environ: Mapping[str, str]) -> MetricsSettings:
    """Read the settings of metrics alone.

    Args:
        environ: The environment. An empty value counts as not set.

    Raises:
        SettingsError: With every problem there is in them, a line each.
    """
    problems: list[str] = []
    values = {spec.name: read_value(BY_NAME[spec.name], environ, problems) for spec in fields(MetricsSettings)}
    if problems:
        raise SettingsError(problems)
    return MetricsSettings(**values)
