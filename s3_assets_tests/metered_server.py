"""SeaweedFS with its own counters read out: what a server saw, whatever a client says of itself.

For tests of cost and for bench/. Linux only, where CPU seconds are asked for.
"""

from __future__ import annotations

import os
import re
import urllib.request
from collections import Counter
from pathlib import Path

from s3_assets.demo.seaweedfs import EmbeddedS3, free_port_pairs

DOWN, UP, CPU = "down", "up", "cpu_s"
"""Of what is no request: bytes that the server sent and received, and its CPU seconds."""


class MeteredServer(EmbeddedS3):
    """SeaweedFS that tells what passed through it."""

    _metrics_port = 0

    def _command(self, weed: str) -> list[str]:
        [self._metrics_port] = free_port_pairs(1)
        return [*super()._command(weed), f"-metricsPort={self._metrics_port}"]

    def meter(self, bucket: str) -> Counter[str]:
        """So far: bytes `up` and `down`, requests by the server's names, and CPU seconds of the server as `cpu_s`."""
        found = self.requests(bucket, also_bytes=True)
        found[CPU] = _cpu_of(self._process.pid)
        return found

    def requests(self, bucket: str, *, also_bytes: bool = False) -> Counter[str]:
        """Requests so far, by the server's names for their kinds."""
        url = f"http://127.0.0.1:{self._metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        found: Counter[str] = Counter()
        for name, labels, value in re.findall(r"^SeaweedFS_s3_(\w+)\{(.*)\} (\S+)$", text, re.MULTILINE):
            if f'bucket="{bucket}"' not in labels:
                continue
            if name == "request_total":
                found[re.search(r'type="(\w+)"', labels)[1]] += int(float(value))
            elif also_bytes and name == "bucket_traffic_received_bytes_total":
                found[UP] += int(float(value))
            elif also_bytes and name == "bucket_traffic_sent_bytes_total":
                found[DOWN] += int(float(value))
        return found


def _cpu_of(pid: int) -> float:
    """CPU seconds of a process and all below it (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return own + sum(_cpu_of(int(child)) for child in below)
