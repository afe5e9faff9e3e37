"""The worst that stored bytes can ask for, in a process that may not have much memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

PROGRAM = """
import json, resource, sys
from s3_assets_tests.fuzz.attacks import ATTACKS

said = {}
_, most = resource.getrlimit(resource.RLIMIT_AS)
for name, allowed_mib in json.loads(sys.argv[1]).items():
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    pages = int(open("/proc/self/statm").read().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + allowed_mib * 2**20, most))
    said[name] = ATTACKS[name]()
print(json.dumps(said))
"""

ALLOWED_MIB = {
    "source bomb": 160,
    "source without a newline": 160,
    "segment bomb": 100,
    "segment of one row": 200,
    "ledger bomb": 120,
    "ledger of empty lists": 200,
}
"""How much more address space each may take; more is a MemoryError in that process, and the test fails."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS and /proc are Linux's")
def test_each_attack_ends_in_a_typed_error_within_its_memory():
    """One after the other in one process."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(ALLOWED_MIB)],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "source bomb": "decompression bomb",
        "source without a newline": "row too long",
        "segment bomb": "damaged",
        "segment of one row": "damaged",
        "ledger bomb": "refused",
        "ledger of empty lists": "refused",
    }
