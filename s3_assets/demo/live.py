"""The demo that goes on: S3, Dagster with its UI, producers that keep dropping, and a line for all that happens."""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import sys
import sysconfig
import time
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

from s3_assets.builder.target import read_target
from s3_assets.demo import sample
from s3_assets.demo.bucket import TARGET_PREFIX, DemoBucket
from s3_assets.demo.seaweedfs import EmbeddedS3
from s3_assets.demo.stack import DagsterStack
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.hour_file.mending import explain_command, show_command
from s3_assets.plural import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

    from s3_assets.demo.bucket import Shown
    from s3_assets.demo.sample import Drop
    from s3_assets.hour_file.keys import Hour

SENSOR: Final = "source_sensor"
REPORT_JOB: Final = "delivery_report_job"

DROP_S: Final = 6.0
"""Between two source objects, in seconds."""

LOOK_S: Final = 1.0
"""Between two looks at the hour files, in seconds."""


class DemoRunningError(S3AssetsError):
    """Another demo uses the same directory."""

    hint = "end that one first, or give another folder: --directory OTHER, with make DIRECTORY=OTHER"


class LiveDemo:
    """Everything that the demo starts; `step` it while it is to go on.

    Attributes:
        directory: Where all its state is: `s3` and `dagster`.
        bucket: Once started.
        stack: Once started.
    """

    bucket: DemoBucket
    stack: DagsterStack

    def __init__(
        self,
        directory: Path,
        out: Callable[[str], None],
        *,
        clock: Callable[[], datetime],
        drop_s: float = DROP_S,
    ) -> None:
        """Describe it; start with `start` or as a context manager.

        Args:
            directory: Made if it is not there; kept.
            out: Takes the lines to be shown.
            clock: Tells producers the time (aware).
            drop_s: Between two source objects, in seconds.
        """
        self.directory = directory
        self._out = out
        self._clock = clock
        self._drop_s = drop_s
        self._server = EmbeddedS3(directory / "s3")
        self._stream = sample.stream(clock)
        self._seen: dict[str, Shown] = {}
        self._reading_shown = False
        self._reported = False
        self._awaited: set[str] = set()
        self._began = self._next_drop = time.monotonic()

    def start(self) -> None:
        """Start everything, and wait until the UI answers and the sensor is on.

        Raises:
            S3AssetsError: Something did not start; all that did has been ended again.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def step(self) -> None:
        """Drop what is due, and say which hour files appeared or changed since the last step.

        Raises:
            DagsterStackError: A part of Dagster has ended by itself.
            StoreError: The S3 server has gone.
        """
        self.stack.check()
        if time.monotonic() >= self._next_drop:
            self._next_drop = time.monotonic() + self._drop_s
            self._drop(next(self._stream))
        self._watch()

    def report(self) -> str | None:
        """Ask for today's `delivery_report`, once, when the first hour files are there; the run's id.

        None before that, and after it.

        Raises:
            DagsterStackError: The run is refused.
        """
        if self._reported or not self._awaited <= self._seen.keys():
            return None
        self._reported = True
        config = {"days": [f"{self._clock():%Y-%m-%d}"]}
        run_id = self.stack.launch(REPORT_JOB, {"ops": {"delivery_report": {"config": config}}})
        self._say(f"asked for a report on what producers deliver: {self.stack.url}/assets/delivery_report")
        return run_id

    def stop(self) -> None:
        """End everything that was started. Twice is no error."""
        try:
            if hasattr(self, "stack"):
                self.stack.stop()
        finally:
            self._server.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- starting --------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._say(f"starting SeaweedFS; everything is kept in {self.directory}")
        self._server.start()
        self.bucket = DemoBucket(self._server)
        self._say(f"S3 answers at {self._server.endpoint_url}; starting Dagster")
        self.stack = DagsterStack(self.directory / "dagster", self.bucket.environment())
        self.stack.start()
        there = self.bucket.sources()
        self._seen = self.bucket.targets()
        drops = sample.initial(self._clock())
        self._awaited = {KeyGrammar.target_key(hour) for hour in sample.expected(drops)}
        missing = [drop for drop in drops if drop.key not in there]
        self.bucket.drop(missing)
        if there:
            self._say(f"going on with {len(there)} source objects and {len(self._seen)} hour files of the last time")
        self._say(f"producers dropped {len(missing)} source objects; waiting for Dagster's UI and code location")
        self.stack.wait_ready(SENSOR)
        self.stack.start_sensor(SENSOR)
        self._say(f"the UI answers, {SENSOR} is on: it looks every 30 s")
        self._say_where()
        self._next_drop = time.monotonic() + self._drop_s

    def _say_where(self) -> None:
        variables = self.directory / "environment.sh"
        values = {**self.bucket.environment(), "DAGSTER_HOME": str(self.stack.home)}
        lines = [f"export {name}={shlex.quote(value)}\n" for name, value in sorted(values.items())]
        lines.append(f'export PATH={shlex.quote(sysconfig.get_path("scripts"))}:"$PATH"\n')  # s3-assets, python
        with os.fdopen(os.open(variables, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(lines)
        self._out("")
        self._out(f"  Dagster UI     {self.stack.url}/assets/hourly_gzip")
        self._out(f"  S3 endpoint    {self._server.endpoint_url}")
        self._out(f"  access key     {self._server.access_key}")
        self._out(f"  secret key     {self._server.secret_key}")
        self._out(f"  as variables   . {shlex.quote(str(variables))}")
        self._out(f"  logs           {self.stack.home}/*.log, {self._server.data_dir}/seaweedfs.log")
        self._out("  to end         Ctrl-C")
        self._out("")
        self._show_reading()

    def _show_reading(self) -> None:
        """Once there is an hour file: a line to paste that reads it with no code of this package, and what it holds."""
        hours = [hour for hour in map(KeyGrammar.target_hour, sorted(self._seen)) if hour is not None]
        if self._reading_shown or not hours:
            return
        hour = hours[0]
        link = shlex.quote(self.bucket.link(hour))
        if shutil.which("curl"):
            fetched = f"curl -sS {link}"
        else:
            fetch = "import sys, urllib.request as r; sys.stdout.buffer.write(r.urlopen(sys.argv[1]).read())"
            fetched = f"{shlex.quote(sys.executable)} -c {shlex.quote(fetch)} {link}"
        self._out("")
        self._out(f"  to read the hour file of {hour}:")
        self._out(f"  {fetched} | gzip -dc | head -3")
        self._out(f"  and with the variables above, what it holds: {show_command(hour)}")
        self._out("")
        self._reading_shown = True

    # --- going on --------------------------------------------------------------------------------------------

    def _drop(self, drop: Drop) -> None:
        self.bucket.drop([drop])
        late = drop.hour is not None and drop.hour.end <= self._clock()
        self._say(
            f"dropped{' LATE' if late else ''}  {drop.key}  {len(drop.data):,} bytes, {counted(len(drop.rows), 'row')}"
        )

    def _watch(self) -> None:
        now = self.bucket.targets()
        for key in sorted(key for key, shown in now.items() if self._seen.get(key) != shown):
            before, hour = self._seen.get(key), KeyGrammar.target_hour(key)
            if hour is None:
                continue
            change = f"{before.size:,} -> {now[key].size:,} bytes" if before else f"{now[key].size:,} bytes"
            self._say(f"hour file {'changed' if before else 'NEW'}  {key}  {change}{self._holds(hour, key)}")
        for key in sorted(key for key in self._seen.keys() - now.keys() if KeyGrammar.target_hour(key) is not None):
            self._say(f"hour file GONE  {key}")
        self._seen = now
        self._show_reading()

    def _holds(self, hour: Hour, key: str) -> str:
        """What the file's own ledger says."""
        target = read_target(self.bucket.store, TARGET_PREFIX + key, hour)
        if target is None:
            return ""
        if target.ledger is None:
            problem = "" if target.problem is None else f": {target.problem.detail}"
            return f"; it can't be read{problem}; see `{explain_command(hour)}`"
        ledger = target.ledger
        bad = f", {len(ledger.quarantined)} quarantined" if ledger.quarantined else ""
        return f"; holds {counted(ledger.rows, 'row')} of {counted(len(ledger.held), 'source')}{bad}"

    def _say(self, line: str) -> None:
        self._out(f"[{time.monotonic() - self._began:6.1f} s] {line}")


def run_live(directory: Path, out: Callable[[str], None]) -> int:
    """Run it until Ctrl-C or SIGTERM; the exit code.

    Raises:
        S3AssetsError: Something did not start, or ended by itself.
    """
    with _only_one(directory):
        demo = LiveDemo(directory, out, clock=lambda: datetime.now(UTC))
        try:
            demo.start()
            while True:
                demo.step()
                demo.report()
                time.sleep(LOOK_S)
        except KeyboardInterrupt:
            out("")
            out("ending Dagster and SeaweedFS")
        finally:
            demo.stop()
    out(f"ended. The same command goes on from here; to start afresh: rm -r {shlex.quote(str(directory))}")
    return 0


@contextmanager
def _only_one(directory: Path) -> Iterator[None]:
    """Hold the directory.

    Raises:
        DemoRunningError: Another process holds it.
    """
    with (directory / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DemoRunningError(f"a demo is running in {directory}") from None
        yield
