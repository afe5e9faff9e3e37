"""Somebody who types what the documents say, in a checkout, over buckets of the very names that stand there.

`Site` is what is there before: servers, data, local files. Whoever reads README.md sets the rest up, so what that lacks
fails here. Commands of ours run in this process, the others in a shell.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from s3_assets.cli.main import main
from s3_assets.dagster.internals import make_storage
from s3_assets.demo import sample
from s3_assets_tests.backup.conftest import SEOUL, Folder
from s3_assets_tests.docs_run.documents import ROOT, SET_BEFORE
from s3_assets_tests.docs_run.parsing import words_of
from s3_assets_tests.watchdog.instance import Home

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from s3_assets_tests.docs_run.documents import Command
    from s3_assets_tests.servers import Server

RAW, HOURLY, BACKUP = "my-raw-bucket", "my-hourly-bucket", "my-backup-bucket"
NOW = datetime(2024, 6, 1, 10, 30, tzinfo=UTC)
"""When producers drop: the date that the documents speak of."""

MARCH = datetime(2024, 3, 15, 7, tzinfo=UTC)
ORDERS = "orders_source_sensor"
LATER = {"S3_ASSETS_START_DATE": "2024-01-01", "ORDERS_TARGET": f"s3://{HOURLY}/orders/"}
"""README.md starts in June 2024; other documents look at March, too, and know of another pipeline."""

FILE_124 = "payments/2024-06-01/07_15_file_124.csv"
RESTORED_DAYS = (date(2026, 11, 20), date(2024, 6, 1))
"""Of the backup: days that documents bring back."""

NOTHING_IS_WRITTEN = re.compile("(writes|leaves|sends) nothing")
"""As a comment promises it."""

_ABSOLUTE = re.compile(r"(?<![\w/:.$}])/[\w.-]+(?:/[\w.-]*)*")
SHELL_SIGNS = re.compile(r"[|><&;$\n]")


@dataclass(frozen=True)
class Said:
    """How a command ended.

    Attributes:
        code: Its exit code.
        printed: What it printed, stdout first.
        wrote: Whether a bucket was another one afterwards; looked at where the document promises that it was not.
    """

    code: int
    printed: str
    wrote: bool = False


@dataclass
class Reader:
    """One with a shell open.

    Attributes:
        folder: Where it stands: a checkout.
        environ: All of its environment.
        places: Absolute paths of the documents, and what stands for them here.
    """

    folder: Path
    environ: dict[str, str]
    places: Mapping[str, str]

    def type(self, command: str) -> Said:
        """Run one command; what it exports stays."""
        for place, here in self.places.items():
            command = command.replace(place, here)
        strangers = [path for path in _ABSOLUTE.findall(command) if not path.startswith(str(self.folder.parent))]
        assert strangers == [], f"what stands for {strangers} here? see places"
        words = [] if SHELL_SIGNS.search(command) or SET_BEFORE.match(f"{command} ") else words_of(command)
        if words and words[0] in HERE:
            return self._here(HERE[words[0]], words[1:])
        return self._in_shell(command)

    def _here(self, program: Callable[[list[str]], object], words: list[str]) -> Said:
        out, err, code = io.StringIO(), io.StringIO(), 0
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.chdir(self.folder)
            for gone in os.environ.keys() - self.environ.keys():
                patch.delenv(gone)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            try:
                program(words)
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Said(code, out.getvalue() + err.getvalue())

    def _in_shell(self, command: str) -> Said:
        after = self.folder / ".environment"
        script = f'{command}\ncode=$?; env -0 > "{after}"; exit $code'
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        exported = after.read_text(encoding="utf-8").split("\0")
        self.environ = dict(one.split("=", 1) for one in exported if one)
        after.unlink()
        return Said(done.returncode, done.stdout + done.stderr)


def _dagster(words: list[str]) -> None:
    from dagster._cli import create_dagster_cli  # it takes a second to load

    create_dagster_cli().main(words, prog_name="dagster")


HERE: Mapping[str, Callable[[list[str]], object]] = {
    "s3-assets": main,
    "dagster": _dagster,
}
"""Programs that run in this process."""


@dataclass
class Site:
    """What is there before anybody reads.

    Attributes:
        server: Of the buckets.
        folder: Of everything local: the checkout, files to back up, where things are brought back to.
        readme: What README.md's commands said, in order.
        settings: What README.md exports.
        backup_settings: What docs/backup.md does.
    """

    server: Server
    folder: Path
    readme: list[tuple[Command, Said]] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    backup_settings: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """DAGSTER_HOME, as README.md makes it."""
        return self.checkout / ".dagster"

    @property
    def checkout(self) -> Path:
        """The project as somebody has just got it and installed; what is made in it is not made in ours."""
        return self.folder / "checkout"

    def make(self) -> None:
        """Buckets, source objects, local files."""
        self.checkout.mkdir()
        for name in ("Makefile", "pyproject.toml", "setup.cfg", "workspace.yaml"):
            shutil.copy(ROOT / name, self.checkout)
        shutil.copytree(ROOT / "deploy", self.checkout / "deploy")
        (self.checkout / ".venv").symlink_to(sys.prefix)
        client = self.server.client()
        for bucket in (RAW, HOURLY, BACKUP):
            client.create_bucket(Bucket=bucket)
            client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
        plain = sample.PAYMENT_PRODUCER.write(NOW.replace(hour=7, minute=0), 15, 124)
        drops = {one.key: one.data for one in sample.initial(NOW) if not one.key.startswith(sample.PAGE_VIEWS)}
        drops[FILE_124] = sample.as_csv(plain.columns, plain.rows)
        drops |= {one.key: one.data for one in sample.PAYMENT_PRODUCER.hour(MARCH, NOW)}
        store = self.server.store(RAW)
        for key, data in drops.items():
            store.put(f"source/{key}", data, content_type="text/csv")
        today = datetime.now(SEOUL).date()
        for day in (*RESTORED_DAYS, *(today - timedelta(days=ago) for ago in range(3))):
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=SEOUL)
            Folder(self.folder / "events").put(f"overspeed/{day}.json", f'["{day}"]'.encode(), noon)

    def reader(self, **environ: str) -> Reader:
        """One with nothing set but credentials, and what is given."""
        mine = ("AWS_", "S3_ASSETS_", "DAGSTER_", "XDG_")
        bare = {name: value for name, value in os.environ.items() if not name.startswith(mine)}
        own = {
            "HOME": str(self.folder),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        places = {
            "/var/lib/events": str(self.folder / "events"),
            "/tmp/drill": str(self.folder / "drill"),
            "/srv/dagster": str(self.home),
            "/var/log/s3_assets": str(self.folder / "logs"),
            "/var/lib/node_exporter/textfile": str(self.folder),
            "xoxb-…": "xoxb-1234",
        }
        return Reader(self.checkout, {**bare, **own, **self.server.environment(), **environ}, places)

    def follow(self, readme: Iterable[Command], backup: Iterable[Command]) -> None:
        """Type README.md's commands and the backup's settings, and back up the days that documents bring back."""
        reader = self.reader()
        self.readme = [(one, self.type(reader, one)) for one in readme]
        self.settings = _set_by(reader)
        make_storage(self.home)
        self.look_alive()
        reader = self.reader()
        for one in backup:
            reader.type(one.text)
        self.backup_settings = _set_by(reader)
        for day in RESTORED_DAYS:
            said = reader.type(f"s3-assets backup --date {day}")
            assert said.code == 0, said.printed

    def type(self, reader: Reader, command: Command) -> Said:
        """Let somebody type a command, and look whether it writes where it is promised that it does not."""
        if re.match("s3-assets (watchdog|doctor)", command.plain) and self.home.exists():
            self.look_alive()  # they take seconds to grow old
        if not NOTHING_IS_WRITTEN.search(command.comment):
            return reader.type(command.text)
        before = self.contents()
        said = reader.type(command.text)
        return replace(said, wrote=self.contents() != before)

    def look_alive(self) -> None:
        """Heartbeats and ticks of this very moment."""
        home = Home(self.home)
        with home.instance:
            home.well()
            home.sensor(ORDERS, 5)

    def contents(self) -> set[tuple[str, str, str]]:
        """Bucket, key and version of all that was ever written and not removed for good, marks of deletions too."""
        found = set()
        for bucket in (RAW, HOURLY, BACKUP):
            for page in self.server.client().get_paginator("list_object_versions").paginate(Bucket=bucket):
                for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                    found.add((bucket, one["Key"], one["VersionId"]))
        return found


def _set_by(reader: Reader) -> dict[str, str]:
    return {name: value for name, value in reader.environ.items() if name.startswith(("S3_ASSETS_", "DAGSTER_"))}
