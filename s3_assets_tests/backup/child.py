"""A run in a process of its own, which ends itself with SIGKILL before or after one of its requests.

Arguments: the day, the number of the request, from 1, and `before` or `after`. What is backed up, where to and with
which credentials is in the environment.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from datetime import date
from typing import Any

from s3_assets.backup.run import back_up
from s3_assets.backup.site import open_backup
from s3_assets.settings import load_backup_settings
from s3_assets_tests.backup.conftest import QUICK


class Death:
    """Counts requests, and dies of one."""

    def __init__(self, number: int, when: str) -> None:
        self._number, self._when = number, when
        self._lock = threading.Lock()
        self._here = threading.local()
        self._made = 0

    def sending(self, **_: Any) -> None:
        """A request is about to be sent."""
        with self._lock:
            self._made += 1
            self._here.number = self._made
        self._die("before")

    def answered(self, **_: Any) -> None:
        """Its answer came."""
        self._die("after")

    def _die(self, when: str) -> None:
        if (self._here.number, when) == (self._number, self._when):
            os.kill(os.getpid(), signal.SIGKILL)


def main(day: str, number: str, when: str) -> None:
    """Back up a day, up to that request."""
    site = open_backup(load_backup_settings(os.environ), patience=QUICK)
    death = Death(int(number), when)
    events = site.bucket._clients.boto.meta.events
    events.register("before-send.s3", death.sending)
    events.register("response-received.s3", death.answered)
    sys.exit(0 if back_up(site, date.fromisoformat(day)).right else 1)


if __name__ == "__main__":
    main(*sys.argv[1:])
