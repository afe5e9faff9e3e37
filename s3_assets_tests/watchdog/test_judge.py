"""What is down, judged from pictures."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from s3_assets.watchdog.checks import Check, Limits, Look, State, check_names
from s3_assets.watchdog.judge import judge
from s3_assets.watchdog.kinds import ALL_BUT_STORAGE
from s3_assets.watchdog.picture import BackupDay, Daemon, Expected, Picture, Queue, Run, Ticking

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
LIMITS = Limits()
DAEMONS = ("SENSOR", "SCHEDULER", "QUEUED_RUN_COORDINATOR")
EXPECTED = (
    Expected("source_sensor", starts_on=False),
    Expected("alerts_sensor"),
    Expected("daily_backup_schedule", "SCHEDULER"),
)


def ticked(ago: timedelta, **more) -> Ticking:
    """A sensor of every 30 seconds."""
    return Ticking(is_on=True, due=NOW - ago + 30 * SECOND, last=NOW - ago, **more)


def picture(**more) -> Picture:
    """All is well, but for what is given."""
    well = {
        "daemons": tuple(Daemon(name, NOW - 20 * SECOND, "a") for name in DAEMONS),
        "expected": EXPECTED,
        "ticking": {
            "source_sensor": ticked(20 * SECOND),
            "alerts_sensor": ticked(20 * SECOND),
            "daily_backup_schedule": Ticking(is_on=True),
        },
        "has_backup": True,
        "backup": BackupDay(date(2026, 11, 21), is_made=True),
    }
    return Picture(**{**well, **more})


def with_ticking(**seen: Ticking | None) -> Picture:
    """All is well, but for these; None for one that the storage does not know."""
    ticking = {**picture().ticking, **seen}
    return picture(ticking={name: one for name, one in ticking.items() if one is not None})


def dead(*names: str) -> tuple[Daemon, ...]:
    """The daemons, these without a heartbeat for a quarter of an hour."""
    return tuple(Daemon(name, NOW - (15 * MINUTE if name in names else SECOND), "a") for name in DAEMONS)


def judged(seen: Picture, *, since: timedelta = 1000 * HOUR, limits: Limits = LIMITS) -> dict[str, Check]:
    """The checks by name; `since` is how long the daemon has been there."""
    checks = judge(seen, Look(NOW, limits, NOW - since))
    assert [check.name for check in checks] == check_names(seen.expected, has_backup=seen.has_backup)
    return {check.name: check for check in checks}


def down(checks: dict[str, Check]) -> list[str]:
    """Those that are."""
    for check in checks.values():
        assert (check.state is State.DOWN) == bool(check.todo), check
        assert all(problem.kind.name in ALL_BUT_STORAGE for problem in check.problems)
    return [name for name, check in checks.items() if check.state is State.DOWN]


def told(checks: dict[str, Check]) -> dict[str, str]:
    """The things that are told, and the names of their kinds."""
    problems = [problem for check in checks.values() for problem in check.problems]
    return {problem.thing: problem.kind.name for problem in problems if problem.settled}


def test_nothing_is_down_when_all_is_well() -> None:
    """And nothing is told, nor left open."""
    checks = judged(picture())
    assert [check.state for check in checks.values()] == [State.OK] * len(checks)
    assert not any(check.problems or check.blind for check in checks.values())


@pytest.mark.parametrize("age, state", [(180 * SECOND, State.OK), (181 * SECOND, State.DOWN)])
def test_a_daemon_is_dead_once_its_heartbeat_is_older_than_the_tolerance(age, state) -> None:
    """To the second, and each of them by its name."""
    seen = picture(daemons=(*dead()[1:], Daemon("SENSOR", NOW - age, "a")))
    checks = judged(seen)
    assert checks["daemons"].state is state
    assert told(checks) == ({"SENSOR": "daemon"} if state is State.DOWN else {})


def test_a_daemon_that_never_had_a_heartbeat_is_dead() -> None:
    """As on an instance where none was started yet."""
    checks = judged(picture(daemons=(Daemon("SENSOR", None), *dead()[1:])))
    assert down(checks) == ["daemons"]
    assert checks["daemons"].problems[0].words == "never had a heartbeat"
    assert checks["daemons"].words == "1 of 3 never had a heartbeat: SENSOR"
    both = judged(picture(daemons=(Daemon("SENSOR", None), *dead("SCHEDULER")[1:])))["daemons"].words
    assert both == "1 of 3 never had a heartbeat: SENSOR; 1 of 3 have had no heartbeat for 3 min: SCHEDULER"


def test_what_follows_from_a_dead_daemon_is_not_told_beside_it() -> None:
    """One thing is wrong; of the others nothing is concluded, so what was said of them stays said."""
    late = ticked(20 * MINUTE)
    waits = Queue(3, Run("r", "job", NOW - 2 * HOUR, is_started=False))
    seen = replace(
        with_ticking(source_sensor=late, alerts_sensor=None, daily_backup_schedule=replace(late, last=None)),
        daemons=dead(*DAEMONS),
        queue=waits,
        backup=BackupDay(date(2026, 11, 21), is_made=False),
    )
    checks = judged(seen)
    assert down(checks) == ["daemons"]
    assert set(told(checks)) == set(DAEMONS)
    unknown = {check.name: check.blind for check in checks.values() if check.state is State.UNKNOWN}
    assert unknown == {
        "source_sensor": "silent",
        "alerts_sensor": "silent",
        "daily_backup_schedule": "silent",
        "queue": "queue",
        "backup": "backup",
    }


@pytest.mark.parametrize("ago, late", [(210 * SECOND, False), (211 * SECOND, True)])
def test_a_sensor_is_silent_once_its_tick_is_later_than_the_tolerance(ago, late) -> None:
    """Counted from when it was due: a sensor of every half hour is not late after three minutes."""
    checks = judged(with_ticking(source_sensor=ticked(ago)))
    assert down(checks) == (["source_sensor"] if late else [])
    assert told(checks) == ({"source_sensor": "silent"} if late else {})


def test_a_code_server_that_is_dead_is_told_by_what_its_last_tick_said() -> None:
    """Dagster records one failed tick, and then none."""
    unreachable = ticked(10 * MINUTE, failed=1, words="Unable to reach the user code server for sensor source_sensor.")
    check = judged(with_ticking(source_sensor=unreachable))["source_sensor"]
    assert check.words == "no tick for 10 min; the last one failed: " + unreachable.words
    assert "code server" in check.todo


def test_a_daemon_that_was_just_started_gets_time_for_its_first_ticks() -> None:
    """Nothing is told, and what was told is not taken back: the problem is there, and not settled."""
    seen = replace(
        with_ticking(source_sensor=ticked(HOUR), alerts_sensor=None),
        queue=Queue(1, Run("r", "job", NOW - 2 * HOUR, is_started=False)),
        backup=BackupDay(date(2026, 11, 21), is_made=False),
    )
    begun = judged(seen, since=LIMITS.tolerance)
    assert down(begun) == []
    assert told(begun) == {}
    unsettled = [problem.thing for check in begun.values() for problem in check.problems]
    assert unsettled == ["source_sensor", "alerts_sensor", "runs", "daily_backup"]
    later = judged(seen, since=LIMITS.tolerance + SECOND)
    assert down(later) == ["source_sensor", "alerts_sensor", "queue", "backup"]


def test_what_is_switched_off_is_down_whatever_the_daemon_does() -> None:
    """Also a source sensor that nobody ever switched on; others are on by themselves."""
    off = replace(ticked(HOUR), is_on=False)
    for daemons in (dead(), dead("SENSOR")):
        checks = judged(replace(with_ticking(source_sensor=None, alerts_sensor=off), daemons=daemons))
        found = told(checks)
        assert found["source_sensor"] == found["alerts_sensor"] == "off"
    assert checks["source_sensor"].words == "was never switched on"


def test_failing_ticks_are_told_where_the_alerts_can_not_tell_them() -> None:
    """Two in a row are nothing yet. While `alerts_sensor` ticks well it tells of them, and the watchdog shows it."""
    fails = ticked(20 * SECOND, failed=3, error="AccessDeniedError", words="no access")
    assert down(judged(with_ticking(source_sensor=replace(fails, failed=2)))) == []
    checks = judged(with_ticking(source_sensor=fails))
    assert down(checks) == ["source_sensor"]
    assert told(checks) == {}
    assert not checks["source_sensor"].problems[0].settled
    for alerts in (None, replace(fails, is_on=False), replace(fails), ticked(HOUR)):
        checks = judged(with_ticking(source_sensor=fails, alerts_sensor=alerts))
        assert told(checks)["source_sensor"] == "failing"
    assert told(judged(with_ticking(alerts_sensor=fails))) == {"alerts_sensor": "failing"}


def test_silent_failing_and_off_are_one_thing() -> None:
    """So that going from one to another is not told as the end of the first."""
    marks = {
        problem.mark
        for one in (ticked(HOUR), ticked(SECOND, failed=3), replace(ticked(SECOND), is_on=False))
        for problem in judged(with_ticking(alerts_sensor=one))["alerts_sensor"].problems
    }
    assert len(marks) == 1


def test_a_queue_is_down_when_a_run_waits_and_none_is_started() -> None:
    """A long queue that moves is well: a run of low priority may wait for hours."""
    oldest = Run("r", "hourly_gzip_job", NOW - 3 * HOUR, is_started=False)
    moves = Queue(400, oldest, NOW - 60 * MINUTE)
    assert down(judged(picture(queue=moves))) == []
    stands = Queue(400, oldest, NOW - 61 * MINUTE)
    checks = judged(picture(queue=stands))
    assert down(checks) == ["queue"]
    assert checks["queue"].words == (
        "400 waiting, the oldest run (hourly_gzip_job) for 3 h 0 min, and no run was started for 1 h 1 min"
    )
    assert down(judged(picture(queue=replace(stands, last_start=None)))) == ["queue"]
    assert down(judged(picture(queue=stands), limits=replace(LIMITS, queue=62 * MINUTE))) == []


def test_runs_are_down_when_they_work_or_are_launched_for_too_long() -> None:
    """Each is told; the longest-standing is named."""
    runs = (
        Run("aaaaaaaa-1", "daily_backup_job", NOW - 13 * HOUR),
        Run("bbbbbbbb-1", "hourly_gzip_job", NOW - 11 * HOUR),
        Run("cccccccc-1", "hourly_gzip_job", NOW - 2 * HOUR, is_started=False),
    )
    checks = judged(picture(runs=runs))
    assert down(checks) == ["runs"]
    assert told(checks) == {"daily_backup_job aaaaaaaa": "long run", "hourly_gzip_job cccccccc": "long run"}
    assert "daily_backup_job aaaaaaaa for 13 h" in checks["runs"].words
    assert down(judged(picture(runs=runs[1:2]))) == []


def test_a_backup_is_overdue_when_its_newest_due_day_is_not_there() -> None:
    """No day may be due yet, and there may be no backup at all."""
    missing = picture(backup=BackupDay(date(2026, 11, 21), is_made=False))
    assert told(judged(missing)) == {"daily_backup": "backup"}
    assert "2026-11-21" in judged(missing)["backup"].words
    assert down(judged(picture(backup=None))) == []
    assert "backup" not in judged(picture(has_backup=False))


def test_a_clock_that_was_set_back_hides_nothing_that_is_dead() -> None:
    """A heartbeat and a tick that are ahead of the clock say that one was wrong: Dagster waits until then, too."""
    ahead = NOW + 400 * HOUR
    seen = replace(picture(), daemons=(Daemon("SENSOR", ahead, "a"), *dead()[1:]))
    [problem] = judged(seen)["daemons"].problems
    assert (problem.thing, problem.since) == ("SENSOR", None)
    assert problem.words == "its last heartbeat is 16 d 16 h ahead of this machine's clock: one was set wrong"
    check = judged(with_ticking(source_sensor=Ticking(is_on=True, due=ahead, last=ahead)))["source_sensor"]
    assert (check.state, check.problems[0].kind.name) == (State.DOWN, "silent")
    assert "lets it wait until 2026-12-09 04:00 UTC" in check.todo


def test_a_daemon_that_seems_to_begin_later_than_now_is_given_no_time() -> None:
    """It was first seen by a clock that was ahead: until that moment comes, nothing would ever be late."""
    assert down(judged(with_ticking(source_sensor=ticked(HOUR)), since=-400 * HOUR)) == ["source_sensor"]


def test_of_another_code_location_the_alerts_tell_nothing() -> None:
    """So the watchdog tells itself what fails there."""
    there = ticked(SECOND, failed=5, location="theirs", words="no")
    assert told(judged(with_ticking(source_sensor=there))) == {"source_sensor": "failing"}
    assert told(judged(with_ticking(source_sensor=replace(there, location="")))) == {}
