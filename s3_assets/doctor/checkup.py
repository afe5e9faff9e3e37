"""The checkup: which areas there are, what each needs of others, and how long it may take.

An area that fails stops none but those that make no sense without it; these are skipped, with the reason. Findings come
as they are made. Who stops listening ends it: what was begun is tidied up before.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

import boto3

from s3_assets.doctor import backup, connection, hints, prefixes, settings, writing
from s3_assets.doctor.cures import diagnosis
from s3_assets.doctor.findings import Finding, Verdict, failed, skipped
from s3_assets.doctor.places import Reach
from s3_assets.doctor.policy import SCRATCH
from s3_assets.errors import S3AssetsError, StoreError
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.store.s3_errors import translated

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

    from s3_assets.doctor.settings import Loaded
    from s3_assets.settings import AlertSettings

_log = logging.getLogger(__name__)

BOUND_S: Final = 120
"""The longest that an area may take, in seconds."""

RACE_S: Final = 30
"""As much longer for each round of races that is asked for."""

TIDY_S: Final = 10
"""The longest that one that is stopped may take to remove what it wrote, in seconds."""

THREAD: Final = "doctor "
"""What the threads of areas are called, before the area's name: one that is alive at the end waits for no answer."""

_STORE: Final = ("credentials", "connection")
"""Without these, nothing else can be asked of the store."""


@dataclass(frozen=True, slots=True)
class Area:
    """One of `findings.AREAS`.

    Attributes:
        name: Which.
        check: Makes its findings.
        needs: Areas without which it makes no sense.
        bound_s: The longest that it may take.
        stopped: Set once nobody listens any more: what takes long looks at it.
        leaves: What may be left where it is stopped and does not end in time; empty for nothing.
    """

    name: str
    check: Callable[[], Iterator[Finding]]
    needs: tuple[str, ...] = ()
    bound_s: float = BOUND_S
    stopped: threading.Event = field(default_factory=threading.Event)
    leaves: str = ""


def checkup(
    environ: Mapping[str, str], *, without: tuple[str, ...] = (), rounds: int | None = None
) -> Generator[tuple[str, Finding]]:
    """All areas but those `without`; each finding with the name of its area.

    Args:
        environ: The environment that the settings are read from. AWS's own variables are read by boto3, from the
            process's.
        without: Names of areas that are left out; nothing needs them then.
        rounds: How many races of a kind; None for as many as there is time for, ten at most.
    """
    loaded = settings.load(environ)
    yield from examine([area for area in areas(environ, loaded, rounds) if area.name not in without])


def areas(environ: Mapping[str, str], loaded: Loaded, rounds: int | None = None) -> Iterator[Area]:
    """What there is to look at, by the settings."""
    yield Area("settings", partial(iter, loaded.findings))
    try:
        with translated("GetCredentials", "AWS"):
            reach = Reach(boto3.Session())
    except StoreError as error:  # a profile that is not there, say
        yield Area(
            "credentials", partial(_because_of, diagnosis(error, variable="AWS_PROFILE", resource="", endpoint=""))
        )
        for name in ("connection", "source", "target", "writes", "clock"):
            yield Area(name, _nothing, _STORE)
    else:
        yield Area("credentials", partial(connection.credentials, reach.session, environ))
        yield from _of_the_store(loaded, reach, rounds)
    yield Area("dagster", partial(_dagster, environ))
    if loaded.alerts is not None:
        yield Area("slack", partial(_slack, loaded.alerts))


def _of_the_store(loaded: Loaded, reach: Reach, rounds: int | None) -> Iterator[Area]:
    hourly, saved = loaded.hourly, loaded.backup
    places = []
    if hourly is not None:
        grammar = KeyGrammar(hourly.source_pattern)
        source = reach.place("S3_ASSETS_SOURCE", hourly.source, large_commit=hourly.large_commit)
        target = reach.place("S3_ASSETS_TARGET", hourly.target, large_commit=hourly.large_commit)
        places += [source, target]
    if saved is not None:
        places.append(reach.place("S3_ASSETS_BACKUP_TARGET", saved.target, large_commit="complete"))
    if places:
        yield Area("connection", partial(connection.connection, places[0]), ("credentials",))
    if hourly is not None:
        yield Area("source", partial(prefixes.source, source, grammar), _STORE)
        yield Area("target", partial(prefixes.target, target, grammar), _STORE)
        stopped = threading.Event()
        yield Area(
            "writes",
            partial(writing.writing, target, rounds=rounds, stopped=stopped),
            (*_STORE, "target"),
            BOUND_S + RACE_S * (rounds or 0),
            stopped,
            f"scratch keys that begin with {hourly.target}{SCRATCH}",
        )
    else:
        why = "only the backup is set up" if loaded.backup_only else "the settings can't be used"
        for name in ("source", "target", "writes"):
            yield Area(name, partial(_because, why))
    if places:
        yield Area("clock", partial(connection.clock, places[0]), ("credentials",))
    if hourly is not None and hourly.hints_queue is not None:
        yield Area("hints", partial(hints.hints, hourly, hourly.hints_queue, reach.session), ("credentials",))
    if saved is not None:
        yield Area("backup", partial(backup.folder, saved))
        yield Area("backup", partial(backup.target, places[-1]), _STORE)


def examine(some: list[Area]) -> Generator[tuple[str, Finding]]:
    """The findings of areas, one area after the other."""
    broken: set[str] = set()
    for area in some:
        missing = next((name for name in area.needs if name in broken), None)
        if missing is not None:
            broken.add(area.name)
            yield area.name, skipped(f"because of {missing}")
            continue
        with closing(_bounded(area)) as findings:
            for finding in findings:
                if finding.verdict is Verdict.FAIL:
                    broken.add(area.name)
                yield area.name, finding


def _bounded(area: Area) -> Generator[Finding]:
    """Its findings, in a thread of their own; an error is one, and so is silence."""
    found: queue.Queue[Finding | None] = queue.Queue()

    def work() -> None:
        findings = area.check()
        try:
            for finding in findings:
                found.put(finding)
                if area.stopped.is_set():
                    break
        except Exception as error:  # noqa: BLE001  (whatever it is, the others go on, and the checkup has failed)
            found.put(_defect(error))
        finally:
            close = getattr(findings, "close", None)
            if close is not None:
                close()  # here, so that scratch keys are gone when the thread is
            found.put(None)

    thread = threading.Thread(target=work, name=f"{THREAD}{area.name}", daemon=True)
    thread.start()
    deadline = time.monotonic() + area.bound_s
    try:
        while True:
            try:
                finding = found.get(timeout=max(0, deadline - time.monotonic()))
            except queue.Empty:
                yield failed(f"no end within {area.bound_s:.0f} s", "look at what is slow or does not answer")
                return
            if finding is None:
                return
            yield finding
    finally:
        area.stopped.set()
        try:
            thread.join(TIDY_S)
        finally:  # also after another Ctrl-C
            if thread.is_alive() and area.leaves:
                _log.warning("%s may be left: they could not be removed in time -> delete them", area.leaves)


def _defect(error: Exception) -> Finding:
    if isinstance(error, S3AssetsError):
        return failed(str(error), error.hint or "do what it says")
    return failed(f"the check itself broke: {type(error).__name__}", "report it, with what `s3-assets -vv doctor` says")


def _because(why: str) -> Iterator[Finding]:
    yield skipped(why)


def _because_of(finding: Finding) -> Iterator[Finding]:
    yield finding


def _nothing() -> Iterator[Finding]:
    yield from ()


def _dagster(environ: Mapping[str, str]) -> Iterator[Finding]:
    from s3_assets.doctor.dagster import dagster  # a second and more

    yield from dagster(environ)


def _slack(settings: AlertSettings) -> Iterator[Finding]:
    from s3_assets.doctor.slack import slack

    yield from slack(settings)
