"""The watchdog against a live deployment whose daemon, then code server, is killed: what it says, and when."""

from __future__ import annotations

import os
import subprocess
import sysconfig
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s3_assets_tests.alerts.slack_stand_in import TOKEN, SlackStandIn
from s3_assets_tests.soak.living import Living, children, kill

TOLERANCE_S = 75
"""More than twice the time between two heartbeats, for a machine that has other things to do."""

PERIOD_S = 10
"""Between two looks, as cron or a timer would have it; a minute there."""

BOUND_S = 400
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy")


class Cron:
    """Runs the watchdog as cron does: a new process each time, with nothing but the environment."""

    def __init__(self, home: Path, state: Path, slack: SlackStandIn) -> None:
        self._environment = {name: value for name, value in os.environ.items() if name not in PROXIES} | {
            "DAGSTER_HOME": str(home),
            "S3_ASSETS_SLACK_TOKEN": TOKEN,
            "S3_ASSETS_SLACK_CHANNEL": "#data",
            "S3_ASSETS_SLACK_URL": slack.url,
        }
        program = Path(sysconfig.get_path("scripts")) / "s3-assets"
        self._command = [str(program), "watchdog", "--tolerance", str(TOLERANCE_S), "--state", str(state)]
        self._command += ["--patience", "40"]
        self.longest_s = 0.0

    def look(self) -> tuple[int, str]:
        """Exit code and output."""
        began = time.monotonic()
        done = subprocess.run(self._command, env=self._environment, capture_output=True, text=True, check=False)
        self.longest_s = max(self.longest_s, time.monotonic() - began)
        assert done.returncode in {0, 1}, done.stderr
        return done.returncode, done.stdout + done.stderr

    def until(self, code: int, words: str) -> tuple[float, str]:
        """Look until it ends with `code` and says `words`; how long that took in seconds, and all it said then."""
        began = time.monotonic()
        while True:
            found = self.look()
            passed = time.monotonic() - began
            if found[0] == code and words in found[1]:
                return passed, found[1]
            assert passed < BOUND_S, f"not within {BOUND_S} s: {code}, {words!r}; last: {found}"
            time.sleep(PERIOD_S)


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.timeout(2400)
@pytest.mark.xdist_group("live")
def test_it_says_that_a_part_is_dead_and_that_it_is_back(tmp_path: Path) -> None:
    """Once each: the daemon by its heartbeats, the code server by the silence of its sensors. Nothing else is said."""
    with SlackStandIn() as slack, Living(tmp_path, f"{datetime.now(UTC):%Y-%m-%d}") as living:
        # While it all began, something may have been late, and what was told is not told again so soon.
        Cron(living.stack.home, tmp_path / "beginning.json", slack).until(0, "last tick")
        cron = Cron(living.stack.home, tmp_path / "watchdog.json", slack)
        cron.until(0, "last tick")
        before = len(slack.titles)
        took: list[str] = []

        def die(part: str, words: str) -> None:
            for pid in children(living.stack.pid(part)):
                kill(pid)
            seconds, said = cron.until(1, words)
            took.extend([f"the {part} is dead: said after {seconds:.0f} s", said])
            cron.until(1, words)
            living.stack.restart(part)
            seconds, said = cron.until(0, "ok")
            took.extend([f"the {part} is back: said after {seconds:.0f} s", said])

        die("daemon", "have had no heartbeat")
        die("code-server", "no tick for")
        print("\n".join([*took, *slack.titles, f"the longest look took {cron.longest_s:.1f} s"]))  # noqa: T201
        dead, alive, silent, ticking = slack.titles[before:]
        assert "without a heartbeat" in dead
        assert "beating again" in alive
        assert "not ticking" in silent
        assert "ticking again" in ticking
        assert cron.look()[0] == 0
        assert len(slack.titles) == before + 4
