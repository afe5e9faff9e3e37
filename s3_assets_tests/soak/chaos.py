"""Killing a live deployment while files arrive, and what must hold when it is let alone again."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from s3_assets.hour_file.keys import Hour
from s3_assets_tests.soak.living import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from s3_assets_tests.soak.living import Living

FAULTS = ("daemon", "daemon", "code-server", "code-server", "a run", "a run", "webserver")
SETTLE_S = 900


def maltreat(
    living: Living, *, arrivals: int, seconds: float, chance: Random, say: Callable[[str], None]
) -> dict[str, Any]:
    """Send `arrivals` files within `seconds`, kill something now and then, wipe the cursor once and all state once.

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
    faults = sorted(chance.uniform(0, seconds) for _ in range(max(3, int(seconds // 45))))
    wipes = {"the cursor": seconds * 0.4, "the instance": seconds * 0.65}
    done: Counter[str] = Counter()
    number = 0
    while at or faults or wipes:
        passed = time.monotonic() - began
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
            _hurt(living, chance.choice(FAULTS), done, say)
        time.sleep(0.2)
    say("quiet from here on")
    quiet = time.monotonic()
    wait_until(lambda: not living.wrong(), SETTLE_S, f"all hours right; wrong: {living.wrong()[:5]}", poll_s=5)
    settled = time.monotonic() - quiet
    before = living.etags()
    ticks = len({tick["timestamp"] for tick in living.ticks()})
    wait_until(lambda: _idle(living), SETTLE_S, "no run queued or running", poll_s=2)
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


def _hurt(living: Living, what: str, done: Counter[str], say: Callable[[str], None]) -> None:
    if what == "a run":
        if living.kill_a_run():
            say("killed a run")
            done["killed a run"] += 1
        return
    say(f"killing the {what}")
    living.kill(what)
    done[f"killed the {what}"] += 1


def _idle(living: Living) -> bool:
    try:
        states = {run["status"] for run in living.runs()}
    except (OSError, KeyError, TypeError):
        return False  # the webserver was killed a moment ago
    return not states & {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}
