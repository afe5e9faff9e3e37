"""Runs the commands of docs/questions.md over the demo's data: `python -m s3_assets_tests.cli.questions` mends it.

The document is its own script. A block that begins with `$ s3-assets …` is a command and what it printed; a comment
`<!-- scene: … -->` is what happens in between, and is one of the functions here. A test runs all of it, and compares.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from s3_assets.cli.main import main
from s3_assets.dagster.definitions import build_definitions
from s3_assets.demo import sample
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets_tests.servers import start_server

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3_assets.demo.sample import Drop
    from s3_assets.store.s3 import S3Store
    from s3_assets_tests.servers import Server

DOCUMENT = Path(__file__).parents[2] / "docs" / "questions.md"
BUCKET = "demo"
NOW = datetime(2021, 9, 3, 10, 30, tzinfo=UTC)
"""When the demo's producers drop: long ago, so that hours have the same names whenever this is run."""

PAYMENTS = f"{sample.PAYMENTS}|2021-09-03-09:00"
BOUND_S = 60.0

_STEP = re.compile(r"<!-- scene: (?P<scene>.+?) -->|```console\n\$ (?P<command>.+?)\n(?P<output>.*?)```", re.DOTALL)
_VOLATILE = (
    (re.compile(r"\b20(?:2[2-9]|[3-9]\d)-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\+00:00)?"), "<time>"),
    (re.compile(r"arrived .*? after"), "arrived <age> after"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "<run>"),
    (re.compile(r"\b[0-9a-f]{12,32}\b"), "<id>"),
    (re.compile(r"\b[\d.]+ [kMG]?B\b"), "<size>"),  # how well rows compress is the library's business
    (re.compile(r"[ ]+"), " "),
    (re.compile(r" \n"), "\n"),
)


def settled(text: str) -> str:
    """What is the same in each run: no times, no ids, no sizes, no columns."""
    for pattern, word in _VOLATILE:
        text = pattern.sub(word, text)
    return text


@dataclass
class World:
    """The demo's bucket, and Dagster's records of what was done there.

    Attributes:
        store: The bucket.
        before: A moment of this very run that `--at` in the document stands for: before the late file.
    """

    store: S3Store
    before: str = ""

    def drop(self, *drops: Drop) -> None:
        """Put source objects."""
        for one in drops:
            self.store.put(f"source/{one.key}", one.data, content_type="text/csv")

    def as_run(self, line: str) -> str:
        """A command of the document with the moment of this run."""
        return re.sub(r"--at \S+", f"--at {self.before}", line)

    def command(self, line: str) -> str:
        """What a command prints in this process, stdout first."""
        words = shlex.split(line)
        assert words[0] == "s3-assets", line
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err), suppress(SystemExit):
            main(words[1:])
        return "".join(f"{text.rstrip()}\n" for text in (out.getvalue() + err.getvalue()).splitlines())

    def materialize(self, *partitions: str) -> None:
        """Let a run of Dagster make hours right; it may fail."""
        config: dict[str, Any] = {
            "ops": {"hourly_gzip": {"config": {"partition_keys": list(partitions)}}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        }
        job = build_definitions().resolve_job_def("hourly_gzip_job")
        with dg.DagsterInstance.get() as instance:
            instance.add_dynamic_partitions("event", [key.partition("|")[0] for key in partitions])
            job.execute_in_process(run_config=config, instance=instance, raise_on_error=False)

    def target(self, key: str) -> datetime:
        """When an hour file was written."""
        info = self.store.head(f"target/{key}")
        assert info is not None, key
        return info.last_modified


# --- what happens in between -------------------------------------------------------------------------------


def _first_run(world: World) -> None:
    world.command("s3-assets sync")
    world.materialize(sample.SEVEN.partition_key, PAYMENTS)


def _late_file(world: World) -> None:
    written = world.target(KeyGrammar.target_key(sample.SEVEN))
    world.before = f"{written:%Y-%m-%dT%H:%M:%S}"
    until = time.monotonic() + BOUND_S
    while datetime.now(UTC).replace(microsecond=0) <= written:  # versions are told apart by the second
        assert time.monotonic() < until
        time.sleep(0.05)
    world.drop(sample.late_customer())


def _taken_in(world: World) -> None:
    world.command("s3-assets sync")


def _overwritten(world: World) -> None:
    world.store.put(f"target/{sample.PAYMENTS}/2021-09-03/09.csv.gz", b"not an hour file")
    world.materialize(PAYMENTS)


SCENES: Mapping[str, Callable[[World], None]] = {
    "the first run": _first_run,
    "a late file comes": _late_file,
    "somebody makes it right by hand": _taken_in,
    "somebody overwrites an hour file, and a run meets it": _overwritten,
}


# --- the document ------------------------------------------------------------------------------------------


def settings_over(server: Server, home: Path) -> dict[str, str]:
    """The environment of all commands; `home` is DAGSTER_HOME."""
    return {
        **server.environment(),
        "S3_ASSETS_SOURCE": f"s3://{BUCKET}/source/",
        "S3_ASSETS_TARGET": f"s3://{BUCKET}/target/",
        "S3_ASSETS_START_DATE": sample.CUSTOMER_DAY,
        "DAGSTER_HOME": str(home),
    }


def made(server: Server, home: Path) -> World:
    """The demo's data in a bucket of its own, but for the many small page views; Dagster without a daemon."""
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    client = server.client()
    client.create_bucket(Bucket=BUCKET)
    client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
    world = World(server.store(BUCKET))
    world.drop(*(one for one in sample.initial(NOW) if not one.key.startswith(sample.PAGE_VIEWS)))
    return world


def rewritten(text: str, world: World) -> str:
    """A document with what its commands print now, scene by scene."""

    def step(found: re.Match[str]) -> str:
        if found["scene"] is not None:
            SCENES[found["scene"]](world)
            return found[0]
        command = world.as_run(found["command"])
        return f"```console\n$ {command}\n{world.command(command)}```"

    return _STEP.sub(step, text)


def write_anew() -> None:
    """Write the document anew."""
    with tempfile.TemporaryDirectory() as folder, start_server("seaweedfs", Path(folder) / "s3") as server:
        home = Path(folder) / "dagster"
        home.mkdir()
        for name in [name for name in os.environ if name.startswith(("AWS_", "S3_ASSETS_", "DAGSTER_"))]:
            del os.environ[name]
        os.environ.update(settings_over(server, home))
        world = made(server, home)
        DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8"), world), encoding="utf-8")


if __name__ == "__main__":
    write_anew()
