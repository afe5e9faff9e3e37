"""What is remembered from one look to the next: what was said, and since when the daemon that is there now is there.

A daemon that was just started needs a while until its first ticks: what is late because it was dead is not told as
something else that is wrong. That while is given once for each tick that came, so a daemon that dies again and again
before it ticks does not hide that nothing ticks.

What can't be read is no memory: the price is one repeated message.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from s3_assets.alerts.state import AlertState
from s3_assets.watchdog.picture import SENSOR_DAEMON

if TYPE_CHECKING:
    from s3_assets.watchdog.picture import Picture

VERSION: Final = 1
_MOST_SECONDS = 10**11


@dataclass(frozen=True, slots=True)
class Memory:
    """All that is remembered.

    Attributes:
        said: The alerts that are open, and those that were lately.
        process: The daemon's id when it was last seen; empty where it was dead, None where nobody looked before.
        since: When a daemon was first seen after another one, or after none, in seconds since the epoch; 0 where it
            was always there.
    """

    said: AlertState = field(default_factory=AlertState)
    process: str | None = None
    since: int = 0

    @property
    def daemon_since(self) -> datetime:
        """`since` as a moment (aware)."""
        return datetime.fromtimestamp(self.since, UTC)

    def seen(self, picture: Picture, now: datetime, *, tolerance_s: float) -> Memory:
        """After a look.

        Args:
            picture: What was seen.
            now: Aware.
            tolerance_s: So old a heartbeat may be, in seconds.
        """
        daemon = picture.daemon(SENSOR_DAEMON)
        if daemon is None or daemon.beat is None or abs((now - daemon.beat).total_seconds()) > tolerance_s:
            return replace(self, process="")
        if self.process is None or self.process == daemon.process:
            return replace(self, process=daemon.process)
        ticked = picture.last_tick
        waited = self.since > 0 and (ticked is None or ticked < self.daemon_since)
        return replace(self, process=daemon.process, since=self.since if waited else int(now.timestamp()))

    def dump(self) -> str:
        """As text."""
        fields = {"v": VERSION, "said": self.said.dump(), "process": self.process, "since": self.since}
        return json.dumps(fields, ensure_ascii=False) + "\n"

    @classmethod
    def load(cls, text: str) -> Memory:
        """Undo `dump`. What is none of its texts, of this version, is an empty memory."""
        try:
            fields = json.loads(text)
            version, said, process, since = (fields[name] for name in ("v", "said", "process", "since"))
        except (ValueError, TypeError, KeyError, RecursionError):
            return cls()
        right = (
            version == VERSION
            and isinstance(said, str)
            and (process is None or isinstance(process, str))
            and type(since) is int
            and 0 <= since <= _MOST_SECONDS
        )
        return cls(AlertState.load(said), process, since) if right else cls()
