"""deploy/single: systemd takes the units, their commands are there, and the example's settings can be used."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from s3_assets.settings import load_alert_settings, load_settings

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

DEPLOY = Path(__file__).parents[2] / "deploy"
UNITS = sorted((DEPLOY / "single").glob("*.service"))
PROGRAMS = "/srv/s3_assets/.venv/bin"
MOST_EXPOSED = 2.0
"""Of systemd's 10: 'OK'. A service without any of this has 9.6."""


@pytest.fixture(autouse=True)
def _systemd() -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")


def test_systemd_takes_them(tmp_path):
    """With the programs where they are here: names of options, values, what they come after."""
    for path in UNITS:
        text = path.read_text(encoding="utf-8")
        assert PROGRAMS in text
        text = text.replace(PROGRAMS, sysconfig.get_path("scripts"))
        (tmp_path / path.name).write_text(re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE))
    paths = [str(tmp_path / path.name) for path in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", *paths], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if any(path.name in line for path in UNITS)]
    assert said == []
    assert done.returncode == 0, done.stderr


def test_a_wrong_unit_would_be_noticed(tmp_path):
    """An option that is none."""
    text = UNITS[0].read_text(encoding="utf-8").replace("ProtectSystem", "ProtectSystems")
    (tmp_path / UNITS[0].name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNITS[0].name)], capture_output=True, text=True, check=False
    )
    assert "ProtectSystems" in done.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_little_of_the_machine_is_open_to_them(path):
    """By systemd's own measure."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED * 10:.0f}", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-500:] + done.stderr


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_their_commands_are_there(path):
    """Program, command and options, by the program's own --help."""
    [line] = re.findall(r"^ExecStart=(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    words = shlex.split(line.replace(PROGRAMS, sysconfig.get_path("scripts")))
    begin = [word for word in words if not word.startswith("--")][: 3 if words[0].endswith("/dagster") else 1]
    begin += ["run"] if words[0].endswith("-daemon") else []
    helped = subprocess.run([*begin, "--help"], capture_output=True, text=True, check=False)
    assert helped.returncode == 0, helped.stderr
    assert [word for word in words if word.startswith("--") and word not in helped.stdout] == []


def test_the_example_is_enough():
    """With nothing else set."""
    lines = (DEPLOY / "single" / "s3_assets.env.example").read_text(encoding="utf-8").splitlines()
    given = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    settings = {name: value for name, value in given.items() if name.startswith("S3_ASSETS_")}
    assert str(load_settings(settings).target) == "s3://my-hourly-bucket/target/"
    assert load_alert_settings(settings).dagster_url
    assert given["DAGSTER_PG_URL"].startswith("postgresql+psycopg2://")
