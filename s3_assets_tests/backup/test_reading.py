"""A file is read in one state, or not at all."""

from __future__ import annotations

import hashlib
import os
import threading

import pytest

from s3_assets.backup import reading
from s3_assets.backup.reading import PART_BYTES, Patience, opened, part_bytes, read_file, read_part, unchanged
from s3_assets.errors import ChangedWhileReadError, LocalFileError
from s3_assets_tests.backup.conftest import QUICK, Folder


def meanwhile(monkeypatch, change, *, times: int = 1) -> list[int]:
    """Do `change` in the middle of each of the first reads of a file; how often it was done."""
    read, done = reading._read_up_to, []

    def read_and_change(file, count):
        data = read(file, count)
        if len(done) < times:
            done.append(1)
            change()
        return data

    monkeypatch.setattr(reading, "_read_up_to", read_and_change)
    return done


def digest(data: bytes) -> bytes:
    """Of it."""
    return hashlib.sha256(data).digest()


@pytest.mark.parametrize("size", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 2 * PART_BYTES + 5])
def test_a_file_is_known_by_its_digest_and_those_of_its_parts(folder: Folder, size):
    """Small ones are held, large ones are not; each part can be read again."""
    data = os.urandom(size)
    folder.put("a.json", data)
    found = read_file(folder.path, "a.json", QUICK)
    assert (found.sha256, found.stamp.size) == (digest(data), size)
    if size <= PART_BYTES:
        assert (found.data, found.parts) == (data, ())
        return
    pieces = [data[start : start + PART_BYTES] for start in range(0, size, PART_BYTES)]
    assert (found.data, found.parts) == (None, tuple(map(digest, pieces)))
    with opened(folder.path, "a.json") as file:
        assert [read_part(file, found, number + 1) for number in range(len(pieces))] == pieces
        assert unchanged(folder.path, found, file)


def test_no_file_has_too_many_parts_and_its_parts_never_move():
    """Up to the largest object of S3, 5 TiB."""
    for size in (1, PART_BYTES * 10_000, PART_BYTES * 10_000 + 1, 5 * 2**40):
        assert -(-size // part_bytes(size)) <= 10_000
        assert part_bytes(size) % PART_BYTES == 0


CHANGES = {
    "grows": lambda path: path.write_bytes(path.read_bytes() + b"more"),
    "shrinks": lambda path: os.truncate(path, 1),
    "same size": lambda path: path.write_bytes(b"x" * path.stat().st_size),
    "replaced": lambda path: (path.with_suffix(".new").write_bytes(b"{}"), path.with_suffix(".new").rename(path)),
}


def same_size_same_time(path) -> None:
    """An edit that size and time of last change don't show."""
    before = path.stat()
    path.write_bytes(b"x" * before.st_size)
    os.utime(path, ns=(before.st_mtime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [*CHANGES.values(), same_size_same_time], ids=[*CHANGES, "same size and time"])
@pytest.mark.parametrize("size", [1000, PART_BYTES + 1000])
def test_a_change_in_the_midst_is_seen_and_the_file_read_again(folder: Folder, monkeypatch, change, size):
    """What is told in the end is what is there in the end."""
    path = folder.put("a.json", os.urandom(size))
    done = meanwhile(monkeypatch, lambda: change(path))
    found = read_file(folder.path, "a.json", QUICK)
    assert done
    assert found.sha256 == digest(path.read_bytes())


@pytest.mark.parametrize("change", [*CHANGES.values(), same_size_same_time], ids=[*CHANGES, "same size and time"])
def test_a_file_that_keeps_changing_is_given_up(folder: Folder, monkeypatch, change):
    """After the tries that patience allows; it is worth another run."""
    path = folder.put("a.json", os.urandom(1000))
    done = meanwhile(monkeypatch, lambda: change(path), times=1000)
    with pytest.raises(ChangedWhileReadError, match="it changed while it was read, 3 times") as caught:
        read_file(folder.path, "a.json", QUICK)
    assert caught.value.retryable
    assert len(done) >= QUICK.tries


def test_a_part_that_is_not_what_it_was_is_refused(folder: Folder):
    """Between the two reads of a large file, with size and time put back."""
    path = folder.put("a.json", os.urandom(2 * PART_BYTES))
    found = read_file(folder.path, "a.json", QUICK)
    same_size_same_time(path)
    with opened(folder.path, "a.json") as file:
        assert not unchanged(folder.path, found, file)
        with pytest.raises(ChangedWhileReadError):
            read_part(file, found, 2)


def test_a_file_that_was_changed_just_now_is_left_alone_for_the_grain_of_its_times(folder: Folder):
    """An edit within the grain would leave no trace: so the read begins only after it."""
    folder.put("a.json", b"{}")
    patience = Patience(tries=1, settle_s=0.3)
    found = read_file(folder.path, "a.json", patience)
    changed_ns = max(found.stamp.mtime_ns, found.stamp.ctime_ns)
    now_ns = (folder.path / "now").write_bytes(b"") or (folder.path / "now").stat().st_ctime_ns
    assert now_ns - changed_ns >= 0.28 * 1_000_000_000


def test_what_is_no_file_is_refused_without_waiting(folder: Folder):
    """A pipe that nobody writes into, a folder, nothing."""
    os.mkfifo(folder.path / "pipe")
    for name, says in (("pipe", "no file any more"), ("other", "no file any more|directory"), ("gone", "was gone")):
        with pytest.raises(LocalFileError, match=says):
            read_file(folder.path, name, QUICK)


def test_waiting_ends_when_the_run_is_stopped(folder: Folder, monkeypatch):
    """Not after the last pause, which may be long."""
    path = folder.put("a.json", os.urandom(1000))
    meanwhile(monkeypatch, lambda: same_size_same_time(path), times=1000)
    stop = threading.Event()
    stop.set()
    with pytest.raises(ChangedWhileReadError):
        read_file(folder.path, "a.json", Patience(tries=9, pause_s=1000, settle_s=0), give_up=stop.is_set)
