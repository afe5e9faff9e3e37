"""What is remembered between looks, and how it survives."""

from __future__ import annotations

import json
import stat
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.alerts.state import AlertState, Held
from s3_assets.watchdog.memory import Memory
from s3_assets.watchdog.memory_file import MOST_BYTES, default_path, read_memory, write_memory
from s3_assets.watchdog.picture import Daemon, Expected, Picture, Ticking

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
SAID = AlertState("to", held={"#data": Held(1, 2, "channel_not_found")})
FULL = Memory(SAID, "daemon-1", 1_795_000_000)


def seen(memory: Memory, process: str, at: datetime, *, ticked: datetime | None = None, age_s: float = 10) -> Memory:
    """After a look that found the daemon so, and the last tick then."""
    expected = (Expected("alerts_sensor"), Expected("daily_backup_schedule", "SCHEDULER"))
    ticking = {"daily_backup_schedule": Ticking(is_on=True, last=at)}  # no sensor: it says nothing
    if ticked is not None:
        ticking["alerts_sensor"] = Ticking(is_on=True, last=ticked)
    daemon = Daemon("SENSOR", at - timedelta(seconds=age_s), process)
    return memory.seen(Picture((daemon,), expected, ticking), at, tolerance_s=180)


def test_the_first_look_takes_the_daemon_for_granted() -> None:
    """Without a memory all is judged at once: what is down is said, and not waited for."""
    first = seen(Memory(), "a", NOW)
    assert (first.process, first.since) == ("a", 0)
    assert seen(first, "a", NOW + timedelta(hours=1)) == first


def test_a_daemon_that_is_new_is_remembered_since_it_was_seen() -> None:
    """After one that died, and after one that was replaced between two looks."""
    later = NOW + timedelta(minutes=5)
    dead = seen(seen(Memory(), "a", NOW), "a", NOW, age_s=600)
    assert (dead.process, dead.since) == ("", 0)
    for before in (dead, seen(Memory(), "a", NOW)):
        back = seen(before, "b", later)
        assert (back.process, back.since, back.daemon_since) == ("b", int(later.timestamp()), later)
    assert seen(dead, "a", later).since == int(later.timestamp())  # it only stood still


def test_a_daemon_that_dies_again_and_again_is_given_time_once() -> None:
    """Or nothing would ever be late; a tick in between, and the next one gets it anew."""
    memory = seen(seen(Memory(), "a", NOW), "b", NOW + timedelta(minutes=1))
    given = memory.since
    for number in range(2, 9):
        at = NOW + timedelta(minutes=number)
        memory = seen(seen(memory, "-", at, age_s=999), f"daemon-{number}", at, ticked=NOW)
        assert memory.since == given
    at = NOW + timedelta(minutes=10)
    memory = seen(memory, "z", at, ticked=at - timedelta(minutes=1))
    assert memory.since == int(at.timestamp())


def test_it_is_there_again_after_a_restart(tmp_path: Path) -> None:
    """In a folder that is made, for its owner alone, and with nothing else left there."""
    path = tmp_path / "a" / "b" / "watchdog.json"
    assert read_memory(path) == Memory()
    write_memory(path, FULL)
    write_memory(path, FULL)
    assert read_memory(path) == FULL
    assert [each.name for each in path.parent.iterdir()] == ["watchdog.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


TEXT = FULL.dump()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        TEXT.replace('"v": 1', '"v": 2'),
        json.dumps({**json.loads(TEXT), "since": -1}),
        json.dumps({**json.loads(TEXT), "since": True}),
        json.dumps({**json.loads(TEXT), "since": 10**20}),
        json.dumps({**json.loads(TEXT), "process": 3}),
        json.dumps({**json.loads(TEXT), "said": None}),
        TEXT + " " * MOST_BYTES,
    ],
)
def test_what_is_no_memory_is_an_empty_one(text: str, tmp_path: Path) -> None:
    """Never an error."""
    (tmp_path / "m").write_text(text)
    assert read_memory(tmp_path / "m") == Memory()


def test_a_memory_that_is_cut_anywhere_is_an_empty_one(tmp_path: Path) -> None:
    """And the next look writes it anew."""
    for length in range(len(TEXT.rstrip())):
        (tmp_path / "m").write_text(TEXT[:length])
        assert read_memory(tmp_path / "m") == Memory()
    write_memory(tmp_path / "m", FULL)
    assert read_memory(tmp_path / "m") == FULL


def test_a_write_that_fails_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And no piece of the new one."""
    path = tmp_path / "m"
    write_memory(path, FULL)

    def full_disk(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("s3_assets.watchdog.memory_file.os.fsync", full_disk)
    with pytest.raises(OSError, match="No space"):
        write_memory(path, Memory())
    assert read_memory(path) == FULL
    assert [each.name for each in tmp_path.iterdir()] == ["m"]


def test_each_instance_has_a_memory_of_its_own_outside_of_it(tmp_path: Path) -> None:
    """Where XDG says; a link to an instance is the same instance."""
    one, other, link = tmp_path / "one", tmp_path / "other", tmp_path / "link"
    link.symlink_to(one)
    environ = {"XDG_STATE_HOME": str(tmp_path / "state")}
    paths = [default_path(environ, str(home)) for home in (one, other, link)]
    assert paths[0] == paths[2] != paths[1]
    assert {path.parent for path in paths} == {tmp_path / "state" / "s3_assets"}
    assert default_path({"XDG_STATE_HOME": "state"}, str(one)).is_absolute()


def test_a_home_that_hangs_keeps_no_look_from_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a mount whose server is gone: its path alone then says where the memory is."""
    released = threading.Event()
    monkeypatch.setattr("s3_assets.watchdog.memory_file.LINK_S", 0.05)
    monkeypatch.setattr("os.path.realpath", lambda _: released.wait(60))
    began = time.monotonic()
    paths = [default_path({"XDG_STATE_HOME": "/state"}, home) for home in ("/srv/a/", "/srv/a", "/srv/b")]
    released.set()
    assert time.monotonic() - began < 30
    assert paths[0] == paths[1] != paths[2]
