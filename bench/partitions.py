"""What bends first when the partition grid gets large: Dagster over 10, 50 and 200 events x a year of hours.

    python -m bench.partitions --work /tmp/grid             # all sizes; needs 20 GB there and an hour
    python -m bench.partitions --work /tmp/grid --size 10   # one size
    python -m bench.partitions --work /tmp/grid --table     # what was measured so far, as Markdown

Every partition is materialized once. The first and the last hour are made by real runs of `hourly_gzip_job` over
SeaweedFS; the rows of the others are written by SQL, in the shape that the first run left, and compared with what the
last run wrote, through Dagster's own reading API. What differs from a real deployment is in bench/README.md.

Each part is a process of its own, so that none pays for another's memory; for the same reason Dagster and the package
are imported where they are needed. Nothing here is imported by the package.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import sysconfig
import time
import urllib.request
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import dagster as dg
    from playwright.sync_api import Page

    from s3_assets.demo.supervise import ProcessGroup

EVENTS = (10, 50, 200)
DAYS = 365
GRID_DAYS = 90
HOURS_PER_RUN = 500
"""As the sensor's batches, by default."""

CALLS = 5
CALLS_S = 20
"""A call is not repeated once so many seconds went into it; then its median is of fewer than `CALLS`."""

WARM_LOADS = 3
PAGE_S = 120
"""Longest wait for a page, in seconds."""

UNCACHED_S = 300
"""The same for the first page where Dagster counts all partitions afresh."""

BACKFILL_S = 120
"""Longest wait until a backfill has made its runs, in seconds."""

IMAGES = Path(__file__).parent.parent / "docs" / "images"
PARTS = ("seed", "load", "calls", "uncached", "cache", "ui", "backfill")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


# --- one size ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Size:
    """A grid.

    Attributes:
        events: How many.
        grid_days: How far the grid goes back; 0 for the whole year.
        work: Where the homes are.
    """

    events: int
    grid_days: int
    work: Path

    @property
    def name(self) -> str:
        """For files and tables."""
        return f"{self.events} events" + (f", grid of {self.grid_days} days" if self.grid_days else "")

    @property
    def home(self) -> Path:
        """DAGSTER_HOME."""
        return self.work / f"home-{self.events}"

    @property
    def index(self) -> Path:
        """The SQLite file with all asset events."""
        return self.home / "history" / "runs" / "index.db"

    @property
    def first_day(self) -> datetime:
        """The first hour of the year: of the home where it was seeded, as the day may have changed since."""
        kept = self.home / "first_day"
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return datetime.fromisoformat(kept.read_text()) if kept.exists() else today - timedelta(days=DAYS)

    @property
    def event_names(self) -> list[str]:
        """Of all events."""
        return [f"event_{number:03d}" for number in range(self.events)]

    def hours(self, first: int, count: int) -> list[datetime]:
        """`count` hours of the year from number `first` on."""
        return [self.first_day + timedelta(hours=first + hour) for hour in range(count)]

    @property
    def environment(self) -> dict[str, str]:
        """Of every process of this size."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("S3_ASSETS_", "AWS_"))}
        return {
            **kept,
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "S3_ASSETS_SOURCE": "s3://demo/source/",
            "S3_ASSETS_TARGET": "s3://demo/target/",
            "S3_ASSETS_START_DATE": f"{self.first_day:%Y-%m-%d}",
            **({"S3_ASSETS_GRID_DAYS": str(self.grid_days)} if self.grid_days else {}),
        }


def label(hour: datetime) -> str:
    """The key of the hour's dimension."""
    return f"{hour:%Y-%m-%d-%H}:00"


def key_of(event: str, hour: datetime) -> str:
    """A partition key."""
    return f"{event}|{label(hour)}"


# --- seeding -----------------------------------------------------------------------------------------------


def seed(size: Size) -> dict[str, Any]:
    """A new home, every partition of the year materialized once.

    Returns:
        Seconds, bytes, and what a real run of one hour took before and after.
    """
    import dagster as dg

    from s3_assets.dagster.internals import make_storage
    from s3_assets.dagster.names import Names
    from s3_assets.demo.bucket import DemoBucket
    from s3_assets.demo.seaweedfs import EmbeddedS3
    from s3_assets.demo.stack import DAGSTER_YAML

    shutil.rmtree(size.home, ignore_errors=True)
    size.home.mkdir(parents=True)
    queue_only = DAGSTER_YAML.replace("max_concurrent_runs: 2", "max_concurrent_runs: 0")
    if queue_only == DAGSTER_YAML:
        sys.exit("the demo's dagster.yaml has changed: runs would be launched in place of staying in the queue")
    (size.home / "dagster.yaml").write_text(queue_only)
    (size.home / "first_day").write_text(size.first_day.isoformat())
    make_storage(size.home)
    began = time.monotonic()
    found: dict[str, Any] = {}
    with EmbeddedS3(size.home / "s3") as server, dg.DagsterInstance.from_config(str(size.home)) as instance:
        bucket = DemoBucket(server)
        os.environ.update(server.environment())
        instance.add_dynamic_partitions(Names().events, size.event_names)
        first = (size.event_names[0], size.first_day)
        last = (size.event_names[-1], size.first_day + timedelta(hours=24 * DAYS - 1))
        found["one_hour_run_empty_s"] = _make_hour(bucket, instance, *first)
        found |= _write_the_rest(size, instance, skip={first, last})
        found["one_hour_run_seeded_s"] = _make_hour(bucket, instance, *last)
        _compare_with_a_real_one(size, instance, key_of(*last))
    found |= {"seed_s": time.monotonic() - began, "index_gb": size.index.stat().st_size / 1e9}
    return found


def _make_hour(bucket: Any, instance: dg.DagsterInstance, event: str, hour: datetime) -> float:
    """Drop four sources, run the job for their hour in this process, and say how long the run took, in seconds."""
    from s3_assets.dagster.definitions import build_definitions
    from s3_assets.dagster.names import Names

    for minute in (0, 15, 30, 45):
        key = f"source/{event}/{hour:%Y-%m-%d}/{hour:%H}_{minute:02d}_file_{minute}.csv"
        bucket.store.put(key, b"id,name,amount\n" + b"1,ann,12.50\n" * 200, content_type="text/csv")
    job = build_definitions().resolve_job_def(Names().job)
    config = {"ops": {Names().op: {"config": {"partition_keys": [key_of(event, hour)]}}}}
    began = time.monotonic()
    if not job.execute_in_process(instance=instance, run_config=config).success:
        sys.exit("the run failed")
    return time.monotonic() - began


def _write_the_rest(size: Size, instance: dg.DagsterInstance, skip: set[tuple[str, datetime]]) -> dict[str, Any]:
    """All other hours, by SQL, hour by hour as they would have been made; and a run for each `HOURS_PER_RUN`."""
    [run] = instance.get_runs()
    database = sqlite3.connect(size.index)
    [row] = database.execute("select * from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'")
    _, _, text, kind, _, step, asset, partition = row
    [(_, version)] = database.execute('select "key", value from asset_event_tags')  # one tag, the data version
    template = _Template(
        text,
        partition=partition,
        uri=f"{size.event_names[0]}/{size.first_day:%Y-%m-%d}/{size.first_day:%H}.csv.gz",
        run_id=run.run_id,
        timestamp=repr(json.loads(text)["timestamp"]),
        version=version,
    )
    indexes = database.execute(
        "select name, sql from sqlite_master where type = 'index' and sql is not null"
    ).fetchall()
    indexes = [(name, sql) for name, sql in indexes if " event_logs " in sql or " asset_event_tags " in sql]
    for statement in ("journal_mode = off", "synchronous = off", "cache_size = -400000"):
        database.execute(f"pragma {statement}").fetchall()
    for name, _ in indexes:
        database.execute(f"drop index {name}")
    [(next_id,)] = database.execute("select max(id) + 1 from event_logs")
    run_keys: dict[str, list[str]] = {}
    tags: list[tuple[Any, ...]] = []

    def rows() -> Iterator[tuple[Any, ...]]:
        number = 0
        for hour in size.hours(0, 24 * DAYS):
            made = hour + timedelta(hours=1, seconds=40)
            written = f"{made:%Y-%m-%d %H:%M:%S}.000000"
            for event in size.event_names:
                if (event, hour) in skip:
                    continue
                key = key_of(event, hour)
                fingerprint = hashlib.md5(key.encode()).hexdigest()  # noqa: S324 - any 32 digits
                run_id = str(uuid.uuid5(uuid.NAMESPACE_OID, str(number // HOURS_PER_RUN)))
                run_keys.setdefault(run_id, []).append(key)
                uri = f"{event}/{hour:%Y-%m-%d}/{hour:%H}.csv.gz"
                event_text = template.fill(
                    partition=key, uri=uri, run_id=run_id, timestamp=repr(made.timestamp()), version=fingerprint
                )
                tags.append((next_id + number, asset, "dagster/data_version", fingerprint, written))
                yield next_id + number, run_id, event_text, kind, written, step, asset, key
                number += 1

    began = time.monotonic()
    database.executemany("insert into event_logs values (?, ?, ?, ?, ?, ?, ?, ?)", rows())
    database.executemany(
        'insert into asset_event_tags (event_id, asset_key, "key", value, event_timestamp) values (?, ?, ?, ?, ?)', tags
    )
    for _, sql in indexes:
        database.execute(sql)
    database.commit()
    database.execute("pragma journal_mode = wal").fetchall()
    database.close()
    rows_s = time.monotonic() - began
    began = time.monotonic()
    _write_runs(size, run, run_keys)
    return {
        "partitions": len(tags) + len(skip),
        "runs": len(run_keys),
        "event_bytes": len(text),
        "rows_s": rows_s,
        "runs_s": time.monotonic() - began,
    }


class _Template:
    """A row's text with places for values."""

    def __init__(self, text: str, **values: str) -> None:
        names = {value: name for name, value in values.items()}
        found = re.split("(" + "|".join(re.escape(value) for value in names) + ")", text)
        missing = set(names) - set(found)
        if missing:
            sys.exit(f"an event has another form than this script knows: {missing} is not in it")
        self._between = found[0::2]
        self._names = [names[value] for value in found[1::2]]

    def fill(self, **values: str) -> str:
        """The text with these."""
        pieces = [self._between[0]]
        for name, between in zip(self._names, self._between[1:], strict=True):
            pieces += (values[name], between)
        return "".join(pieces)


def _write_runs(size: Size, run: dg.DagsterRun, run_keys: Mapping[str, list[str]]) -> None:
    """Runs that were done, in the shape of `run`; the same job and snapshot."""
    import dagster as dg
    from dagster._serdes import serialize_value  # the form of a run's row is not public

    database = sqlite3.connect(size.home / "history" / "runs.db")
    columns = [name for _, name, *_ in database.execute("pragma table_info(runs)")]
    [row] = database.execute("select * from runs where run_id = ?", (run.run_id,))
    like = dict(zip(columns, row, strict=True))
    del like["id"]
    rows, tags = [], []
    for run_id, keys in run_keys.items():
        config = {"ops": {"hourly_gzip": {"config": {"partition_keys": keys}}}}
        run_tags = {"dagster/priority": "10", "s3_assets/hours": str(len(keys))}
        done = dg.DagsterRun(
            run.job_name,
            run_id=run_id,
            run_config=config,
            status=run.status,
            tags=run_tags,
            job_snapshot_id=run.job_snapshot_id,
            execution_plan_snapshot_id=run.execution_plan_snapshot_id,
            asset_selection=run.asset_selection,
            asset_check_selection=run.asset_check_selection,
        )
        made = datetime.strptime(keys[-1].rpartition("|")[2], "%Y-%m-%d-%H:%M").replace(tzinfo=UTC) + timedelta(hours=1)
        written = f"{made:%Y-%m-%d %H:%M:%S}.000000"
        times = {"create_timestamp": written, "update_timestamp": written}
        times |= {"start_time": made.timestamp(), "end_time": made.timestamp() + 40}
        rows.append({**like, "run_id": run_id, "run_body": serialize_value(done), **times})
        tags += [(run_id, name, value) for name, value in run_tags.items()]
    names = ", ".join(f'"{name}"' for name in rows[0])
    database.executemany(
        f"insert into runs ({names}) values ({', '.join(':' + name for name in rows[0])})",  # noqa: S608
        rows,
    )
    database.executemany('insert into run_tags (run_id, "key", value) values (?, ?, ?)', tags)
    database.commit()
    database.close()


def _compare_with_a_real_one(size: Size, instance: dg.DagsterInstance, real: str) -> None:
    """Exit unless hours that were written by SQL read as the one that a run wrote, but for numbers and names."""
    import dagster as dg
    from dagster._serdes import serialize_value

    from s3_assets.dagster.internals import DATA_VERSION_TAG, latest_tags
    from s3_assets.dagster.names import Names

    def read(key: str) -> str:
        [record] = instance.fetch_materializations(
            dg.AssetRecordsFilter(Names().asset, asset_partitions=[key]), 2
        ).records
        if record.partition_key != key or instance.get_run_by_id(record.run_id) is None:
            sys.exit(f"{key} reads back wrong")
        return re.sub(r"[0-9a-f]{8}[0-9a-f-]{24,}|[0-9]+(\.[0-9]+)?", "#", serialize_value(record.event_log_entry))

    hours = size.hours(0, 24 * DAYS)
    for number in (1, len(hours) // 3, len(hours) - 2):
        key = key_of(size.event_names[number % size.events], hours[number])
        if read(key) != read(real):
            sys.exit(f"{key}, written by SQL, differs from {real}, written by a run:\n{read(key)}\n{read(real)}")
        version = hashlib.md5(key.encode()).hexdigest()  # noqa: S324
        if latest_tags(instance, Names().asset, [DATA_VERSION_TAG], [key]) != {key: {DATA_VERSION_TAG: version}}:
            sys.exit(f"the data version of {key} reads back wrong")


# --- the code location -------------------------------------------------------------------------------------


def load(size: Size) -> dict[str, Any]:
    """What loading definitions takes, in this process."""
    import dagster as dg
    from dagster._core.remote_representation.external_data import RepositorySnap  # what the code server sends

    before = _own_rss_mib()
    began = time.monotonic()
    from s3_assets.dagster.definitions import build_definitions

    imported = time.monotonic()
    repository = build_definitions().get_repository_def()
    repository.load_all_definitions()
    loaded = time.monotonic()
    with dg.DagsterInstance.from_config(str(size.home)):
        RepositorySnap.from_def(repository)
    return {
        "import_s": imported - began,
        "repository_s": loaded - imported,
        "snapshot_s": time.monotonic() - loaded,
        "rss_added_mib": _own_rss_mib() - before,
    }


# --- what a tick asks of the instance ----------------------------------------------------------------------


def calls(size: Size) -> dict[str, Any]:
    """Milliseconds and memory of the calls that a tick or a run makes."""
    import dagster as dg

    from s3_assets.dagster.definitions import build_definitions
    from s3_assets.dagster.internals import DATA_VERSION_TAG, latest_event_ids, latest_tags
    from s3_assets.dagster.names import Names
    from s3_assets.dagster.notes import failing_hours

    month = [key_of(size.event_names[0], hour) for hour in size.hours(24 * (DAYS - 31), 744)]
    many = [
        key_of(event, hour) for hour in size.hours(24 * (DAYS - 31), 744) for event in size.event_names if hour.hour
    ][:5000]
    found: dict[str, Any] = {}
    with dg.DagsterInstance.from_config(str(size.home)) as instance:

        def tags(keys: list[str] | None) -> Callable[[], Any]:
            return lambda: latest_tags(instance, Names().asset, [DATA_VERSION_TAG], keys)

        grid = build_definitions().resolve_assets_def(Names().asset).partitions_def
        asked: dict[str, Callable[[], Any]] = {
            "latest_tags_744": tags(month),
            "latest_tags_5000": tags(many),
            "observations_all": lambda: latest_event_ids(
                instance, Names().asset, dg.DagsterEventType.ASSET_OBSERVATION
            ),
            "failing_hours": lambda: failing_hours(instance, Names().asset),
            "dynamic_partitions": lambda: instance.get_dynamic_partitions(Names().events),
            "latest_tags_all": tags(None),
            "materialized_partitions": lambda: instance.get_materialized_partitions(Names().asset),
            "partition_keys": lambda: grid.get_partition_keys(dynamic_partitions_store=instance),
        }
        for name, call in asked.items():
            times, cpu, before = [], time.process_time(), _own_rss_mib()
            while len(times) < CALLS and sum(times) < CALLS_S * 1000:
                began = time.monotonic()
                answer = call()
                times.append((time.monotonic() - began) * 1000)
                items, held_mib = len(answer), _own_rss_mib() - before
                del answer
            found[name] = {
                "ms": statistics.median(times),
                "all_ms": times,
                "cpu_ms": (time.process_time() - cpu) * 1000 / len(times),
                "items": items,
                "held_mib": held_mib,
            }
    return found


# --- processes ---------------------------------------------------------------------------------------------


class Stack:
    """Code server and webserver of a size, and the daemon where asked for, one after the other."""

    def __init__(self, size: Size, *, daemon: bool) -> None:
        self._size = size
        self._daemon = daemon
        self._parts: list[ProcessGroup] = []
        self.code_server_s = self.webserver_s = 0.0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all."""
        for part in self._parts:
            part.begin_stop()
        for part in self._parts:
            part.stop()

    def _start(self) -> None:
        from dagster._grpc.client import DagsterGrpcClient

        from s3_assets.demo.stack import LOCATION, MODULE

        code_port, port = _free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        workspace = self._size.home / "workspace.yaml"
        workspace.write_text(
            f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {code_port}\n"
            f"      location_name: {LOCATION}\n"
        )
        code = ["dagster", "api", "grpc", "--host", "127.0.0.1", "--port", str(code_port), "--log-level", "warning"]
        code += ["--module-name", MODULE, "--attribute", "defs", "--location-name", LOCATION]
        began = time.monotonic()
        self._run("code-server", code).wait_until(
            lambda: _works(lambda: DagsterGrpcClient(port=code_port, host="127.0.0.1").ping("ready")), timeout_s=PAGE_S
        )
        self.code_server_s = time.monotonic() - began
        web = ["dagster-webserver", "--workspace", str(workspace), "--host", "127.0.0.1", "--port", str(port)]
        began = time.monotonic()
        self._run("webserver", web).wait_until(
            lambda: _works(lambda: self.ask("query { assetNodes { id } }", {})["data"]["assetNodes"][0]),
            timeout_s=PAGE_S,
        )
        self.webserver_s = time.monotonic() - began
        if self._daemon:
            self._run("daemon", ["dagster-daemon", "run", "--workspace", str(workspace)])

    def _run(self, name: str, command: list[str]) -> ProcessGroup:
        from s3_assets.demo.supervise import ProcessGroup

        program = Path(sysconfig.get_path("scripts")) / command[0]
        home = self._size.home
        part = ProcessGroup(
            name, [str(program), *command[1:]], log_path=home / f"{name}.log", cwd=home, env=self._size.environment
        )
        self._parts.append(part)
        return part

    def ask(self, query: str, variables: Mapping[str, object]) -> dict[str, Any]:
        """The webserver's answer to a GraphQL query."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with _DIRECT.open(request, timeout=PAGE_S) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def processes(self) -> dict[str, int]:
        """Process ids by part."""
        words = {"code_server": "api grpc", "webserver": "dagster-webserver", "daemon": "dagster-daemon"}
        found: dict[str, int] = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                mine = f"DAGSTER_HOME={self._size.home}\0" in (entry / "environ").read_text(errors="replace")
                if mine and " -I -c " not in command:  # which is the guard
                    found |= {name: int(entry.name) for name, part in words.items() if part in command}
        return found

    def cpu_s(self) -> float:
        """CPU seconds of all parts so far: they tell more than the clock where others use the machine."""
        return sum(map(_cpu_s, self.processes().values()))

    def rss_mib(self) -> dict[str, float]:
        """Memory by part, and the most it ever was."""
        found = {}
        for name, process in self.processes().items():
            found[f"{name}_rss_mib"] = _status_mib(process, "VmRSS")
            found[f"{name}_peak_mib"] = _status_mib(process, "VmHWM")
        return found


def _works(call: Callable[[], object]) -> bool:
    """Whether it does not fail: a server that is starting."""
    try:
        call()
    except Exception:  # noqa: BLE001 - every failure says the same: not yet
        return False
    return True


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _status_mib(process: int | str, field: str) -> float:
    text = Path(f"/proc/{process}/status").read_text()
    return int(re.search(rf"^{field}:\s+(\d+) kB", text, re.MULTILINE)[1]) / 1024  # type: ignore[index]


def _own_rss_mib() -> float:
    return _status_mib("self", "VmRSS")


def _cpu_s(process: int) -> float:
    """CPU seconds of a process and the children that it has waited for."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


# --- the UI ------------------------------------------------------------------------------------------------

OVERVIEW_LOADED = "() => /Latest materialization\\n+(?!Description)/.test(document.body.innerText)"
"""The status is the last that comes; until then there is a grey bar."""

PARTITIONS_LOADED = "() => /[0-9] Partitions Selected/.test(document.body.innerText)"
DETAIL_LOADED = "() => /newest_sources/.test(document.body.innerText)"
DIALOG_LOADED = "() => /Launch backfill/.test(document.body.innerText) && /hour\\nLatest/.test(document.body.innerText)"


def cache(size: Size) -> dict[str, Any]:
    """What Dagster's cache of which partitions are there costs to make, which any page waits for; it is left made.

    It is made afresh when the grid's start changes, and when an event is added.
    """
    import dagster as dg
    from dagster._core.definitions.partitions.context import partition_loading_context
    from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

    from s3_assets.dagster.definitions import build_definitions
    from s3_assets.dagster.names import Names

    found: dict[str, Any] = {}
    grid = build_definitions().resolve_assets_def(Names().asset).partitions_def
    with dg.DagsterInstance.from_config(str(size.home)) as instance:
        instance.event_log_storage.wipe_asset_cached_status(Names().asset)
        for name in ("made", "read"):
            before, began, cpu = _own_rss_mib(), time.monotonic(), time.process_time()
            with partition_loading_context(dynamic_partitions_store=instance):
                value = get_and_update_asset_status_cache_value(instance, Names().asset, grid)
                materialized = value.deserialize_materialized_partition_subsets(grid)
            found[f"{name}_s"] = time.monotonic() - began
            found[f"{name}_cpu_s"] = time.process_time() - cpu
            found[f"{name}_mib"] = _own_rss_mib() - before
    written = value.serialized_materialized_partition_subset
    return {**found, "written_mb": len(written) / 1e6, "partitions": len(materialized)}


PARTITIONS = "/assets/hourly_gzip?view=partitions"


@contextlib.contextmanager
def _browser() -> Iterator[Callable[[], Page]]:
    """Makes pages, each with a cache of its own."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this machine: on Debian and Ubuntu, apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )

        def new_page() -> Page:
            page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
            page.set_default_timeout(PAGE_S * 1000)
            return page

        yield new_page
        browser.close()


def uncached(size: Size) -> dict[str, Any]:
    """The partitions page when Dagster has not counted the partitions yet."""
    import dagster as dg

    from s3_assets.dagster.names import Names

    with dg.DagsterInstance.from_config(str(size.home)) as instance:
        instance.event_log_storage.wipe_asset_cached_status(Names().asset)
    with _browser() as new_page, Stack(size, daemon=False) as stack:
        return {**_visit(stack, new_page(), PARTITIONS, PARTITIONS_LOADED, UNCACHED_S), **stack.rss_mib()}


def ui(size: Size) -> dict[str, Any]:
    """Seconds until pages can be used, what they transfer, and what the servers hold after."""
    key = key_of(size.event_names[1], size.hours(24 * (DAYS - 2), 1)[0]).replace("|", "%7C").replace(":", "%3A")
    pages = (
        ("overview", "/assets/hourly_gzip", OVERVIEW_LOADED),
        ("partitions", PARTITIONS, PARTITIONS_LOADED),
        ("detail", f"{PARTITIONS}&partition={key}", DETAIL_LOADED),
    )
    found: dict[str, Any] = {}
    with _browser() as new_page, Stack(size, daemon=False) as stack:
        found |= {"code_server_s": stack.code_server_s, "webserver_s": stack.webserver_s}
        found |= {f"start_{name}": mib for name, mib in stack.rss_mib().items() if name.endswith("rss_mib")}
        for name, path, loaded in pages:
            page = new_page()
            found[name] = _visit(stack, page, path, loaded)
            if found[name]["s"] < PAGE_S:
                warm = [_visit(stack, page, path, loaded)["s"] for _ in range(WARM_LOADS)]
                found[name] |= {"warm_s": statistics.median(warm), "warm": warm}
            if name == "partitions" and found[name]["s"] < PAGE_S:
                _take_a_picture(size, page)
                found["dialog"] = _open_dialog(page)
            page.context.close()
        found |= stack.rss_mib()
    return found


def _visit(stack: Stack, page: Page, path: str, loaded: str, bound_s: int = PAGE_S) -> dict[str, Any]:
    """Seconds until a page shows what it is about, bytes of the answers that it needed, and its slowest question."""
    answers: list[Any] = []

    def note(answer: Any) -> None:
        answers.append(answer)

    page.on("response", note)
    began, cpu = time.monotonic(), stack.cpu_s()
    seconds = _wait(page, lambda: page.goto(stack.url + path, wait_until="commit"), loaded, began, bound_s)
    cpu = stack.cpu_s() - cpu
    page.remove_listener("response", note)
    sizes, slowest = 0, ("", 0.0)
    for answer in answers:
        if not answer.url.endswith("/graphql") and "/graphql?" not in answer.url:
            continue
        with contextlib.suppress(Exception):  # one that is under way has no body yet
            sizes += len(answer.body())
            asked = json.loads(answer.request.post_data or "{}").get("operationName") or ""
            took = answer.request.timing["responseEnd"] / 1000
            slowest = max(slowest, (asked, took), key=lambda pair: pair[1])
    heap = page.evaluate("performance.memory.usedJSHeapSize") / 2**20
    asked_slowest = {"slowest": slowest[0], "slowest_s": slowest[1]}
    return {"s": seconds, "server_cpu_s": cpu, "graphql_mb": sizes / 1e6, **asked_slowest, "heap_mib": heap}


def _open_dialog(page: Page) -> dict[str, Any]:
    """Seconds from a click until the dialog that launches a backfill is there; on a page that is loaded."""
    page.get_by_role("button", name="Materialize").locator("visible=true").first.wait_for()
    times = []
    for _ in range(WARM_LOADS):
        began = time.monotonic()
        button = page.get_by_role("button", name="Materialize").locator("visible=true").first
        times.append(_wait(page, button.click, DIALOG_LOADED, began, PAGE_S))
        page.get_by_role("button", name="Cancel", exact=True).click()
        page.get_by_role("button", name="Cancel", exact=True).wait_for(state="detached")
    return {"s": times[0], "warm_s": statistics.median(times), "warm": times}


def _wait(page: Page, begin: Callable[[], object], loaded: str, began: float, bound_s: int) -> float:
    """Seconds since `began` when it is loaded; the bound where it was not."""
    from playwright.sync_api import TimeoutError as TooLongError

    try:
        begin()
        page.wait_for_function(loaded, polling=50, timeout=bound_s * 1000)
    except TooLongError:
        return float(bound_s)
    return time.monotonic() - began


def _take_a_picture(size: Size, page: Page) -> None:
    """The partitions page, for the documents."""
    page.wait_for_timeout(1_500)
    cut = f"_{size.grid_days}_days" if size.grid_days else ""
    page.screenshot(path=size.work / f"partitions_{size.events}_events{cut}.png")


# --- backfills ---------------------------------------------------------------------------------------------

LAUNCH = """
mutation ($backfill: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $backfill) {
  __typename
  ... on LaunchBackfillSuccess { backfillId }
  ... on PythonError { message }
} }
"""


def backfill(size: Size) -> dict[str, Any]:
    """Backfills until all their runs are queued, where they stay: runs, seconds, and what the daemon used."""
    one, every = size.event_names[:1], size.event_names
    days = size.grid_days or DAYS
    hours_from = 24 * (DAYS - days) + (48 if size.grid_days else 0)
    asked = {
        "event_month": [key_of(event, hour) for event in one for hour in size.hours(24 * (DAYS - 31), 720)],
        "event_year": [key_of(event, hour) for event in one for hour in size.hours(hours_from, 24 * DAYS - hours_from)],
        "all_week": [key_of(event, hour) for event in every for hour in size.hours(24 * (DAYS - 8), 168)],
    }
    found: dict[str, Any] = {}
    with Stack(size, daemon=True) as stack:
        deadline = time.monotonic() + PAGE_S
        while "daemon" not in stack.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        for name, keys in asked.items():
            daemon = stack.processes()["daemon"]
            code_server = stack.processes()["code_server"]
            cpu, code_cpu, began = _cpu_s(daemon), _cpu_s(code_server), time.monotonic()
            wanted = {"assetSelection": [{"path": ["hourly_gzip"]}], "partitionNames": keys, "fromFailure": False}
            answer = stack.ask(LAUNCH, {"backfill": wanted})
            if "backfillId" not in (answer.get("data") or {}).get("launchPartitionBackfill", {}):
                sys.exit(f"the backfill {name} was refused: {json.dumps(answer)[:1000]}")
            launched = time.monotonic() - began
            backfill_id = answer["data"]["launchPartitionBackfill"]["backfillId"]
            first_run_s, runs, covered = 0.0, 0, 0
            while covered < len(keys) and time.monotonic() - began < BACKFILL_S:
                time.sleep(0.25)
                runs, covered = _runs_of(size, backfill_id)
                if runs and not first_run_s:
                    first_run_s = time.monotonic() - began
            found[name] = {
                "partitions": len(keys),
                "launch_s": launched,
                "first_run_s": first_run_s,
                "all_runs_s": time.monotonic() - began,
                "runs": runs,
                "covered": covered,
                "daemon_cpu_s": _cpu_s(daemon) - cpu,
                "code_server_cpu_s": _cpu_s(code_server) - code_cpu,
                **stack.rss_mib(),
            }
            _forget(stack, backfill_id)
    return found


def _runs_of(size: Size, backfill_id: str) -> tuple[int, int]:
    """How many runs of a backfill are in the queue, and the hours that they are for.

    One that is not there yet has no end of planned events to be written first, one for each of its hours.
    """
    first, last = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"
    tags: dict[str, dict[str, str]] = {}
    with contextlib.closing(sqlite3.connect(f"file:{size.home}/history/runs.db?mode=ro", uri=True)) as database:
        query = (
            'select run_id, "key", value from run_tags where run_id in '
            "(select run_id from runs where backfill_id = ? and status <> 'NOT_STARTED')"
        )
        for run_id, key, value in database.execute(query, (backfill_id,)):
            tags.setdefault(run_id, {})[key] = value

    def hours(run: dict[str, str]) -> int:
        if first not in run:
            return 1
        ends = [datetime.strptime(run[end].rpartition("|")[2], "%Y-%m-%d-%H:%M") for end in (first, last)]  # noqa: DTZ007
        return int((ends[1] - ends[0]).total_seconds()) // 3600 + 1

    return len(tags), sum(map(hours, tags.values()))


def _forget(stack: Stack, backfill_id: str) -> None:
    """Cancel a backfill and its queued runs, and wait until the daemon has done it: the next one begins afresh."""
    stack.ask(
        "mutation ($id: String!) { cancelPartitionBackfill(backfillId: $id) { __typename } }", {"id": backfill_id}
    )
    query = "query ($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill { status } } }"
    deadline = time.monotonic() + BACKFILL_S
    while time.monotonic() < deadline:
        answer = stack.ask(query, {"id": backfill_id})
        if answer["data"]["partitionBackfillOrError"].get("status") == "CANCELED":
            return
        time.sleep(0.5)


# --- all of it ---------------------------------------------------------------------------------------------


def main() -> None:
    """Measure what is asked for, one part in one process after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for homes and results; may be new")
    parser.add_argument("--size", type=int, action="append", help=f"events; more than once; {EVENTS} by default")
    parser.add_argument("--grid-days", type=int, help="only with a grid of so many days; the home must be seeded")
    parser.add_argument("--part", choices=PARTS, action="append", help="more than once; all by default")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--table", action="store_true", help="print what was measured as Markdown, and end")
    asked = parser.parse_args()
    asked.work = asked.work.resolve()
    asked.work.mkdir(parents=True, exist_ok=True)
    if asked.table:
        sys.stdout.write(table(asked.work))
        return
    sizes = [Size(events, asked.grid_days or 0, asked.work) for events in asked.size or EVENTS]
    if asked.size is None and asked.grid_days is None:
        sizes.append(Size(max(EVENTS), GRID_DAYS, asked.work))  # on the home of the last one
    for size in sizes:
        for part in asked.part or PARTS:
            if part == "seed" and size.grid_days:
                continue  # what is materialized is the same
            if asked.here:
                _measure(size, part)
                continue
            sys.stderr.write(f"{datetime.now(UTC):%H:%M:%S} {size.name}: {part}\n")
            command = [sys.executable, "-W", "ignore", __file__, "--here", "--work", str(size.work)]
            command += ["--size", str(size.events), "--grid-days", str(size.grid_days), "--part", part]
            with (size.work / "log.txt").open("ab") as log:
                done = subprocess.run(command, env=size.environment, stdout=log, stderr=log, check=False)
            if done.returncode:
                sys.exit(f"it failed; the end of {log.name} says why")


def _measure(size: Size, part: str) -> None:
    if part == "seed":  # the year may begin on another day than it did in the home that goes
        (size.home / "first_day").unlink(missing_ok=True)
        os.environ.update(size.environment)
    measured = (seed, load, calls, uncached, cache, ui, backfill)
    parts = dict(zip(PARTS, measured, strict=True))
    load_before = os.getloadavg()[0]
    found = {"size": size.name, "part": part, "load_before": load_before, **parts[part](size)}
    with (size.work / "results.jsonl").open("a") as results:
        results.write(json.dumps(found) + "\n")


def table(work: Path) -> str:
    """The last result of each size and part, as Markdown."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for line in (work / "results.jsonl").read_text().splitlines():
        result = json.loads(line)
        found.setdefault(result["size"], {})[result["part"]] = result

    def cell(parts: dict[str, dict[str, Any]], part: str, *path: str) -> str:
        value: Any = parts.get(part, {})
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if not isinstance(value, (int, float)):
            return "-"
        return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2g}"

    lines = [f"| | {' | '.join(found)} |", "|---|" + "---:|" * len(found)]
    for text, *path in ROWS:
        lines.append(f"| {text} | {' | '.join(cell(parts, *path) for parts in found.values())} |")
    return "\n".join(lines) + "\n"


ROWS: tuple[tuple[str, ...], ...] = (
    ("partitions materialized", "seed", "partitions"),
    ("index.db, GB", "seed", "index_gb"),
    ("run of one hour, nothing recorded yet, s", "seed", "one_hour_run_empty_s"),
    ("run of one hour, all recorded, s", "seed", "one_hour_run_seeded_s"),
    ("load definitions: import / s", "load", "import_s"),
    ("load definitions: repository, s", "load", "repository_s"),
    ("load definitions: what the code server sends, s", "load", "snapshot_s"),
    ("code server, start to ready, s", "ui", "code_server_s"),
    ("code server, RSS at start, MiB", "ui", "start_code_server_rss_mib"),
    ("code server, RSS after pages, MiB", "ui", "code_server_rss_mib"),
    ("webserver, start to ready, s", "ui", "webserver_s"),
    ("webserver, RSS at start, MiB", "ui", "start_webserver_rss_mib"),
    ("webserver, RSS after pages, MiB", "ui", "webserver_rss_mib"),
    ("Dagster's status cache, to make, s", "cache", "made_s"),
    ("Dagster's status cache, to make, CPU s", "cache", "made_cpu_s"),
    ("Dagster's status cache, to make, MiB", "cache", "made_mib"),
    ("Dagster's status cache, to read, CPU s", "cache", "read_cpu_s"),
    ("Dagster's status cache, as stored, MB", "cache", "written_mb"),
    ("partitions page, no status cache, s", "uncached", "s"),
    ("partitions page, no status cache, CPU of the servers, s", "uncached", "server_cpu_s"),
    ("webserver, most RSS, no status cache, MiB", "uncached", "webserver_peak_mib"),
    *(
        (f"{page}, {how}, s", "ui", page, key)
        for page in ("overview", "partitions", "detail", "dialog")
        for how, key in (("first", "s"), ("warm", "warm_s"), ("first, CPU of the servers", "server_cpu_s"))
        if (page, key) != ("dialog", "server_cpu_s")
    ),
    ("partitions page, answers, MB", "ui", "partitions", "graphql_mb"),
    ("partitions page, browser's heap, MiB", "ui", "partitions", "heap_mib"),
    *(
        (f"{text}, {unit}", "calls", name, key)
        for name, text in (
            ("latest_tags_744", "latest_tags, 744 keys"),
            ("latest_tags_5000", "latest_tags, 5,000 keys"),
            ("latest_tags_all", "latest_tags, all"),
            ("observations_all", "latest_event_ids, observations"),
            ("failing_hours", "failing_hours"),
            ("dynamic_partitions", "get_dynamic_partitions"),
            ("materialized_partitions", "get_materialized_partitions"),
            ("partition_keys", "get_partition_keys of the grid"),
        )
        for unit, key in (("ms", "ms"), ("CPU ms", "cpu_ms"), ("MiB", "held_mib"))
    ),
    *(
        (f"backfill of {text}: {what}", "backfill", name, key)
        for name, text in (
            ("event_month", "one event x 30 days"),
            ("event_year", "one event x the grid"),
            ("all_week", "all events x 7 days"),
        )
        for what, key in (
            ("partitions", "partitions"),
            ("runs", "runs"),
            ("launch, s", "launch_s"),
            ("all runs made, s", "all_runs_s"),
            ("daemon CPU, s", "daemon_cpu_s"),
            ("code server CPU, s", "code_server_cpu_s"),
            ("daemon most RSS, MiB", "daemon_peak_mib"),
        )
    ),
)


if __name__ == "__main__":
    main()
