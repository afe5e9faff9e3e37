"""No file below deploy/ goes untried: each is named here, with the test that tries it."""

from __future__ import annotations

import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

ROOT = Path(__file__).parents[2]
TRIED_BY = {
    ".gitignore": "deploy/test_files.py",
    "Dockerfile": "deploy/test_files_image.py",
    "celery/*": "deploy/test_celery.py",
    "compose/*": "deploy/test_files_compose.py",
    "*/dagster.yaml": "deploy/test_files_instances.py",
    "*/workspace.yaml": "deploy/test_files_instances.py",
    "dagster.yaml": "doctor/test_dagster.py",
    "ecs/*.json": "deploy/test_files_ecs.py",
    "grafana-dashboard.json": "metrics/test_table.py",
    "helm/*": "deploy/test_files_helm.py",
    "iam-policy.json": "doctor/test_policy.py",
    "s3-assets-watchdog.*": "watchdog/test_command.py",
    "single/*.example": "deploy/test_files_units.py",
    "single/*.service": "deploy/test_files_units.py",
    "terraform/*": "deploy/test_files_terraform.py",
}


def files() -> list[str]:
    """What is tracked below deploy/, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "deploy"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name.removeprefix("deploy/") for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_each_file_is_tried():
    """One that is new has to be named above; one that went, taken out."""
    found = files()
    assert [name for name in found if not any(fnmatch(name, pattern) for pattern in TRIED_BY)] == []
    assert [pattern for pattern in TRIED_BY if not any(fnmatch(name, pattern) for name in found)] == []
    assert [test for test in TRIED_BY.values() if not (ROOT / "s3_assets_tests" / test).is_file()] == []


@pytest.mark.parametrize(
    "name", ["compose/.env", "single/s3_assets.env", "terraform/my.tfvars", "terraform/terraform.tfstate"]
)
def test_what_may_hold_secrets_is_not_tracked(name):
    """Filled-in copies of the examples."""
    done = subprocess.run(["git", "check-ignore", "--quiet", f"deploy/{name}"], cwd=ROOT, check=False)
    assert done.returncode == 0
