"""A live deployment to be measured and maltreated: SeaweedFS, code server, webserver and daemon, and a clock.

For tests and for bench/. Nothing here asks for a run: the sensor does.
"""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from s3_assets.builder.target import read_target
from s3_assets.demo.bucket import TARGET_PREFIX, DemoBucket
from s3_assets.demo.seaweedfs import EmbeddedS3
from s3_assets.demo.stack import LOCATION, MODULE, REPOSITORY, DagsterStack
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets_tests.soak.gate import FOLDER_VARIABLE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from s3_assets.store.s3 import S3Store

SENSOR = "source_sensor"
GATED = "s3_assets_tests.soak.gated"
ROOT = Path(__file__).resolve().parents[2]
HEADER = b"id,value\n"
UNDER_WAY = {"QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}

TICKS = """
query ($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor { sensorState {
  ticks(limit: 50) { timestamp endTimestamp status skipReason runIds cursor error { message } }
} } } }
"""
RUNS = """
query { runsOrError(limit: 1000) { ... on Runs { results { runId status startTime endTime tags { key value } } } } }
"""
SET_CURSOR = """
mutation ($sensor: SensorSelector!, $cursor: String) { setSensorCursor(sensorSelector: $sensor, cursor: $cursor) {
  __typename
} }
"""


class Living:
    """Everything, running; leave it, and nothing is left.

    Attributes:
        folder: Where all of it is.
        bucket: Sources and hour files.
        stack: Dagster.
        gate: At which runs can be held up, where it is gated.
        sent: The rows that producers sent, per hour.
    """

    def __init__(self, folder: Path, start_date: str, *, gated: bool = False, **settings: str) -> None:
        """Describe it.

        Args:
            folder: Made if it is not there.
            start_date: The first hour partition's date.
            gated: Whether runs wait at `gate` while it is closed.
            settings: More environment variables.
        """
        self.folder = folder
        self.gate = Gate(folder / "gate")
        self._server = EmbeddedS3(folder / "s3")
        self._module = GATED if gated else MODULE
        own = {"PYTHONPATH": str(ROOT), FOLDER_VARIABLE: str(folder / "gate")} if gated else {}
        self._settings = {"S3_ASSETS_START_DATE": start_date, **own, **settings}
        self.sent: dict[Hour, list[tuple[str, bytes]]] = {}

    bucket: DemoBucket
    stack: DagsterStack

    @property
    def store(self) -> S3Store:
        """The bucket."""
        return self.bucket.store

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._server.start()
        try:
            self.bucket = DemoBucket(self._server)
            self.start_dagster()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if hasattr(self, "stack"):
                self.stack.stop()
        finally:
            self._server.stop()

    def start_dagster(self) -> None:
        """All of Dagster, with the sensor on."""
        environment = {**self.bucket.environment(), **self._settings}
        self.stack = DagsterStack(self.folder / "dagster", environment, module=self._module)
        self.stack.start()
        self.stack.wait_ready(SENSOR)
        self.stack.start_sensor(SENSOR)

    def wipe_dagster(self) -> None:
        """Lose the instance: history, partitions, cursor, all."""
        self.stack.stop()
        shutil.rmtree(self.folder / "dagster")
        self.start_dagster()

    def wipe_cursor(self) -> None:
        """As an operator may."""
        self.stack.ask(SET_CURSOR, {"sensor": selector(), "cursor": ""})

    def kill(self, part: str) -> None:
        """SIGKILL one part of Dagster, and start it again, as a supervisor does."""
        for pid in children(self.stack.pid(part)):
            kill(pid)
        self.stack.restart(part)

    def kill_a_run(self) -> int | None:
        """SIGKILL the process of a run, if there is one; which."""
        for run in self.run_processes():
            kill(run)
            return run
        return None

    def run_processes(self) -> list[int]:
        """Process ids of the runs: the code server spawns them, beside a process of Python's own."""
        servers = children(self.stack.pid("code-server"))
        return [child for server in servers for child in children(server) if b"spawn_main" in command_line(child)]

    def damage(self, rows: bytes) -> Callable[[], None]:
        """Damage the one object that holds `rows` where SeaweedFS keeps it: it is listed, and can't be read.

        Returns:
            What mends it.
        """
        for volume in (self.folder / "s3").rglob("*.dat"):
            if (at := volume.read_bytes().find(rows)) >= 0:
                _overwrite(volume, at, b"#" * len(rows))
                return partial(_overwrite, volume, at, rows)
        raise AssertionError(f"no object on disk holds {rows!r} as it is")

    # --- producers -----------------------------------------------------------------------------------------------

    def send(self, hour: Hour, name: str, rows: bytes) -> str:
        """Put one source object; its key."""
        key = f"{hour.event}/{hour.date}/{hour.hh}_{name}.csv"
        self.store.put(f"source/{key}", HEADER + rows, content_type="text/csv")
        self.sent.setdefault(hour, []).append((key, rows))
        return key

    def send_all(self, some: Iterable[tuple[Hour, str, bytes]]) -> None:
        """Several at once."""
        with ThreadPoolExecutor(16) as pool:
            for sent in [pool.submit(self.send, *one) for one in some]:
                sent.result()

    # --- looking -------------------------------------------------------------------------------------------------

    def ticks(self) -> list[dict[str, Any]]:
        """The latest ticks, newest first."""
        answer = self.stack.ask(TICKS, {"sensor": selector()})
        found: list[dict[str, Any]] = answer["data"]["sensorOrError"]["sensorState"]["ticks"]
        return found

    def runs(self) -> list[dict[str, Any]]:
        """All runs, newest first."""
        found: list[dict[str, Any]] = self.stack.ask(RUNS, {})["data"]["runsOrError"]["results"]
        return found

    def etags(self) -> dict[str, str]:
        """Of all hour files, by their keys."""
        return {info.key: info.etag for info in self.store.list(TARGET_PREFIX)}

    def wrong(self, hours: Iterable[Hour] | None = None) -> list[Hour]:
        """The hours whose files do not hold exactly what was sent, each row once; read without our own reader."""
        with ThreadPoolExecutor(8) as pool:
            every = sorted(self.sent if hours is None else hours)
            return [hour for hour, good in zip(every, pool.map(self._is_right, every), strict=True) if not good]

    def _is_right(self, hour: Hour) -> bool:
        key = TARGET_PREFIX + KeyGrammar.target_key(hour)
        if self.store.head(key) is None:
            return False
        rows = Counter(gzip.decompress(self.store.get(key).read()).splitlines(keepends=True)[1:])
        return rows == Counter(row for _, sent in self.sent[hour] for row in sent.splitlines(keepends=True))

    def idle(self) -> bool:
        """Whether no run is queued or running; not known where the webserver was killed a moment ago."""
        try:
            return not any(run["status"] in UNDER_WAY for run in self.runs())
        except (OSError, KeyError, TypeError):
            return False

    def has(self, hour: Hour, count: int) -> bool:
        """Whether the hour file holds so many sources, by its ledger."""
        target = read_target(self.store, TARGET_PREFIX + KeyGrammar.target_key(hour), hour)
        return target is not None and target.ledger is not None and len(target.ledger.held) >= count

    def needless_writes(self) -> list[str]:
        """Versions of hour files that hold the same sources as the version before them."""
        client = self._server.client()
        needless = []
        for key in self.etags():
            versions = client.list_object_versions(Bucket=self.bucket.store.bucket, Prefix=key).get("Versions", [])
            bodies = [
                client.get_object(Bucket=self.store.bucket, Key=key, VersionId=version["VersionId"])["Body"].read()
                for version in versions
            ]
            contents = [gzip.decompress(body) for body in reversed(bodies)]
            needless += [key for old, new in pairwise(contents) if old == new]
        return needless


def selector() -> Mapping[str, str]:
    """Of the sensor, for GraphQL."""
    return {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY, "sensorName": SENSOR}


def wait_until(condition: Callable[[], bool], bound_s: float, what: str, poll_s: float = 0.5) -> float:
    """Wait for a condition; how long that took, in seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < bound_s, f"not within {bound_s} s: {what}"
        time.sleep(poll_s)
    return time.monotonic() - began


def children(pid: int) -> list[int]:
    """Process ids of the children of a process, whichever of its threads started them (Linux)."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread or a process that has just ended
            found += [int(child) for child in task.read_text().split()]
    return found


def command_line(pid: int) -> bytes:
    """Of a process, its words parted by NUL; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def _overwrite(file: Path, at: int, data: bytes) -> None:
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(data)


def kill(pid: int) -> None:
    """SIGKILL; a process that is gone is no error."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
