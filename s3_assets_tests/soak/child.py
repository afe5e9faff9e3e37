"""Builders in processes of their own: they can be killed at any call to the server, and race each other.

One process reads jobs from its standard input, a line of JSON each, and forks for every builder; the result of a job
is a line of JSON on its standard output. It makes no request itself, so that a fork inherits no connection.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Self

import boto3
import obstore.store  # noqa: F401  (imported once, before forks)

from s3_assets.builder import commit
from s3_assets.builder.build import BuildOptions, Pauses, build_hour, see
from s3_assets.builder.pipeline import Pipeline, Workers
from s3_assets.errors import ContendedError
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.hour_file.policy import EventPolicy
from s3_assets.store import parts
from s3_assets.store.s3 import S3Store

if TYPE_CHECKING:
    from types import TracebackType

    from s3_assets_tests.servers import Server

REGION = "us-east-1"


@cache
def warm_session(access_key: str, secret_key: str) -> boto3.Session:
    """A session that has read botocore's descriptions of S3, half a second's work: forks inherit them.

    The client that made it read them never made a request: no connection is inherited.
    """
    session = boto3.Session(aws_access_key_id=access_key, aws_secret_access_key=secret_key, region_name=REGION)
    session.client("s3", endpoint_url="http://127.0.0.1:1").close()
    return session


@dataclass(frozen=True)
class Site:
    """Where a builder works, and how.

    Attributes:
        endpoint_url: Of the server.
        access_key: Of its user.
        secret_key: Of the same.
        bucket: Of sources and targets.
        source_prefix: Below which the sources are.
        target_prefix: Below which the hour files go.
        hour: Event and label.
        commit: How large targets are committed.
        on_vanished: The policy's.
        put_bytes: The largest hour file that goes in one PUT; None is the package's.
        part_bytes: The smallest part; None is the package's.
        unconditional: A builder broken on purpose: it writes whatever stands there.
        clock_ahead_s: How far its clock is ahead.
        rebuild: Whether a rebuild is asked for.
    """

    endpoint_url: str
    access_key: str
    secret_key: str
    bucket: str
    source_prefix: str
    target_prefix: str
    hour: tuple[str, str]
    commit: str
    on_vanished: str = "keep"
    put_bytes: int | None = None
    part_bytes: int | None = None
    unconditional: bool = False
    clock_ahead_s: int = 0
    rebuild: bool = False

    def store(self, watch: Calls | None = None) -> S3Store:
        """The bucket."""
        kind = Unconditional if self.unconditional else WatchedS3
        session = warm_session(self.access_key, self.secret_key)
        store = kind(self.bucket, session=session, endpoint_url=self.endpoint_url, large_commit=self.commit)
        store.watch = watch
        if watch is not None:
            events = store._clients.boto.meta.events
            events.register("before-send.s3", watch.sending)
            events.register("response-received.s3", watch.answered)
        return store

    def pipeline(self, workers: Workers, store: S3Store) -> Pipeline:
        """All of it, ready to build."""
        if self.put_bytes is not None:
            commit.WHOLE_PUT_BYTES = self.put_bytes
        if self.part_bytes is not None:
            commit.MIN_PART_BYTES = parts.MIN_PART_BYTES = self.part_bytes
            commit.PUT_PART_BYTES = commit.COPY_PART_BYTES = 2 * self.part_bytes
        policy = EventPolicy(on_vanished=self.on_vanished, max_vanished_share=1.0, compression="fast")
        return Pipeline(
            source=store,
            source_prefix=self.source_prefix,
            target=store,
            target_prefix=self.target_prefix,
            grammar=KeyGrammar(),
            policy=lambda _: policy,
            workers=workers,
            clock=lambda: datetime.now(UTC) + timedelta(seconds=self.clock_ahead_s),
        )

    @property
    def the_hour(self) -> Hour:
        """As a value."""
        return Hour(*self.hour)


class Calls:
    """Counts the requests of a process, and ends it with SIGKILL before or after one of them."""

    def __init__(self, kill: tuple[int, str] | None) -> None:
        """`kill` is the request's number, from 1, and `before` or `after`; None lets it live."""
        self._kill = kill
        self._lock = threading.Lock()
        self._here = threading.local()
        self.made: list[str] = []

    def begin(self, operation: str) -> int:
        """A request is about to be sent; its number."""
        with self._lock:
            self.made.append(operation)
            number = len(self.made)
            self._die(number, "before")
            return number

    def end(self, number: int) -> None:
        """Its answer came."""
        with self._lock:
            self._die(number, "after")

    def sending(self, request: Any, event_name: str, **_: Any) -> None:
        """The same, told by boto3."""
        self._here.number = self.begin(event_name.rpartition(".")[2])

    def answered(self, **_: Any) -> None:
        """The same, told by boto3."""
        self.end(self._here.number)

    def _die(self, number: int, when: str) -> None:
        if self._kill is not None and (number, when) == tuple(self._kill):
            os.kill(os.getpid(), signal.SIGKILL)


class WatchedS3(S3Store):
    """The store as it is; the requests that go by obstore are counted here, the others by boto3's events."""

    watch: Calls | None = None

    def head(self, key):
        """Described."""
        return self._watched("HeadObject", lambda: S3Store.head(self, key))

    def get(self, key, **options):
        """Read."""
        return self._watched("GetObject", lambda: S3Store.get(self, key, **options))

    def put(self, key, data, **options):
        """Written."""
        return self._watched("PutObject", lambda: S3Store.put(self, key, data, **options))

    def _watched(self, operation, work):
        if self.watch is None:
            return work()
        number = self.watch.begin(operation)
        try:
            return work()
        finally:
            self.watch.end(number)


class Unconditional(WatchedS3):
    """Broken on purpose: who is last wins."""

    def put(self, key, data, **_conditions):
        """Overwritten."""
        return WatchedS3.put(self, key, data)


# --- what a forked builder does ----------------------------------------------------------------------------


def build_once(site: Site, kill: tuple[int, str] | None) -> dict[str, Any]:
    """Make the hour right."""
    calls = Calls(kill)
    with Workers(fetch_threads=4, hour_threads=1, compress_threads=1) as workers:
        options = BuildOptions(rebuild=site.rebuild)
        result = build_hour(site.pipeline(workers, site.store(calls)), site.the_hour, options=options)
    return {"calls": calls.made, "verdict": result.plan.verdict, "tries": result.tries}


def race(site: Site, racer: int, rounds: int, ready: int, go: int) -> dict[str, Any]:
    """Put a source, look, wait for the others, build what was seen; then go on without waiting."""
    store = site.store()
    built, tries = [], 0
    with Workers(fetch_threads=4, hour_threads=1, compress_threads=1) as workers:
        pipeline = site.pipeline(workers, store)
        hour = site.the_hour
        for step in range(rounds):
            key = f"{hour.event}/{hour.date}/{hour.label[11:13]}_{41 + racer}_{step}.csv"
            try:
                row = b"n,x\n%d%02d,late\n" % (racer, step)
                S3Store.put(store, site.source_prefix + key, row, content_type="text/csv")
                seen = see(pipeline, hour)
            finally:
                if step == 0:  # also where it failed, or the others would wait for ever
                    os.write(ready, b".")
            if step == 0:
                os.read(go, 1)
            try:
                tries += build_hour(pipeline, hour, seen=seen, pauses=Pauses()).tries
                built.append(key)
            except ContendedError:
                tries += 8
    return {"built": built, "tries": tries}


# --- the process that forks --------------------------------------------------------------------------------


def _fork(work: Any) -> tuple[int, int]:
    """Do `work` in a new process; its id, and where its result can be read."""
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(writing)
        return child, reading
    try:
        os.close(reading)
        answer = json.dumps(work())
    except BaseException:  # noqa: BLE001  (told to the test)
        answer = json.dumps({"error": traceback.format_exc()})
    with os.fdopen(writing, "w") as out:
        out.write(answer)
    os._exit(0)


def _result(child: int, reading: int) -> dict[str, Any]:
    with os.fdopen(reading) as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return {"killed": os.WTERMSIG(status)}
    return dict(json.loads(text))


def do(job: dict[str, Any]) -> list[dict[str, Any]]:
    """One job: as many results as it has builders."""
    sites = [Site(**site | {"hour": tuple(site["hour"])}) for site in job["sites"]]
    for site in sites:
        warm_session(site.access_key, site.secret_key)
    if job["kind"] == "build":
        return [_result(*_fork(lambda: build_once(sites[0], job["kill"])))]
    if job["kind"] == "turns":
        return take_turns(sites)
    ready, tell_ready = os.pipe()
    go, gate = os.pipe()
    started = [_fork(partial(race, site, racer, job["rounds"], tell_ready, go)) for racer, site in enumerate(sites)]
    os.close(tell_ready)
    for _ in sites:
        os.read(ready, 1)
    os.write(gate, b"." * len(sites))
    results = [_result(*one) for one in started]
    for end in (ready, go, gate):
        os.close(end)
    return results


def take_turns(sites: list[Site]) -> list[dict[str, Any]]:
    """A race whose order is given: each looks before the next one's source is there; who looked first writes last."""
    started, gates = [], []
    for racer, site in enumerate(sites):
        ready, tell_ready = os.pipe()
        go, gate = os.pipe()
        started.append(_fork(partial(race, site, racer, 1, tell_ready, go)))
        os.close(tell_ready)
        os.close(go)
        os.read(ready, 1)
        os.close(ready)
        gates.append(gate)
    results = []
    for gate, one in zip(reversed(gates), reversed(started), strict=True):
        os.write(gate, b".")
        os.close(gate)
        results.append(_result(*one))
    return results


class Builders:
    """The process that forks builders, as a test has it."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "s3_assets_tests.soak.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def build(self, site: Site, kill: tuple[int, str] | None = None) -> dict[str, Any]:
        """One builder."""
        return self._do({"kind": "build", "sites": [asdict(site)], "kill": kill})[0]

    def race(self, sites: list[Site], rounds: int) -> list[dict[str, Any]]:
        """Builders at once."""
        return self._do({"kind": "race", "sites": [asdict(site) for site in sites], "rounds": rounds})

    def take_turns(self, sites: list[Site]) -> list[dict[str, Any]]:
        """Builders in an order that is given: see `take_turns`."""
        return self._do({"kind": "turns", "sites": [asdict(site) for site in sites]})

    def _do(self, job: dict[str, Any]) -> list[dict[str, Any]]:
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        results = json.loads(self._process.stdout.readline())
        errors = [result["error"] for result in results if "error" in result]
        assert not errors, "\n".join(errors)
        return results


def site_on(server: Server, bucket: str, hour: Hour, own: str, **options: Any) -> Site:
    """A place of a test's own on that server."""
    return Site(
        server.endpoint_url,
        server.access_key,
        server.secret_key,
        bucket,
        options.pop("source_prefix", f"{own}/source/"),
        f"{own}/target/",
        (hour.event, hour.label),
        {"seaweedfs": "stage", "ministack": "complete"}[server.name],
        **options,
    )


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(do(json.loads(line))) + "\n")
        sys.stdout.flush()
