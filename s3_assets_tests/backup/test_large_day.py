"""A day as large as it gets: 2,000 files up to 200 MB, killed twice on the way. Only in a soak."""

from __future__ import annotations

import signal
import sys
import time
from random import Random

import pytest

from s3_assets.backup.reading import PART_BYTES
from s3_assets.backup.restore import restore
from s3_assets.backup.verify import verify
from s3_assets_tests.backup.conftest import DAY, Backup
from s3_assets_tests.backup.test_kills import killed_at
from s3_assets_tests.backup.test_run import NOTHING_MOVES

FILES = 2000
LARGE = (200_000_000, 60_000_000, 20_000_000)


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.soak
def test_a_day_of_2000_files_up_to_200_mb_goes_up_once_over_two_kills(backup: Backup, tmp_path, record_property):
    """Nothing is sent twice but what was under way when a run was killed; verified, restored, and then quiet."""
    random, sizes = Random(2026), {}
    for number in range(FILES - len(LARGE)):
        sizes[f"{number % 31}/과속 {number}.json"] = random.randrange(0, 60_000)
    sizes |= {f"large/{size}.json": size for size in LARGE}
    for name, size in sizes.items():
        backup.folder.put(name, random.randbytes(size))
    began = time.monotonic()
    assert killed_at(backup, 25, "after", threads=4) == -signal.SIGKILL  # among the parts of large files
    assert killed_at(backup, 700, "after", threads=4) == -signal.SIGKILL  # among small ones
    there = [key for key in backup.keys() if not key.startswith(".")]  # noqa: SIM118  (no dict)
    result = backup.run()
    made = backup.requests.take()
    seconds = time.monotonic() - began
    assert result.right
    assert len(result.sent) == FILES - len(there)
    assert made["PutObject"] == len(result.sent) + 1
    assert made.get("UploadPart", 0) < sum(-(-size // PART_BYTES) for size in LARGE)
    assert backup.uploads() == []
    backup.run()
    assert backup.requests.take() == {**NOTHING_MOVES, "ListObjectsV2": 2}  # of 1,000 keys each
    assert verify(backup.site(), DAY).bytes_read == sum(sizes.values())
    assert restore(backup.site(), DAY, tmp_path / "into").problems == []
    for name in sizes:
        assert (tmp_path / "into" / name).read_bytes() == (backup.folder.path / name).read_bytes()
    line = (
        f"{FILES} files, {sum(sizes.values())} bytes: {seconds:.1f} s over three runs; the last sent {len(result.sent)}"
    )
    record_property("ran", line)
    sys.stdout.write(f"{line}\n")
