"""A run that is killed at a request: nothing torn, no manifest too early, and the next one sends only the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from s3_assets.backup import reading
from s3_assets.backup.reading import PART_BYTES
from s3_assets.backup.run import back_up
from s3_assets_tests.backup.conftest import DAY, Backup, backup_on

MANIFEST = ".s3_assets-manifests/2026-11-20.json"


def killed_at(backup: Backup, number: int, when: str, *, threads: int = 1) -> int:
    """Run until that request; the process's exit code."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("S3_ASSETS_")},
        **backup.server.environment(),
        **backup.environment,
        "S3_ASSETS_BACKUP_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "s3_assets_tests.backup.child", DAY.isoformat(), str(number), when]
    return subprocess.run(command, env=environment, check=False, timeout=120).returncode


def test_a_run_that_is_killed_in_the_middle_goes_on_with_the_rest(backup: Backup):
    """Counted by requests: what was sent is asked for, not sent again.

    The server goes on with the requests that it has when their sender dies: the next run may find more than was there.
    """
    for number in range(60):
        backup.folder.put(f"{number}.json", os.urandom(100))
    assert killed_at(backup, 33, "after", threads=4) == -signal.SIGKILL
    stored = backup.keys()
    assert 20 <= len(stored) <= 40
    assert MANIFEST not in stored
    result = backup.run()
    made = backup.requests.take()
    assert (result.right, result.written) == (True, True)
    assert not {f"2026-11-20/{path}" for path in result.sent} & set(stored)
    assert len(stored) <= 60 - len(result.sent) <= 40
    assert made == {
        "GetObject": 1,
        "ListObjectsV2": 2,
        "HeadObject": 60 - len(result.sent),
        "PutObject": len(result.sent) + 1,
    }


@pytest.mark.parametrize("name", ["seaweedfs", pytest.param("ministack", marks=pytest.mark.soak)])
def test_a_cut_upload_goes_on_with_the_part_that_is_missing(running, folder, name):
    """Killed before the third of three parts: it alone is sent, and the upload is completed."""
    backup = backup_on(running(name), folder.path)
    data = os.urandom(2 * PART_BYTES + 1000)
    folder.put("big.json", data)
    # manifest, list, uploads, create, part, part, and the third part
    assert killed_at(backup, 7, "before") == -signal.SIGKILL
    assert backup.uploads() == ["backup/2026-11-20/big.json"]
    result = backup.run()
    made = backup.requests.take()
    assert (result.right, result.parts_found, result.bytes_sent) == (True, 2, 1000)
    assert (made["UploadPart"], made["CompleteMultipartUpload"]) == (1, 1)
    assert "CreateMultipartUpload" not in made
    assert backup.body("2026-11-20/big.json") == data
    assert backup.uploads() == []


@pytest.mark.parametrize("change", ["another", "longer"])
def test_a_cut_upload_of_an_older_content_is_not_mixed_with_the_new(backup: Backup, change):
    """Also where the parts that it has are still those of the file: it says that it is another one."""
    old = os.urandom(2 * PART_BYTES + 1000)
    backup.folder.put("big.json", old)
    assert killed_at(backup, 7, "before") == -signal.SIGKILL
    new = os.urandom(len(old)) if change == "another" else old + os.urandom(PART_BYTES)
    backup.folder.put("big.json", new)
    result = backup.run()
    assert (result.right, result.sent) == (True, ["big.json"])
    assert backup.body("2026-11-20/big.json") == new
    head = backup.client.head_object(Bucket=backup.bucket, Key="backup/2026-11-20/big.json")
    assert result.manifest is not None
    assert head["Metadata"]["sha256"] == result.manifest.entries["big.json"].sha256
    assert backup.uploads() == []
    assert backup.run().sent == []


@pytest.mark.timeout(1800)
def test_killed_at_any_request_a_run_leaves_nothing_that_the_next_one_does_not_mend(scale, backup: Backup):
    """Before and after requests of every kind; all of them in a soak. A manifest is there only if all else is."""
    contents = {f"{number}.json": os.urandom(100) for number in range(3)} | {"big.json": os.urandom(PART_BYTES + 10)}
    for name, data in contents.items():
        backup.folder.put(name, data)
    # manifest, list, uploads, create, 2 parts, complete, HEAD, 3 PUTs, list, manifest
    points = [(number, when) for number in range(1, 14) for when in ("before", "after")]
    for number, when in points if scale.full else [(7, "after"), (13, "before")]:
        prefix = f"backup/{number}-{when}/"
        target = f"s3://{backup.bucket}/{prefix}"
        here = replace(backup, environment={**backup.environment, "S3_ASSETS_BACKUP_TARGET": target})
        assert killed_at(here, number, when) == -signal.SIGKILL, (number, when)
        place, there = f"{number}-{when}/", here.keys()
        keys = [key.removeprefix(place) for key in there if key.startswith(place)]
        if MANIFEST in keys:
            manifest = json.loads(here.body(f"{number}-{when}/{MANIFEST}"))
            assert {file["path"] for file in manifest["files"]} == set(contents)
        for key in keys:
            path = key.removeprefix("2026-11-20/")
            assert key == MANIFEST or here.body(f"{number}-{when}/{key}") == contents[path]
        result = back_up(here.site(), DAY)
        assert result.right
        assert {path: here.body(f"{number}-{when}/2026-11-20/{path}") for path in contents} == contents
        assert not back_up(here.site(), DAY).written
        assert [key for key in here.uploads() if key.startswith(prefix)] == []


def test_parts_are_of_the_size_that_the_counts_above_take_for_granted():
    """Else these tests would kill elsewhere."""
    assert reading.part_bytes(3 * PART_BYTES) == PART_BYTES
