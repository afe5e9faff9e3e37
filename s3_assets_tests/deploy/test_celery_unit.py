"""The unit of deploy/celery: systemd takes it; `test_celery` starts its workers by its command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from typing import TYPE_CHECKING

import pytest

from s3_assets_tests.soak.living import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

UNIT = ROOT / "deploy" / "celery" / "s3-assets-worker@.service"
MOST_EXPOSED = 2.0
"""Of systemd's 10: 'OK'."""


@pytest.fixture(autouse=True)
def _systemd() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")


@pytest.fixture
def first(tmp_path: Path) -> Path:
    """Of worker 1, with the programs where they are here."""
    text = UNIT.read_text(encoding="utf-8").replace("/srv/s3_assets/.venv/bin", sysconfig.get_path("scripts"))
    made = tmp_path / UNIT.name.replace("@.", "@1.")
    made.write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    return made


def test_systemd_takes_it(first: Path):
    """Names of options, values, what it comes after, and the program."""
    done = subprocess.run(["systemd-analyze", "verify", str(first)], capture_output=True, text=True, check=False)
    assert [line for line in done.stderr.splitlines() if first.name in line] == []
    assert done.returncode == 0, done.stderr


def test_little_of_the_machine_is_open_to_it(first: Path):
    """By systemd's own measure."""
    threshold = f"--threshold={MOST_EXPOSED * 10:.0f}"
    command = ["systemd-analyze", "security", "--offline=true", threshold, str(first)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
