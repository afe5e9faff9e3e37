"""`replay`: look at any range of hours again in few runs of a running Dagster, on the same road as the sensor's.

The hours are found here, newest first; what is done to them is done by the runs, which record it. They are launched,
watched and cancelled through the webserver's GraphQL, so this may run on another host than Dagster.

An hour that a queued or running run holds is not left out: a run looks at each hour and writes nothing where it is
right, the pool keeps runs apart, and conditional commits guard what the pool can't. So a replay that was stopped or
cancelled is gone on with by the same command. Making hours right without Dagster is the business of `sync`.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

import click

from s3_assets.builder.reconcile import HourFailure, observe, plan_all, source_events, target_hours
from s3_assets.cli.render import human_bytes, printable, progress_bar
from s3_assets.cli.webserver import Webserver, WebserverError, WebserverUnavailableError
from s3_assets.controller.requests import Wanted, batches
from s3_assets.dagster.names import Names
from s3_assets.errors import S3AssetsError
from s3_assets.hour_file.plan import Verdict
from s3_assets.opening import open_pipeline
from s3_assets.plural import counted
from s3_assets.settings import load_alert_settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from s3_assets.builder.build import BuildOptions
    from s3_assets.builder.pipeline import Pipeline
    from s3_assets.cli.options import Range
    from s3_assets.controller.requests import Batch
    from s3_assets.hour_file.keys import Hour
    from s3_assets.settings import Settings

DEFAULT_URL: Final = "http://127.0.0.1:3000"
"""Where `dagster dev` and `dagster-webserver` listen when they are told nothing."""

REPLAY_TAG: Final = "s3_assets/replay"
"""Tag of all runs of one replay, so that they can be found and cancelled together; its value is the replay's id."""

PRIORITY: Final = "0"
"""In the run queue: after the sensor's urgent runs, before those of its sweep."""

POLL_S: Final = 2.0
"""Between two looks at the runs, in seconds."""

RUNS_A_LOOK: Final = 50
"""Runs that one look asks for, the first that have not ended: Dagster takes runs of one priority in order."""

MOST_EXPLAINED: Final = 20
"""Runs that did not end well whose error is looked up, which takes reading all that the run recorded."""

CANCEL_S: Final = 30.0
"""So long runs are told to end again and again, in seconds: the daemon may be starting one just then."""

PATIENCE_S: Final = 60.0
"""So long the webserver may be away while runs are waited for, in seconds: it may be restarting."""

DAEMON_LOOK_S: Final = 30.0
"""Between two looks at the daemon while no run is under way, in seconds."""

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130
"""As shells say it of a process that Ctrl-C ended."""

PLANNED, LAUNCHING, DELETED = "PLANNED", "LAUNCHING", "DELETED"
"""Beside Dagster's own states of a run: not launched; asked for, and no answer came; deleted by somebody."""

ENDED: Final = frozenset({"SUCCESS", "FAILURE", "CANCELED", DELETED})
_QUEUED: Final = ("QUEUED", "NOT_STARTED")
_RUNNING: Final = ("STARTING", "STARTED", "MANAGED")


@dataclass(frozen=True, slots=True)
class ReplayOptions:
    """What is asked of a replay.

    Attributes:
        build: What the runs are told; `accept_lost_rows` is not for runs.
        changed_only: Leave out hours that are right, which is found out here, hour by hour.
        url: Of the webserver; None for the setting, or this host.
        location: The code location; None for the only one that has the job.
        dry_run: Launch nothing.
        wait: Until the runs have ended.
        as_json: One document on stdout.
    """

    build: BuildOptions
    changed_only: bool
    url: str | None
    location: str | None
    dry_run: bool
    wait: bool
    as_json: bool


@dataclass(slots=True)
class ReplayRun:
    """One run of a replay, as it was last seen.

    Attributes:
        names: What its group of events is called.
        batch: Its hours.
        run_id: Of Dagster; empty until it is launched. Another one after Dagster retried it.
        status: One of Dagster's, or PLANNED, LAUNCHING or DELETED.
        done: Hours that it has materialized.
        words: Why it did not end well.
        failed_once: Whether it was seen to have failed without a word on whether Dagster tries it again.
    """

    names: Names
    batch: Batch
    run_id: str = ""
    status: str = PLANNED
    done: int = 0
    words: str = ""
    failed_once: bool = False

    @property
    def is_under_way(self) -> bool:
        """Whether it was launched, and may still do something."""
        return bool(self.run_id) and self.status not in ENDED


@dataclass(slots=True)
class Replay:
    """All runs of a replay, and where they are."""

    replay_id: str
    url: str
    runs: list[ReplayRun]

    @property
    def hours(self) -> int:
        """Of all runs."""
        return sum(len(run.batch.hours) for run in self.runs)

    @property
    def launched(self) -> list[ReplayRun]:
        """The runs that Dagster knows of."""
        return [run for run in self.runs if run.run_id]

    @property
    def has_begun(self) -> bool:
        """Whether Dagster may know of a run."""
        return any(run.status != PLANNED for run in self.runs)

    @property
    def bad(self) -> list[ReplayRun]:
        """The runs that ended, and not well."""
        return [run for run in self.runs if run.status in ENDED and run.status != "SUCCESS"]


def replay_hours(hours: Range, options: ReplayOptions) -> int:
    """Launch runs for the hours, and wait for them; the exit code.

    Raises:
        WebserverError: Nothing was launched.
        S3AssetsError: The hours can't be found.
    """
    settings = load_settings(os.environ)
    url = webserver_url(options.url)
    webserver, home = Webserver(url), ("", "")
    if not options.dry_run:  # first: finding hours may take minutes
        home = webserver.home_of_the_jobs([Names(group).job for group in ("", *settings.groups)], options.location)
        _mind_the_daemon(webserver, wait=options.wait)
    runs = _in_runs(_wanted(hours, options, settings), settings)
    replay = Replay(_new_id(datetime.now(UTC)), url, runs)
    if options.dry_run or not runs:
        _say_end(replay, as_json=options.as_json)
        return 0
    code = _carry_out(replay, webserver, home, options)
    _say_end(replay, as_json=options.as_json)
    return code


def cancel_replay(replay_id: str, url: str | None, *, as_json: bool) -> int:
    """End all runs of a replay that are queued or running; the exit code, 1 where one can't be ended.

    Raises:
        WebserverError: It can't be asked, or knows no such replay.
    """
    address = webserver_url(url)
    webserver = Webserver(address)
    mine = {"tags": [{"key": REPLAY_TAG, "value": replay_id}]}
    found = list(webserver.all_runs(mine))
    if not found:
        raise WebserverError(
            f"no run has the tag {REPLAY_TAG}={printable(replay_id)}",
            hint="`s3-assets replay` says the id when it launches, and the tags of its runs hold it",
        )
    statuses = {run["runId"]: run["status"] for run in found}
    standing = asked = _standing(statuses)
    until = time.monotonic() + CANCEL_S
    while True:
        problems = list(webserver.terminate(standing))
        statuses = {run["runId"]: run["status"] for run in webserver.all_runs(mine)}
        standing = _standing(statuses)
        if not standing or time.monotonic() > until:
            break
        time.sleep(POLL_S)  # one that is just being started can't be ended yet
    if as_json:
        document = {"replay": replay_id, "url": runs_link(address, replay_id), "runs": statuses, "standing": standing}
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo(
            f"{len(set(asked) - set(standing)):,} of {len(found):,} runs told to end: {_counted(statuses.values())}"
        )
    for run_id in standing:
        click.echo(f"  {run_link(address, run_id)} goes on; its page offers to terminate it by force", err=True)
    if standing and problems:
        click.echo(printable(f"  the webserver says: {problems[0]}"), err=True)
    return EXIT_FAILED if standing else 0


def _standing(statuses: Mapping[str, str]) -> list[str]:
    """The runs that were not told to end; the queued ones first, or the daemon starts one for each that ends."""
    return [run_id for states in (_QUEUED, _RUNNING) for run_id, status in statuses.items() if status in states]


def webserver_url(given: str | None) -> str:
    """As given, as set, or on this host; without a slash at its end."""
    return (given or load_alert_settings(os.environ).dagster_url or DEFAULT_URL).rstrip("/")


def run_link(url: str, run_id: str) -> str:
    """The page of a run in the UI."""
    return f"{url}/runs/{run_id}"


def runs_link(url: str, replay_id: str) -> str:
    """The page with all runs of a replay in the UI."""
    return f"{url}/runs?q%5B0%5D={quote(f'tag:{REPLAY_TAG}={replay_id}', safe='')}"


def _new_id(now: datetime) -> str:
    """An id that tells when, and that no other replay has."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


# --- finding hours -----------------------------------------------------------------------------------------


def _wanted(hours: Range, options: ReplayOptions, settings: Settings) -> list[Wanted]:
    """The hours of the range that have sources or an hour file, newest first."""
    scope = hours.scope(settings, datetime.now(UTC))
    with open_pipeline(settings) as pipeline:
        listing = observe(pipeline, scope)
        if listing.rejected:
            reasons = ", ".join(f"{count:,} {reason}" for reason, count in listing.rejected.most_common())
            click.echo(printable(f"{listing.rejected.total():,} keys are no sources: {reasons}"), err=True)
        sizes = {hour: sum(source.size for source in sources) for hour, sources in listing.hours.items()}
        listing.hours.clear()  # only sizes are needed of it, and there may be very many
        found = {*sizes, *target_hours(pipeline, scope)}
        if not found:
            _say_nothing_found(pipeline, hours)
        elif options.changed_only:
            found = _changed(pipeline, found, options.build)
    newest_first = sorted(found, key=lambda hour: (hour.label, hour.event), reverse=True)
    return [Wanted(hour, sizes.get(hour, 0), is_urgent=False) for hour in newest_first]


def _changed(pipeline: Pipeline, hours: set[Hour], options: BuildOptions) -> set[Hour]:
    """Those that a run would write, and those that can't be looked at: their run says why."""
    changed: set[Hour] = set()
    held = 0
    with progress_bar() as progress:
        for outcome in progress.track(plan_all(pipeline, hours, options), total=len(hours), description="looking"):
            if isinstance(outcome, HourFailure) or outcome.writes:
                changed.add(outcome.hour)
            else:
                held += outcome.verdict == Verdict.BREAKER
    if held:
        click.echo(
            f"the breaker holds {counted(held, 'hour')}, left out here: `s3-assets plan` names what it holds, and "
            "--accept-vanished lets vanished sources go",
            err=True,
        )
    return changed


def _in_runs(wanted: Sequence[Wanted], settings: Settings) -> list[ReplayRun]:
    """As the sensors put hours into runs: those of one group of events, few runs, none too long; newest first."""
    groups: dict[str, list[Wanted]] = {}
    for one in wanted:
        groups.setdefault(settings.group_of(one.hour.event), []).append(one)
    most = {"hours_per_run": settings.hours_per_run, "bytes_per_run": settings.megabytes_per_run * 1_000_000}
    runs = [ReplayRun(Names(group), batch) for group, some in groups.items() for batch in batches(some, **most)]
    return sorted(runs, key=lambda run: run.batch.hours[0].label, reverse=True)


def _say_nothing_found(pipeline: Pipeline, hours: Range) -> None:
    """A mistyped prefix or event must not look like a job well done."""
    click.echo(
        f"no hour of this range has sources below {printable(pipeline.source_uri(''))} or an hour file", err=True
    )
    if hours.events:
        names = ", ".join(printable(event) for event in source_events(pipeline)[:20]) or "none"
        click.echo(f"events that have sources: {names}", err=True)


# --- launching and waiting ---------------------------------------------------------------------------------


def _mind_the_daemon(webserver: Webserver, *, wait: bool) -> None:
    """Say that nobody would take runs from the queue.

    Raises:
        WebserverError: The runs were to be waited for.
    """
    problem = webserver.queue_problem(time.time())
    if problem and wait:
        raise WebserverError(
            f"{problem}: the runs would wait for ever, and none was launched",
            hint="start `dagster-daemon run`, or `dagster dev`, on the same instance; "
            "with --no-wait the runs are queued until there is one",
        )
    if problem:
        click.echo(f"{problem}: the runs are queued until there is one", err=True)


def _carry_out(replay: Replay, webserver: Webserver, home: tuple[str, str], options: ReplayOptions) -> int:
    """Launch, wait, and say how it goes on where that was broken off; the exit code."""
    click.echo(
        f"replay {replay.replay_id}: {counted(replay.hours, 'hour')} in {counted(len(replay.runs), 'run')}, "
        f"{runs_link(replay.url, replay.replay_id)}",
        err=True,
    )
    try:
        with progress_bar() as progress:
            for run in progress.track(replay.runs, description="launching"):
                _launch(run, replay, webserver, home, options.build)
        if options.wait:
            _wait(replay, webserver)
            _explain(replay, webserver)
    except KeyboardInterrupt:
        click.echo("stopped waiting", err=True)
        _say_how_it_goes_on(replay)
        return EXIT_INTERRUPTED
    except S3AssetsError as error:
        click.echo(f"error: {printable(error.describe())}", err=True)
        _say_how_it_goes_on(replay)
        return EXIT_FAILED
    return EXIT_FAILED if replay.bad else 0


def _launch(run: ReplayRun, replay: Replay, webserver: Webserver, home: tuple[str, str], options: BuildOptions) -> None:
    """Launch a run. Where no answer comes, it stays LAUNCHING: it may be there, and its tag tells whose it is."""
    run.status = LAUNCHING
    try:
        run.run_id = webserver.launch(run.names.job, home, run_config(run, options), run_tags(run, replay))
    except WebserverUnavailableError:
        raise
    except WebserverError:
        run.status = PLANNED
        raise
    run.status = "QUEUED"


def run_config(run: ReplayRun, options: BuildOptions) -> dict[str, Any]:
    """The config of a run: as the sensor's, and what the replay was told."""
    config: dict[str, Any] = {"partition_keys": [hour.partition_key for hour in run.batch.hours]}
    for name, is_on in (("rebuild", options.rebuild), ("accept_vanished", options.accept_vanished)):
        if is_on:
            config[name] = True
    return {"ops": {run.names.op: {"config": config}}}


def run_tags(run: ReplayRun, replay: Replay) -> dict[str, str]:
    """The tags of a run: as the sensor's, with a priority and a tag of its own."""
    return {
        "dagster/priority": PRIORITY,
        "s3_assets/hours": str(len(run.batch.hours)),
        "s3_assets/newest": run.batch.hours[0].label.replace(":", "_"),
        REPLAY_TAG: replay.replay_id,
    }


def _wait(replay: Replay, webserver: Webserver) -> None:
    """Until all runs have ended.

    Raises:
        WebserverError: The webserver refuses, or was away for too long.
    """
    answered = looked_at_daemon = time.monotonic()
    warned = False
    with progress_bar() as progress:
        bar = progress.add_task("hours", total=replay.hours)
        while True:
            try:
                ended = look(replay.runs, webserver)
                answered = time.monotonic()
                idle = all(run.status in _QUEUED for run in replay.runs if run.is_under_way)
                if idle and not warned and answered - looked_at_daemon > DAEMON_LOOK_S:
                    looked_at_daemon = answered
                    if problem := webserver.queue_problem(time.time()):
                        warned = True
                        progress.console.print(f"{problem}: start `dagster-daemon run`; still waiting", markup=False)
            except WebserverUnavailableError:
                if time.monotonic() - answered > PATIENCE_S:
                    raise
                ended = []
            for run in ended:
                line = (
                    f"{run_link(replay.url, run.run_id)} {run.status}, {run.done:,} of {len(run.batch.hours):,} hours"
                )
                progress.console.print(line, markup=False, highlight=False, soft_wrap=True)
            progress.update(bar, completed=sum(run.done for run in replay.runs))
            if not any(run.is_under_way for run in replay.runs):
                return
            time.sleep(POLL_S)


def look(runs: Sequence[ReplayRun], webserver: Webserver) -> list[ReplayRun]:
    """See how the first runs under way are doing, and write it into them; those that ended since the last look.

    A run that Dagster tries again, since its process was lost, is under way until the last try has ended.

    Raises:
        WebserverError: It can't be asked.
    """
    under_way = [run for run in runs if run.is_under_way][:RUNS_A_LOOK]
    found = webserver.seen([run.run_id for run in under_way])
    ended = []
    for run in under_way:
        seen = found.get(run.run_id)
        if seen is None:
            run.status = DELETED
        elif seen["status"] == "FAILURE" and seen["tags"].get("dagster/will_retry") == "true":
            run.run_id = seen["tags"].get("dagster/auto_retry_run_id", run.run_id)
            run.failed_once = False
        elif seen["status"] == "FAILURE" and "dagster/will_retry" not in seen["tags"] and not run.failed_once:
            run.failed_once = True  # Dagster says that it failed, and a moment later whether it tries again
        else:
            run.status = seen["status"]
            run.done = min(seen["materializations"], len(run.batch.hours))
        if not run.is_under_way:
            ended.append(run)
    return ended


def _explain(replay: Replay, webserver: Webserver) -> None:
    """Look up why runs did not end well."""
    for run in [run for run in replay.bad if run.status == "FAILURE"][:MOST_EXPLAINED]:
        run.words = webserver.words_of(run.run_id)


# --- saying ------------------------------------------------------------------------------------------------


def _say_how_it_goes_on(replay: Replay) -> None:
    launched, unsure = len(replay.launched), any(run.status == LAUNCHING for run in replay.runs)
    if not launched and not unsure:
        click.echo("no run was launched", err=True)
        return
    click.echo(
        f"{launched:,} of {len(replay.runs):,} runs were launched{', and perhaps one more' if unsure else ''}; "
        "they go on without this command. To cancel them:\n"
        f"  s3-assets replay --cancel {replay.replay_id} --url {replay.url}\n"
        "The same command again goes on from there: hours that are right are only looked at, unless it says --rebuild.",
        err=True,
    )


def _say_end(replay: Replay, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_document(replay), indent=2, ensure_ascii=False))
        return
    size = human_bytes(sum(run.batch.size for run in replay.runs))
    what = f"{counted(replay.hours, 'hour')} in {counted(len(replay.runs), 'run')}, {size} of sources"
    if not replay.has_begun:
        click.echo(f"{what}; nothing was launched")
        return
    click.echo(
        f"{what}: {_counted(run.status for run in replay.runs)}, "
        f"{counted(sum(run.done for run in replay.runs), 'hour')} done"
    )
    for run in replay.bad:
        click.echo(
            f"  {run_link(replay.url, run.run_id)} {run.status}, {run.done:,} of {len(run.batch.hours):,} hours"
            + (f": {printable(run.words)}" if run.words else ""),
            err=True,
        )


def _counted(statuses: Iterable[str]) -> str:
    """`3 SUCCESS, 1 FAILURE`."""
    return ", ".join(f"{count:,} {status}" for status, count in Counter(statuses).most_common())


def _document(replay: Replay) -> dict[str, Any]:
    return {
        "replay": replay.replay_id if replay.has_begun else None,
        "url": runs_link(replay.url, replay.replay_id) if replay.has_begun else None,
        "hours": replay.hours,
        "bytes": sum(run.batch.size for run in replay.runs),
        "done": sum(run.done for run in replay.runs),
        "runs": [
            {
                "id": run.run_id or None,
                "url": run_link(replay.url, run.run_id) if run.run_id else None,
                "status": run.status,
                "hours": [hour.partition_key for hour in run.batch.hours],
                "bytes": run.batch.size,
                "done": run.done,
                "error": run.words or None,
            }
            for run in replay.runs
        ],
    }
