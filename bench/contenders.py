"""The ways to make an hour file that `bench.hours` compares, each run in a process of its own.

    python -m bench.contenders today '{"workload": …}'

prints one JSON document: wall seconds and CPU seconds of the work (imports and clients are made before), and the peak
of memory above what the process had then. The shell pipelines have no imports: theirs is all of it, of their largest
process. What the server saw is counted at the server, for all alike.

All of them know which source is new; only s3_assets has to find that out. Nothing but the standard library is imported
at the top: DuckDB runs in an environment that has nothing else.
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import resource
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bench.results import peak, reset_peak

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

EVENT, DATE, HH = "bench", "2024-06-01", "07"
LABEL: Final = f"{DATE}-{HH}:00"


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be made.

    Attributes:
        bucket: Of sources and targets.
        source: Prefix, ends in `/`.
        target: Prefix, ends in `/`; no other contender's.
        late: Key of the one source that the target does not hold yet; empty where there is no target.
    """

    bucket: str
    source: str
    target: str
    late: str = ""

    @property
    def folder(self) -> str:
        """Of the sources."""
        return f"{self.source}{EVENT}/{DATE}/"

    @property
    def target_key(self) -> str:
        """Of the hour file."""
        return f"{self.target}{EVENT}/{DATE}/{HH}.csv.gz"


# --- s3_assets ---------------------------------------------------------------------------------------------


def ours(task: Task, compression: str = "default", commit: str = "stage") -> Callable[[], None]:
    """As `s3-assets sync` and a run of the asset do it: list, read the ledger, plan, build, commit.

    How a large file is committed is said here, as a process finds it out once: SeaweedFS wants `stage`, which copies
    the file twice, AWS `complete`, which copies it once. No other writer is here, so that `complete` can't go wrong.
    """
    import isal.isal_zlib  # noqa: F401  (imported when first needed: here, before the clock starts, as the others'
    import zlib_ng.zlib_ng  # noqa: F401  (the same)

    from s3_assets.builder.build import BuildOptions
    from s3_assets.builder.reconcile import HourFailure, make_right
    from s3_assets.hour_file.keys import Hour
    from s3_assets.opening import open_pipeline
    from s3_assets.settings import load_settings

    config = Path(os.environ["BENCH_FOLDER"]) / f"{compression}.toml"
    config.write_text(f'[defaults]\ncompression = "{compression}"\n')
    settings = load_settings(
        {
            "S3_ASSETS_SOURCE": f"s3://{task.bucket}/{task.source}",
            "S3_ASSETS_TARGET": f"s3://{task.bucket}/{task.target}",
            "S3_ASSETS_CONFIG": str(config),
            "S3_ASSETS_LARGE_COMMIT": commit,
        }
    )
    opened = open_pipeline(settings)
    pipeline = opened.__enter__()
    clients = pipeline.source._clients  # noqa: SLF001  (made when first needed; the others' are made by now, too)
    _ = clients.boto, clients.obstore

    def work() -> None:
        [outcome] = make_right(pipeline, [Hour(EVENT, LABEL)], BuildOptions())
        if isinstance(outcome, HourFailure):
            raise outcome.error
        opened.__exit__(None, None, None)

    return work


# --- today's way -------------------------------------------------------------------------------------------


def today(task: Task) -> Callable[[], None]:
    """What the DAG before did, mended so that it is right: boto3 and Python's gzip, one object after the other."""
    s3 = client()

    def build() -> None:
        rows = bytearray()
        for key in keys(s3, task):
            header, rest = split(s3.get_object(Bucket=task.bucket, Key=key)["Body"].read())
            if not rows:
                rows += header
            rows += rest
        put(s3, task, gzip.compress(rows))

    def late() -> None:
        keys(s3, task)
        rows = gzip.decompress(s3.get_object(Bucket=task.bucket, Key=task.target_key)["Body"].read())
        _, rest = split(s3.get_object(Bucket=task.bucket, Key=task.late)["Body"].read())
        put(s3, task, gzip.compress(rows + rest))

    return late if task.late else build


def client() -> S3Client:
    """Of the server that the environment names, ready to be used."""
    import boto3

    return boto3.client("s3")


def keys(s3: S3Client, task: Task) -> list[str]:
    """Of all sources, in order."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=task.bucket, Prefix=f"{task.folder}{HH}_")
    return sorted(found["Key"] for page in pages for found in page.get("Contents", []))


def split(data: bytes) -> tuple[bytes, bytes]:
    """Header and rows."""
    end = data.index(b"\n") + 1
    return data[:end], data[end:]


def put(s3: S3Client, task: Task, data: bytes) -> None:
    """As boto3 does it by itself: in parts where it is large."""
    import io

    s3.upload_fileobj(io.BytesIO(data), task.bucket, task.target_key)


# --- the shell ---------------------------------------------------------------------------------------------

_BUILD = r"""
s5cmd cat {sources} | {{ IFS= read -r header; printf '%s\n' "$header"; grep -vxF "$header"; }} |
  pigz -6 | s5cmd pipe {target}
"""
_RECOMPRESS = r"""
{{ s5cmd cat --concurrency 1 --part-size 16 {target} | pigz -dc; s5cmd cat {late} | tail -n +2; }} |
  pigz -6 | s5cmd pipe {target}
"""
_MEMBER = r"""
{{ s5cmd cat {target}; s5cmd cat {late} | tail -n +2 | pigz -6; }} | s5cmd pipe {target}
"""


def shell(task: Task, lines: str) -> Callable[[], None]:
    """A pipeline. Where its head dies, `s5cmd pipe` takes that for the end, and half a file stands there."""
    names = {
        "sources": f"s3://{task.bucket}/{task.folder}{HH}_*",
        "target": f"s3://{task.bucket}/{task.target_key}",
        "late": f"s3://{task.bucket}/{task.late}",
    }
    script = lines.format(**{name: shlex.quote(value) for name, value in names.items()})
    environ = {**os.environ, "S3_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"], "LC_ALL": "C"}

    def work() -> None:
        command = ["bash", "-euo", "pipefail", "-c", script]
        subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)

    return work


# --- the floor ---------------------------------------------------------------------------------------------


def floor(task: Task) -> Callable[[], None]:
    """The bytes over one connection and the cheapest compressor; of a late file, the server's copy of the target.

    It is told the keys, and its requests are signed before the clock starts.
    """
    from isal import isal_zlib

    s3 = client()

    def url(method: str, key: str) -> str:
        return s3.generate_presigned_url(method, Params={"Bucket": task.bucket, "Key": key}, ExpiresIn=3600)

    gets = [] if task.late else [url("get_object", key) for key in keys(s3, task)]
    put_url = url("put_object", task.target_key)

    def build() -> None:
        wire = http.client.HTTPConnection(urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc)
        packer = isal_zlib.compressobj(0, wbits=31)
        packed = bytearray()
        for number, get_url in enumerate(gets):
            wire.request("GET", get_url)
            header, rest = split(wire.getresponse().read())
            packed += packer.compress(rest if number else header + rest)
        wire.request("PUT", put_url, bytes(packed + packer.flush()))
        answer = wire.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise OSError(f"PUT: {answer.status}")

    def late() -> None:
        """Not a right hour file: the copy alone."""
        copy = f"{task.target_key}.copy"
        upload = s3.create_multipart_upload(Bucket=task.bucket, Key=copy)["UploadId"]
        source = {"Bucket": task.bucket, "Key": task.target_key}
        part = s3.upload_part_copy(Bucket=task.bucket, Key=copy, UploadId=upload, PartNumber=1, CopySource=source)
        parts = [{"PartNumber": 1, "ETag": part["CopyPartResult"]["ETag"]}]
        s3.complete_multipart_upload(Bucket=task.bucket, Key=copy, UploadId=upload, MultipartUpload={"Parts": parts})

    return late if task.late else build


# --- DuckDB ------------------------------------------------------------------------------------------------


def duckdb(task: Task) -> Callable[[], None]:
    """CSV to CSV, all columns text, rows in the order of the sources; its rows are bytes as they were by luck alone."""
    import duckdb_ext
    from duckdb import connect

    database = connect()
    # the package is a folder of extensions, and no more: what it says of `init` is in another one
    database.execute(f"SET extension_directory = '{next(iter(duckdb_ext.__path__))}/extensions'")
    database.execute("SET autoinstall_known_extensions = false")
    database.execute("LOAD httpfs")
    environ = os.environ
    database.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{environ['AWS_ACCESS_KEY_ID']}', REGION '{environ['AWS_REGION']}', "
        f"SECRET '{environ['AWS_SECRET_ACCESS_KEY']}', ENDPOINT '{urlsplit(environ['AWS_ENDPOINT_URL']).netloc}', "
        "URL_STYLE 'path', USE_SSL false)"
    )

    def build() -> None:
        database.execute(
            f"COPY (FROM read_csv('s3://{task.bucket}/{task.folder}{HH}_*', all_varchar = true, header = true)) "
            f"TO 's3://{task.bucket}/{task.target_key}' (FORMAT csv, COMPRESSION gzip)"
        )

    return build


CONTENDERS: Final[dict[str, Callable[[Task], Callable[[], None]]]] = {
    "s3_assets": ours,
    "s3_assets fast": lambda task: ours(task, compression="fast"),
    "s3_assets as on AWS": lambda task: ours(task, commit="complete"),
    "today": today,
    "s5cmd, pigz": lambda task: shell(task, _RECOMPRESS if task.late else _BUILD),
    "s5cmd, new member": lambda task: shell(task, _MEMBER),
    "duckdb": duckdb,
    "floor": floor,
}


def main() -> None:
    """Do one piece of work, and say what it took."""
    name, text = sys.argv[1:]
    task: dict[str, Any] = json.loads(text)
    work = CONTENDERS[name](Task(**task))
    before, cpu, began = reset_peak(), _cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - began
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # no less than this process had: 15 MiB
    print(json.dumps({"wall_s": wall, "cpu_s": _cpu() - cpu, "memory_mib": max(peak() - before, children)}))


def _cpu() -> float:
    return sum(
        used.ru_utime + used.ru_stime
        for used in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
    )


if __name__ == "__main__":
    main()
