"""docs/library.md: the command line is pointed at one of several pipelines as it says there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster_aws.s3 import S3Resource

from s3_assets.builder.build import plan_hour, see
from s3_assets.dagster.hourly_pipeline import HourlyPipeline
from s3_assets.hour_file.keys import Hour
from s3_assets.hour_file.plan import Verdict

if TYPE_CHECKING:
    import pytest

    from s3_assets_tests.deployment import Deployment

DOCUMENT = Path(__file__).parents[2] / "docs" / "library.md"
SEVEN = Hour("placed", "2024-06-01-07:00")
BOUND_S = 120


def section(heading: str, kind: str) -> str:
    """The first block of a kind below a heading."""
    found = re.search(rf"^## {heading}\n.*?^```{kind}\n(.*?)^```", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1]


def test_the_command_line_is_pointed_at_a_pipeline_as_the_document_says(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the environment of another pipeline, which has an hour of the same name: that is left alone."""
    bucket = deployment.store.bucket
    for folder in ("source", "orders"):
        deployment.store.put(f"{folder}/placed/2024-06-01/07_00_a.csv", f"id\n{folder}\n".encode())
    monkeypatch.setenv("ORDERS_TARGET", f"s3://{bucket}/hourly/")
    monkeypatch.setenv("S3_ASSETS_SOURCE_PATTERN", "{event}/{date}/{HH}-{MM}-{name}.csv")
    monkeypatch.setenv("S3_ASSETS_LARGE_COMMIT", "spool")
    block = section("The command line, for one of several", "sh").replace("my-raw-bucket", bucket)
    command = f"{sys.executable} -m s3_assets.cli.main sync --json"
    assert block.rstrip().endswith("s3-assets plan")
    done = subprocess.run(
        ["bash", "-e"],
        input=f"{block.rstrip().removesuffix('s3-assets plan')}{command}\nenv",
        env=os.environ,
        capture_output=True,
        check=True,
        text=True,
        timeout=BOUND_S,
    )
    told, _, variables = done.stdout.partition("\n}\n")
    assert [hour["event"] for hour in json.loads(told + "}")["hours"]] == ["placed"]
    assert [info.key for info in deployment.store.list("target/")] == []
    assert deployment.store.head("hourly/placed/2024-06-01/07.csv.gz") is not None
    names = set(re.findall(r"^(S3_ASSETS_\w+|DAGSTER_HOME)=", variables, re.MULTILINE))
    written = section("In Python", "python")
    settings = {"source": f"s3://{bucket}/orders/", "target": dg.EnvVar("ORDERS_TARGET"), "start_date": "2024-06-01"}
    assert names == {f"S3_ASSETS_{name.upper()}" for name in settings}
    assert set(re.findall(r'^        "(\w+)": ', written, re.MULTILINE)) == settings.keys()
    for line in re.findall(r"^export (\S+)=\S+$", block, re.MULTILINE):
        assert line.removeprefix("S3_ASSETS_").lower() in settings

    definitions = HourlyPipeline("orders", settings).definitions()
    with dg.build_resources(definitions.resources or {}) as found:
        pipeline = found.original_resource_dict["orders_pipeline"]
        with pipeline.open(S3Resource()) as site:
            assert plan_hour(site, SEVEN, see(site, SEVEN)).verdict is Verdict.NOTHING
