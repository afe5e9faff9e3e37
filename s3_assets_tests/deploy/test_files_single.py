"""deploy/single, alive: the commands of the units, all at once over an empty Postgres, make and mend an hour."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sysconfig
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.stack import DagsterStack
from s3_assets.hour_file.keys import Hour
from s3_assets_tests.deploy.debian_servers import Postgres, postgres_programs
from s3_assets_tests.soak.living import SENSOR, Living, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.deploy,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.xdist_group("deploy_files"),
]

SINGLE = Path(__file__).parents[2] / "deploy" / "single"
PARTS = {"code-server": "code", "webserver": "webserver", "daemon": "daemon"}
BOUND_S = 300


class SingleStack(DagsterStack):
    """Dagster's processes as the units start them, at other ports and in another folder."""

    def start(self) -> None:
        """All at once, as systemd does."""
        code_port, self._port = free_port_pairs(2)
        there = {"/srv/dagster": str(self.home), "4000": str(code_port), "3000": str(self._port)}
        self.home.mkdir(parents=True)
        for name in ("dagster.yaml", "workspace.yaml"):
            (self.home / name).write_text((SINGLE / name).read_text().replace("4000", str(code_port)))
        for part, unit in PARTS.items():
            text = (SINGLE / f"s3-assets-{unit}.service").read_text()
            [line] = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
            for old, new in there.items():
                line = line.replace(old, new)
            program, *arguments = shlex.split(line)
            self._commands[part] = [Path(program).name, *arguments]
        for part in self._commands:
            self.restart(part)


class Single(Living):
    """A live deployment over a Postgres of its own."""

    def start_dagster(self) -> None:
        """With the sensor on."""
        self.others = ExitStack()
        postgres = self.others.enter_context(Postgres())
        self.environment = {**self.bucket.environment(), **self._settings, "DAGSTER_PG_URL": postgres.url}
        self.stack = SingleStack(self.folder / "dagster", self.environment)
        self.stack.start()
        self.stack.wait_ready(SENSOR)
        self.stack.start_sensor(SENSOR)

    def __exit__(self, kind, error, trace) -> None:
        try:
            super().__exit__(kind, error, trace)
        finally:
            if hasattr(self, "others"):
                self.others.close()


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> Iterator[Single]:
    """Up, with one hour that has two sources."""
    if postgres_programs() is None:
        pytest.skip("Postgres is not installed: apt-get install postgresql")
    now = datetime.now(UTC)
    with Single(tmp_path_factory.mktemp("single") / "all", f"{now:%Y-%m-%d}") as living:
        hour = Hour("payments", f"{now:%Y-%m-%d}-00:00")
        living.send(hour, "00_a", b"1,a\n")
        living.send(hour, "10_b", b"2,b\n")
        living.hour = hour
        yield living


def test_an_hour_is_made_and_mended(single):
    """By the sensor, also after the code server was killed."""
    wait_until(lambda: not single.wrong(), BOUND_S, "the hour made of its two sources")
    single.kill("code-server")
    single.send(single.hour, "05_late", b"3,c\n")
    wait_until(lambda: not single.wrong(), BOUND_S, "the late source in its hour")
    wait_until(single.idle, BOUND_S, "no run queued or running")
    assert single.needless_writes() == []


def test_the_checkup_finds_it_fit(single):
    """As docs/deploy.md says: storage, daemons, pool, monitoring, sensors; only versioning and Slack may be missing."""
    program = str(Path(sysconfig.get_path("scripts")) / "s3-assets")
    assert shutil.which(program)

    def is_fit() -> bool:
        environment = {**os.environ, **single.environment, "DAGSTER_HOME": str(single.stack.home)}
        done = subprocess.run(
            [program, "doctor", "--without", "writes"], env=environment, capture_output=True, text=True, check=False
        )
        said.append(done.stdout + done.stderr)
        return done.returncode == 0

    said: list[str] = []
    try:
        wait_until(is_fit, BOUND_S, "a checkup without a fault")
    except AssertionError:
        raise AssertionError(said[-1]) from None
    assert not [line for line in said[-1].splitlines() if line.startswith("warn") and "dagster" in line]
