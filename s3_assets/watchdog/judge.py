"""What is down, judged from a picture: a check a line, each with what to do, and as problems for the alerts.

A thing that hangs on a dead daemon is not judged: one problem is told, not all that follow from it. Nothing is
concluded about it either, so what was said of it stays said.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from s3_assets.alerts.compose import duration
from s3_assets.alerts.problems import Problem
from s3_assets.watchdog.checks import Check, State, hangs_on, in_seconds, just_begun
from s3_assets.watchdog.kinds import BACKUP, DAEMON, LONG, QUEUE
from s3_assets.watchdog.picture import QUEUE_DAEMON, SCHEDULER_DAEMON, SENSOR_DAEMON
from s3_assets.watchdog.ticks import ALERTS_SENSOR, judge_ticks, ticks_well

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from s3_assets.watchdog.checks import Look
    from s3_assets.watchdog.picture import BackupDay, Daemon, Picture, Queue, Run, Ticking

_START_DAEMON = "start dagster-daemon run on the same instance, or look at its log: it may be dead, or stuck"


def judge(picture: Picture, look: Look) -> list[Check]:
    """All checks but that of the storage, which was read."""
    dead = {daemon.name for daemon in picture.daemons if _is_dead(daemon, look)}
    alerts = SENSOR_DAEMON not in dead and ticks_well(picture.ticking.get(ALERTS_SENSOR), look)
    checks = [_daemons(picture, look)]
    for one in picture.expected:
        seen = picture.ticking.get(one.name)
        is_told = alerts and one.name != ALERTS_SENSOR and _are_together(seen, picture.ticking.get(ALERTS_SENSOR))
        checks.append(judge_ticks(one, seen, look, is_dead=one.daemon in dead, is_told=is_told))
    checks += [_queue(picture.queue, look, is_dead=QUEUE_DAEMON in dead), _runs(picture.runs, look)]
    if picture.has_backup:
        checks.append(_backup(picture.backup, look, is_dead=SCHEDULER_DAEMON in dead))
    return checks


def _are_together(seen: Ticking | None, alerts: Ticking | None) -> bool:
    """Whether both are of one code location: of another one the alerts sensor tells nothing."""
    return seen is not None and alerts is not None and seen.location == alerts.location


def _is_dead(daemon: Daemon, look: Look) -> bool:
    return daemon.beat is None or abs(look.now - daemon.beat) > look.limits.tolerance


def _daemons(picture: Picture, look: Look) -> Check:
    dead = [daemon for daemon in picture.daemons if _is_dead(daemon, look)]
    if not dead:
        oldest = max(
            (look.now - daemon.beat for daemon in picture.daemons if daemon.beat is not None), default=timedelta()
        )
        return Check(
            "daemons", State.OK, f"{len(picture.daemons)} beat, none is silent for more than {in_seconds(oldest)}"
        )
    problems = tuple(
        Problem(
            DAEMON,
            daemon.name,
            _silence(daemon.beat, look),
            since=daemon.beat if daemon.beat is None or daemon.beat <= look.now else None,
            heals=_START_DAEMON,
            page="deployment/daemons",
            page_name="daemons",
        )
        for daemon in dead
    )
    never = [daemon for daemon in dead if daemon.beat is None]
    silent = [daemon for daemon in dead if daemon.beat is not None]
    how = {"never had a heartbeat": never, f"have had no heartbeat for {in_seconds(look.limits.tolerance)}": silent}
    words = "; ".join(
        f"{len(some)} of {len(picture.daemons)} {what}: {', '.join(daemon.name for daemon in some)}"
        for what, some in how.items()
        if some
    )
    return Check("daemons", State.DOWN, words, _START_DAEMON, problems)


def _silence(beat: datetime | None, look: Look) -> str:
    if beat is None:
        return "never had a heartbeat"
    if beat > look.now:
        return f"its last heartbeat is {duration(beat - look.now)} ahead of this machine's clock: one was set wrong"
    return f"no heartbeat for {duration(look.now - beat)}"


def _queue(queue: Queue, look: Look, *, is_dead: bool) -> Check:
    if queue.oldest is None:
        return Check("queue", State.OK, "no run waits")
    waited = look.now - queue.oldest.since
    words = f"{queue.count:,} waiting, the oldest run ({queue.oldest.job}) for {duration(waited)}"
    began = max([queue.oldest.since, *([queue.last_start] if queue.last_start is not None else [])])
    stands = look.now - began
    if stands <= look.limits.queue:
        return Check("queue", State.OK, words)
    if is_dead:
        return hangs_on("queue", QUEUE_DAEMON, QUEUE)
    words += f", and no run was started for {duration(stands)}"
    todo = (
        "look at the runs under way: they may hold all slots, or a dead run a slot of a pool (Deployment, Concurrency)"
    )
    if look.has_just_begun:
        return just_begun("queue", Problem(QUEUE, "runs", words, settled=False))
    problem = Problem(QUEUE, "runs", words, since=began, heals=todo, page="runs/queued", page_name="queued runs")
    return Check("queue", State.DOWN, words, todo, (problem,))


def _runs(runs: Sequence[Run], look: Look) -> Check:
    late = [run for run in runs if look.now - run.since > (look.limits.run if run.is_started else look.limits.queue)]
    if not late:
        longest = max((look.now - run.since for run in runs), default=timedelta())
        return Check("runs", State.OK, f"{len(runs)} under way, {duration(longest)} at most" if runs else "none")
    todo = "look at it, and terminate it if it does nothing; run_monitoring in dagster.yaml ends those that are dead"
    problems = tuple(_long(run, todo, look) for run in late)
    first = late[0]
    words = f"{len(late)} for too long, such as {first.job} {first.run_id[:8]} for {duration(look.now - first.since)}"
    return Check("runs", State.DOWN, words, todo, problems)


def _long(run: Run, todo: str, look: Look) -> Problem:
    state = "works" if run.is_started else "is being launched or ended"
    words = f"{run.job} {state} for {duration(look.now - run.since)}"
    return Problem(
        LONG,
        f"{run.job} {run.run_id[:8]}",
        words,
        since=run.since,
        heals=todo,
        page=f"runs/{run.run_id}",
        page_name=f"run {run.run_id[:8]}",
    )


def _backup(backup: BackupDay | None, look: Look, *, is_dead: bool) -> Check:
    if backup is None:
        return Check("backup", State.OK, "no day is due yet")
    if backup.is_made:
        return Check("backup", State.OK, f"{backup.day} is backed up")
    if is_dead:
        return hangs_on("backup", SCHEDULER_DAEMON, BACKUP)
    words = f"{backup.day} is not backed up, more than {duration(look.limits.backup)} after its tick"
    todo = f"look at the runs of daily_backup_job, and materialize {backup.day} of daily_backup"
    if look.has_just_begun:
        return just_begun("backup", Problem(BACKUP, "daily_backup", words, settled=False))
    problem = Problem(BACKUP, "daily_backup", words, heals=todo, page="assets/daily_backup", page_name="daily_backup")
    return Check("backup", State.DOWN, words, todo, (problem,))
