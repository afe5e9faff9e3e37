"""Restore: every file of a day as it was, nothing outside of the folder, nothing overwritten unasked."""

from __future__ import annotations

import os
from datetime import date
from typing import TYPE_CHECKING

import pytest

from s3_assets.backup import restore as restoring
from s3_assets.backup.reading import PART_BYTES
from s3_assets.backup.restore import PARTIAL, restore
from s3_assets.errors import LocalFileError, NoBackupError
from s3_assets_tests.backup.conftest import DAY, Backup

if TYPE_CHECKING:
    from pathlib import Path

CONTENTS = {"a.json": b"[1]", "x/과속/b c.json": b"", "x/.d.json": b"{}", "line\nbreak.json": b"[2]"}


def below(folder: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def done(backup: Backup) -> Backup:
    """Backed up."""
    for name, data in CONTENTS.items():
        backup.folder.put(name, data)
    assert backup.run().right
    return backup


def test_a_day_comes_back_with_its_contents_and_times(done: Backup, tmp_path):
    """Also a large file, and into a folder that is not there yet; a second time there is nothing to do."""
    done.folder.put("big.json", os.urandom(PART_BYTES + 3))
    done.run()
    into = tmp_path / "new/folder"
    result = restore(done.site(), DAY, into)
    assert (result.problems, result.left) == ([], [])
    assert sorted(result.written) == sorted([*CONTENTS, "big.json"])
    assert below(into) == below(done.folder.path)
    for name in CONTENTS:
        assert (into / name).stat().st_mtime_ns == (done.folder.path / name).stat().st_mtime_ns
    again = restore(done.site(), DAY, into)
    assert (again.written, sorted(again.left), again.bytes_read) == ([], sorted([*CONTENTS, "big.json"]), 0)


def test_what_was_lost_comes_back_into_the_folder_itself_and_is_of_its_day(done: Backup):
    """The drill: a file is gone, the day is restored over the rest, and the next backup moves nothing."""
    (done.folder.path / "a.json").unlink()
    result = restore(done.site(), DAY, done.folder.path)
    assert (result.written, len(result.left), result.problems) == (["a.json"], 3, [])
    done.requests.take()
    assert done.run().right
    assert done.requests.take() == {"GetObject": 1, "ListObjectsV2": 1}


def test_a_file_that_differs_is_left_alone_unless_asked(done: Backup, tmp_path):
    """Of another size, or of the same; the others are restored."""
    (tmp_path / "into/x").mkdir(parents=True)
    mine = {"a.json": b"[9]", "x/.d.json": b"mine"}
    for name, data in mine.items():
        (tmp_path / "into" / name).write_bytes(data)
    result = restore(done.site(), DAY, tmp_path / "into")
    assert {problem.path for problem in result.problems} == set(mine)
    assert all("--overwrite" in problem.reason for problem in result.problems)
    assert below(tmp_path / "into") == {**CONTENTS, **mine}
    result = restore(done.site(), DAY, tmp_path / "into", overwrite=True)
    assert (result.problems, result.written) == ([], sorted(mine))
    assert below(tmp_path / "into") == CONTENTS


def test_links_are_never_followed(done: Backup, tmp_path):
    """A link in place of a folder is refused; one in place of a file is replaced, never written through."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"precious")
    into = tmp_path / "into"
    into.mkdir()
    (into / "x").symlink_to(outside)
    (into / "a.json").symlink_to(outside / "victim")
    result = restore(done.site(), DAY, into, overwrite=True)
    assert {problem.path for problem in result.problems} == {"x/과속/b c.json", "x/.d.json"}
    assert all("a link or a file is where a folder should be" in problem.reason for problem in result.problems)
    assert below(outside) == {"victim": b"precious"}
    assert (into / "a.json").read_bytes() == b"[1]"
    assert not (into / "a.json").is_symlink()


def test_a_folder_or_a_pipe_with_the_name_of_a_file_is_left(done: Backup, tmp_path):
    """Also with `--overwrite` for the folder; the pipe is not opened."""
    (tmp_path / "into/a.json").mkdir(parents=True)
    (tmp_path / "into/x").write_bytes(b"a file")
    os.mkfifo(tmp_path / "into/line\nbreak.json")
    result = restore(done.site(), DAY, tmp_path / "into")
    assert {problem.path for problem in result.problems} == set(CONTENTS)
    result = restore(done.site(), DAY, tmp_path / "into", overwrite=True)
    assert {problem.path for problem in result.problems} == {"a.json", "x/.d.json", "x/과속/b c.json"}


def test_a_copy_that_was_overwritten_comes_back_by_its_version(done: Backup, tmp_path):
    """The manifest names it; so also where the current one was deleted."""
    done.client.put_object(Bucket=done.bucket, Key="backup/2026-11-20/a.json", Body=b"[0]")
    done.client.delete_object(Bucket=done.bucket, Key="backup/2026-11-20/x/.d.json")
    assert restore(done.site(), DAY, tmp_path / "into").problems == []
    assert below(tmp_path / "into") == CONTENTS


def test_a_damaged_copy_never_gets_the_files_name(done: Backup, tmp_path):
    """No version is left of it: it is named, the others come back, nothing partial stays."""
    key = "backup/2026-11-20/a.json"
    for version in done.client.list_object_versions(Bucket=done.bucket, Prefix=key)["Versions"]:
        done.client.delete_object(Bucket=done.bucket, Key=key, VersionId=version["VersionId"])
    done.client.put_object(Bucket=done.bucket, Key=key, Body=b"[0]")
    result = restore(done.site(), DAY, tmp_path / "into")
    assert [problem.path for problem in result.problems] == ["a.json"]
    assert "is damaged" in result.problems[0].reason
    assert below(tmp_path / "into") == {name: data for name, data in CONTENTS.items() if name != "a.json"}


def test_a_file_that_comes_while_it_is_restored_is_left_alone(done: Backup, tmp_path, monkeypatch):
    """Between the look and the end of the download."""
    download = restoring._download

    def download_and_race(site, key, entry, folder, partial):
        download(site, key, entry, folder, partial)
        if entry.path == "a.json":
            (tmp_path / "into/a.json").write_bytes(b"came first")

    monkeypatch.setattr(restoring, "_download", download_and_race)
    result = restore(done.site(), DAY, tmp_path / "into")
    assert [problem.path for problem in result.problems] == ["a.json"]
    assert below(tmp_path / "into") == {**CONTENTS, "a.json": b"came first"}
    assert not any(name.endswith(PARTIAL) for name in below(tmp_path / "into"))


def test_a_file_system_without_hard_links_will_do(done: Backup, tmp_path, monkeypatch):
    """Such as FAT: the file is renamed."""

    def no_links(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    assert restore(done.site(), DAY, tmp_path / "into").problems == []
    assert below(tmp_path / "into") == CONTENTS


def test_a_day_that_is_not_backed_up_says_how_to(done: Backup, tmp_path):
    """And makes no folder."""
    with pytest.raises(NoBackupError) as caught:
        restore(done.site(), date(2026, 11, 19), tmp_path / "into")
    assert "backup run --date 2026-11-19" in caught.value.describe()
    assert not (tmp_path / "into").exists()


def test_a_place_that_is_no_folder_is_named(done: Backup, tmp_path):
    """Not a trace."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(LocalFileError, match="the folder can't be used"):
        restore(done.site(), DAY, tmp_path / "file")
