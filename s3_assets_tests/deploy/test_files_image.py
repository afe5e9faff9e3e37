"""deploy/Dockerfile: a linter takes it, all that it copies is there, and what its containers start does start."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.supervise import ProcessGroup
from s3_assets_tests.deployment import deploy

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"
PROGRAMS = Path(sysconfig.get_path("scripts"))
START_S = 120


def text() -> str:
    """Its lines, put together."""
    return DOCKERFILE.read_text(encoding="utf-8").replace("\\\n", " ")


def command(word: str) -> list[str]:
    """The last CMD, or the one of HEALTHCHECK."""
    return json.loads(re.findall(rf"^{word}\b.*?(\[.*\])$", text(), re.MULTILINE)[-1])


def test_the_linter_takes_it():
    """hadolint, which also looks into the shell's lines."""
    program = shutil.which("hadolint") or shutil.which("hadolint", path=str(PROGRAMS))
    if program is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([program, str(DOCKERFILE)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def copied() -> list[str]:
    """What it takes from the project's folder."""
    found = re.findall(r"^COPY (?!--from)(.*) \S+$", text(), re.MULTILINE)
    return [name for line in found for name in line.split()]


def test_what_it_copies_is_there_and_nothing_else_is_sent():
    """.dockerignore lets through these, and no more: no history, no environment, no secrets."""
    assert [name for name in copied() if not (ROOT / name).exists()] == []
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert sorted(line[1:] for line in rules if line.startswith("!")) == sorted(copied())


def test_it_runs_as_nobody_in_particular():
    """Neither root nor a name that a cluster could not check."""
    assert re.findall(r"^USER (.*)$", text(), re.MULTILINE) == ["10001:10001"]


def test_its_command_serves_and_its_health_check_tells(running, tmp_path):
    """The code server of the image, on another port: healthy while it is there, and not before or after."""
    [port] = free_port_pairs(1)

    def here(words: list[str]) -> list[str]:
        there = {"4000": str(port), "0.0.0.0": "127.0.0.1", "dagster": str(PROGRAMS / "dagster")}  # noqa: S104
        return [there.get(word, word) for word in words]

    environment = {**os.environ, **deploy(running("seaweedfs")).environment, "DAGSTER_HOME": str(tmp_path)}
    (tmp_path / "dagster.yaml").write_text("telemetry: { enabled: false }\n")

    def is_healthy() -> bool:
        asked = subprocess.run(here(command("HEALTHCHECK")), env=environment, capture_output=True, check=False)
        return asked.returncode == 0

    assert not is_healthy()
    server = ProcessGroup("code", here(command("CMD")), log_path=tmp_path / "log", cwd=tmp_path, env=environment)
    try:
        server.wait_until(is_healthy, timeout_s=START_S)
    finally:
        server.stop()
    assert not is_healthy()
