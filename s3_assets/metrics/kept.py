"""What a sensor keeps of its metrics from one tick to the next: values, how far it read, and the hours behind.

Pure: where it is kept, and how it is read, is `s3_assets.dagster.metrics`. The invariant: what was counted and how far
was read are one value, so that after a crash at any moment nothing is counted twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from s3_assets.hour_file.keys import Hour

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from s3_assets.metrics.table import Key

MOST_BEHIND: Final = 50_000
"""Of more hours behind, those with the newest sources are not kept, and `s3_assets_hours_behind` is too low."""


@dataclass(slots=True)
class Kept:
    """What is kept.

    Attributes:
        position: Storage id of the last event that was read; None before the first look.
        values: The counters, and what else outlives a process.
        behind: Hours known to differ, with when the oldest source came that they lack, in seconds since 1970.
    """

    position: int | None = None
    values: dict[Key, float] = field(default_factory=dict)
    behind: dict[Hour, float] = field(default_factory=dict)

    @classmethod
    def load(cls, text: str | None) -> Kept:
        """Undo `dump`; nothing of what can't be read, which sets counters back to zero."""
        try:
            told: dict[str, Any] = json.loads(text or "{}")
            position = told.get("position")
            return cls(
                position=None if position is None else int(position),
                values={(str(name), tuple(map(str, labels))): float(value) for name, labels, value in told["values"]},
                behind={
                    Hour(event, label): float(since)
                    for event, some in told["behind"].items()
                    for label, since in some.items()
                },
            )
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def dump(self) -> str:
        """As text, the same for the same content."""
        behind: dict[str, dict[str, float]] = {}
        for hour, since in sorted(self.behind.items()):
            behind.setdefault(hour.event, {})[hour.label] = since
        values = [[name, labels, value] for (name, labels), value in sorted(self.values.items())]
        return json.dumps({"position": self.position, "values": values, "behind": behind}, separators=(",", ":"))

    def add(self, name: str, *labels: str, by: float = 1) -> None:
        """Let a counter grow; one that does not grow begins to be there."""
        self.values[name, labels] = self.values.get((name, labels), 0) + by

    def made(self, hour: Hour) -> None:
        """A run made `hour` right, as far as it saw."""
        self.behind.pop(hour, None)

    def looked(self, seen: Callable[[Hour], bool], differing: Mapping[Hour, datetime | None], now: datetime) -> None:
        """What a look says of the hours that it has `seen` takes the place of what was known of them.

        Args:
            seen: Whether the look has anything to say about an hour: of the others, what was known stays.
            differing: The hours that differ, with when the oldest source came that they lack; None for not known.
            now: When it looked: what is not known otherwise is dated by the first look that found it.
        """
        behind = {hour: since for hour, since in self.behind.items() if hour in differing or not seen(hour)}
        for hour, came in differing.items():
            since = (came or now).timestamp()
            behind[hour] = min(since, behind.get(hour, since))
        if len(behind) > MOST_BEHIND:
            behind = dict(sorted(behind.items(), key=lambda item: (item[1], item[0]))[:MOST_BEHIND])
        self.behind = behind
