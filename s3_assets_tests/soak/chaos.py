"""Killing a live deployment while files arrive, and what must hold when it is let alone again."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import TYPE_CHECKING, Any

from s3_assets.hour_file.keys import Hour
from s3_assets_tests.soak.living import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from s3_assets_tests.soak.living import Living

FAULTS = ("a run", "daemon", "code-server", "webserver")
SETTLE_S = 900
MORE_S = 20
"""Until one more file is sent, where a run is yet to be killed and there may be none any more."""


def maltreat(
    living: Living, *, arrivals: int, seconds: float, chance: Random, say: Callable[[str], None]
) -> dict[str, Any]:
    """Send `arrivals` files within `seconds`, kill something now and then, wipe the cursor once and all state once.

    Each kind of kill comes at least once; one of a run waits for a run.

    Returns:
        What was done, and what was found once it was quiet: `wrong` hours and `needless` writes, which must be 0.
    """
    began = time.monotonic()
    now = datetime.now(UTC)
    hours = [
        Hour(f"event_{number % 6}", (now - timedelta(hours=chance.randrange(1, 24 * 40))).strftime("%Y-%m-%d-%H:00"))
        for number in range(max(10, arrivals // 4))
    ]
    at = sorted(chance.uniform(0, seconds) for _ in range(arrivals))
    faults = sorted(chance.uniform(0, seconds) for _ in range(max(len(FAULTS), int(seconds // 45))))
    kinds = cycle(FAULTS)
    due: list[str] = []
    wipes = {"the cursor": seconds * 0.4, "the instance": seconds * 0.65}
    done: Counter[str] = Counter()
    number = 0
    while at or faults or wipes or due:
        passed = time.monotonic() - began
        if due and not at:
            at.append(passed + MORE_S)
        while at and at[0] <= passed:
            at.pop(0)
            hour = chance.choice(hours)
            living.send(hour, f"{number % 60:02d}_file_{number}", b"%d,x\n%d,y\n" % (number, number))
            number += 1
        for what in [what for what, when in wipes.items() if when <= passed]:
            del wipes[what]
            say(f"wiping {what}")
            living.wipe_cursor() if what == "the cursor" else living.wipe_dagster()
            done[f"wiped {what}"] += 1
        if faults and faults[0] <= passed:
            faults.pop(0)
            due.append(next(kinds))
        due = [what for what in due if not _hurt(living, what, done, say)]
        time.sleep(0.2)
    say("quiet from here on")
    quiet = time.monotonic()
    wait_until(lambda: not living.wrong(), SETTLE_S, f"all hours right; wrong: {living.wrong()[:5]}", poll_s=5)
    settled = time.monotonic() - quiet
    before = living.etags()
    ticks = len({tick["timestamp"] for tick in living.ticks()})
    wait_until(living.idle, SETTLE_S, "no run queued or running", poll_s=2)
    return {
        "arrivals": number,
        "hours": len(living.sent),
        "seconds": round(time.monotonic() - began),
        "done": dict(done),
        "settled_s": round(settled, 1),
        "ticks_seen": ticks,
        "wrong": len(living.wrong()),
        "changed_after_settling": sum(before.get(key) != etag for key, etag in living.etags().items()),
        "needless": len(living.needless_writes()),
        "runs": dict(Counter(run["status"] for run in living.runs())),
    }


def _hurt(living: Living, what: str, done: Counter[str], say: Callable[[str], None]) -> bool:
    """Whether there was something to kill."""
    if what == "a run":
        if living.kill_a_run() is None:
            return False
        say("killed a run")
        done["killed a run"] += 1
        return True
    say(f"killing the {what}")
    living.kill(what)
    done[f"killed the {what}"] += 1
    return True
