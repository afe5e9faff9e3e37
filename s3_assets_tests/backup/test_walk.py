"""The folder is listed in whole, or what is missing from the list is named."""

from __future__ import annotations

import os
from datetime import date, datetime

import pytest

from s3_assets.backup.globs import Selection
from s3_assets.backup.walk import every_file, walk
from s3_assets.errors import BackupFolderError
from s3_assets_tests.backup.conftest import DAY, SEOUL, Folder
from s3_assets_tests.backup.strangers import as_a_stranger, open_folder

JSON = Selection(("**/*.json",), ("left/out/**",), {})


def names(found) -> dict[date, list[str]]:
    """The paths of each day."""
    days: dict[date, list[str]] = {}
    for day, file in every_file(found):
        days.setdefault(day, []).append(file.path)
    return days


def told(found) -> dict[str, str]:
    """What is wrong, by path."""
    assert len({problem.path for problem in found.problems}) == len(found.problems)
    return {problem.path: problem.reason for problem in found.problems}


def test_files_of_any_depth_are_found_by_the_day_of_their_last_change(folder: Folder):
    """Only those that are selected; names with dots, spaces, line breaks and Korean are names like others."""
    folder.put("a.json", when=datetime(2026, 11, 20, 0, 0, tzinfo=SEOUL))
    folder.put("x/y/z/과속 1.json", when=datetime(2026, 11, 20, 23, 59, 59, tzinfo=SEOUL))
    folder.put("x/.hidden.json")
    folder.put("x/line\nbreak.json")
    folder.put("x/later.json", when=datetime(2026, 11, 21, 0, 0, tzinfo=SEOUL))
    folder.put("x/other.csv")
    folder.put("left/out/a.json")
    found = walk(folder.path, JSON, SEOUL)
    assert names(found) == {
        DAY: ["a.json", "x/.hidden.json", "x/line\nbreak.json", "x/y/z/과속 1.json"],
        date(2026, 11, 21): ["x/later.json"],
    }
    assert told(found) == {}


def test_links_are_followed_but_not_in_circles(folder: Folder):
    """A circle is named; what is in it is found once by each way that leads there."""
    folder.put("data/a.json")
    (folder.path / "again").symlink_to("data")
    (folder.path / "data/up").symlink_to("..")
    (folder.path / "self").symlink_to("self")
    (folder.path / "one.json").symlink_to("data/a.json")
    found = walk(folder.path, JSON, SEOUL)
    assert names(found) == {DAY: ["again/a.json", "data/a.json", "one.json"]}
    assert sorted(told(found)) == ["again/up", "data/up", "self"]
    assert "leads back to a folder above it" in told(found)["data/up"]
    assert found.problems_of(date(2020, 1, 1)) == found.problems  # of no day: of every one


def test_links_to_nothing_are_named(folder: Folder):
    """A file of its own day; anything else may be a folder whose disk is not mounted."""
    folder.put("a.json")
    (folder.path / "gone.json").symlink_to("nowhere")
    stamp = int(datetime(2026, 11, 3, 12, tzinfo=SEOUL).timestamp())
    os.utime(folder.path / "gone.json", (stamp, stamp), follow_symlinks=False)
    (folder.path / "disk").symlink_to("/nowhere/at/all")
    found = walk(folder.path, JSON, SEOUL)
    assert told(found) == {"gone.json": "a link to nothing", "disk": "a link to nothing: is its disk mounted?"}
    assert {problem.path for problem in found.problems_of(date(2026, 11, 3))} == {"gone.json", "disk"}
    assert [problem.path for problem in found.problems_of(DAY)] == ["disk"]


def test_what_s3_can_not_hold_is_named_and_the_rest_is_found(folder: Folder):
    """A name that is not UTF-8, a key that is too long, a pipe: each for itself."""
    folder.put("good.json")
    bad = os.fsencode(folder.path) + b"/\xff\xfe.json"
    with open(bad, "wb"):  # noqa: PTH123  (bytes)
        pass
    stamp = int(datetime(2026, 11, 20, 12, tzinfo=SEOUL).timestamp())
    os.utime(bad, (stamp, stamp))
    deep = "/".join(["d" * 200] * 4)
    fits = 1024 - len("backup/2026-11-20/") - len(f"{deep}/.json")
    folder.put(f"{deep}/{'n' * fits}.json")
    folder.put(f"{deep}/{'n' * (fits + 1)}.json")
    os.mkfifo(folder.path / "pipe.json")
    folder.date("pipe.json")
    os.mkfifo(folder.path / "pipe.txt")
    found = walk(folder.path, JSON, SEOUL, prefix="backup/")
    assert [len(path) for path in names(found)[DAY]] == [len(f"{deep}/.json") + fits, len("good.json")]
    assert told(found) == {
        "\udcff\udcfe.json": "a name that is not UTF-8",
        f"{deep}/{'n' * (fits + 1)}.json": "a key of 1025 bytes, S3 takes 1024",
        "pipe.json": "neither a file nor a folder",
    }
    assert {problem.day for problem in found.problems} == {DAY}


def test_a_folder_that_may_not_be_read_is_a_problem_of_every_day():
    """What is in it is not known; left out by `exclude`, it is none."""
    with open_folder() as path:
        folder = Folder(path)
        folder.put("good.json")
        folder.put("closed/a.json")
        folder.put("left/out/a.json")
        for name in ("closed", "left/out"):
            (path / name).chmod(0)
        try:
            with as_a_stranger():
                found = walk(path, JSON, SEOUL)
        finally:
            for name in ("closed", "left/out"):
                (path / name).chmod(0o755)
    assert names(found) == {DAY: ["good.json"]}
    assert told(found) == {"closed": "a folder that can't be read: Permission denied"}
    assert found.problems[0].day is None


def test_an_empty_or_missing_folder_is_never_an_empty_day(tmp_path):
    """A disk that is not mounted looks just so; a day without files is one only in a folder that has something."""
    with pytest.raises(BackupFolderError, match="is empty"):
        walk(tmp_path, JSON, SEOUL)
    with pytest.raises(BackupFolderError, match="No such file") as caught:
        walk(tmp_path / "missing", JSON, SEOUL)
    assert "mounted" in caught.value.describe()
    (tmp_path / "folder").mkdir()
    assert names(walk(tmp_path, JSON, SEOUL)) == {}
