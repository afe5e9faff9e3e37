"""`s3-assets demo --once` as a user runs it: a real S3 server, exit code, summary, nothing left behind."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from s3_assets.demo import once, run
from s3_assets.demo.sample import EIGHT, SEVEN
from s3_assets.hour_file.keys import KeyGrammar

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


def processes_of(directory: Path) -> list[str]:
    """Command lines that name `directory`."""
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line for line in listed if str(directory) in line]


def test_once_is_right_and_leaves_nothing(tmp_path):
    """Exit code 0, a summary with what was quarantined and what the late source cost; no process, no file left."""
    directory = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "s3_assets.cli.main", "demo", "--once", "--directory", str(directory)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every hour file holds exactly the rows of its sources" in done.stdout
    assert "customer_new_customer_event/2021-09-01/08.csv.gz was not touched" in done.stdout
    assert "DIFFERS" not in done.stdout
    for said in ("unclosed quote", "damaged gzip", "UTF-16", "no such hour", "readme.txt"):
        assert said in done.stdout
    assert list(directory.iterdir()) == []
    assert processes_of(directory) == []


def test_once_tells_what_is_wrong(tmp_path, monkeypatch):
    """An hour file that someone else replaced, and a row of a source that the pipeline did not see, hour by hour.

    Clear words, exit code 1, and the data is kept to look at.
    """
    real, expected = once.reconcile, once.sample.expected

    def reconcile_and_spoil(bucket, now, **options):
        done = real(bucket, now, **options)
        bucket.store.put(f"target/{KeyGrammar.target_key(SEVEN)}", gzip.compress(b"customer_id\n007\n"))
        return done

    def expect_more(drops):
        hours = expected(drops)
        hours[EIGHT].rows.append(hours[EIGHT].rows[0])
        return hours

    monkeypatch.setattr(once, "reconcile", reconcile_and_spoil)
    monkeypatch.setattr(once.sample, "expected", expect_more)
    lines: list[str] = []
    assert run.run_demo(once=True, directory=tmp_path, out=lines.append) == 1
    assert f"DIFFERS: {SEVEN}: its header is ('customer_id',)" in "\n".join(lines)
    assert any("there is no ledger at its end" in line for line in lines)
    assert any(re.fullmatch(rf"DIFFERS: {EIGHT}: (\d+) rows for \d+: 1 lost, 0 too many", line) for line in lines)
    (kept,) = tmp_path.iterdir()
    assert any(str(kept) in line for line in lines)
    assert processes_of(tmp_path) == []
