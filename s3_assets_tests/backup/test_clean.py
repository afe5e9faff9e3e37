"""Cleaning: a local file goes only while its copy is proven to be the very same."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from s3_assets.backup.clean import clean
from s3_assets.errors import StoreUnavailableError
from s3_assets_tests.backup.conftest import DAY, SEOUL, Backup

NEXT = DAY + timedelta(days=1)


@pytest.fixture
def done(backup: Backup) -> Backup:
    """Two days, backed up; a third, not."""
    for name in ("a.json", "b.json", "x/c.json"):
        backup.folder.put(name, name.encode())
    backup.folder.put("next.json", when=datetime(2026, 11, 21, 12, tzinfo=SEOUL))
    backup.folder.put("before.json", when=datetime(2026, 11, 19, 12, tzinfo=SEOUL))
    assert backup.run().right
    assert backup.run(NEXT).right
    return backup


def here(backup: Backup) -> list[str]:
    """The files of the folder."""
    return sorted(str(path.relative_to(backup.folder.path)) for path in backup.folder.path.rglob("*.json"))


def test_old_files_go_and_stay_in_the_backup(done: Backup):
    """Only those of days before the border, and only of days that are backed up; the backup then moves nothing."""
    result = clean(done.site(), NEXT, dry_run=False)
    assert [(day, file.path) for day, file in result.removed] == [
        (DAY, name) for name in ("a.json", "b.json", "x/c.json")
    ]
    assert here(done) == ["before.json", "next.json"]
    [kept] = result.kept
    assert "all 1 files of 2026-11-19" in kept.path
    assert "backup run --date 2026-11-19" in kept.reason
    again = done.run()
    assert (again.right, again.written, again.carried) == (True, False, ["a.json", "b.json", "x/c.json"])


def test_a_dry_run_announces_exactly_what_goes_and_removes_nothing(done: Backup):
    """It reads the same copies."""
    before = here(done)
    done.requests.take()
    announced = clean(done.site(), NEXT, dry_run=True)
    reads = done.requests.take()
    assert here(done) == before
    removed = clean(done.site(), NEXT, dry_run=False)
    assert (announced.removed, announced.kept) == (removed.removed, removed.kept)
    assert done.requests.take() == reads


def test_a_file_is_kept_while_anything_speaks_against_it(done: Backup):
    """Changed since with size and time put back; its copy replaced, or gone."""
    done.folder.put("a.json", b"A.json")
    key = "backup/2026-11-20/b.json"
    [version] = done.client.list_object_versions(Bucket=done.bucket, Prefix=key)["Versions"]
    done.client.delete_object(Bucket=done.bucket, Key=key, VersionId=version["VersionId"])
    done.folder.put("late.json")
    result = clean(done.site(), NEXT, dry_run=False)
    assert [file.path for _, file in result.removed] == ["x/c.json"]
    assert sorted(problem.path for problem in result.kept)[:3] == ["a.json", "all 1 files of 2026-11-19", "b.json"]
    assert {"a.json", "b.json", "late.json"} <= set(here(done))


def test_a_copy_whose_bytes_rotted_keeps_its_file(done: Backup, monkeypatch):
    """Whatever the bucket says of its ETag and checksum: the bytes were read."""
    site = done.site()
    get = type(site.bucket).get

    def rot(self, key, **options):
        for chunk in get(self, key, **options):
            yield chunk.replace(b"b", b"B")

    monkeypatch.setattr(type(site.bucket), "get", rot)
    result = clean(site, NEXT, dry_run=False)
    assert "b.json" in here(done)
    assert [file.path for _, file in result.removed] == ["a.json", "x/c.json"]


def test_a_file_that_changes_while_its_copy_is_read_is_kept(done: Backup, monkeypatch):
    """The last look is just before it would go."""
    site = done.site()
    digest = type(site.bucket).digest

    def digest_and_change(self, key, **options):
        found = digest(self, key, **options)
        if key.endswith("/a.json"):
            done.folder.put("a.json", b"A.json")
        return found

    monkeypatch.setattr(type(site.bucket), "digest", digest_and_change)
    result = clean(site, NEXT, dry_run=False)
    assert "a.json" in here(done)
    assert "changed while its copy" in next(problem.reason for problem in result.kept if problem.path == "a.json")


def test_the_file_itself_is_the_last_thing_touched(done: Backup, monkeypatch):
    """Where the store fails, nothing went."""
    site = done.site()

    def fail(self, key, **_):
        raise StoreUnavailableError("GetObject", key, "503")

    monkeypatch.setattr(type(site.bucket), "digest", fail)
    before = here(done)
    with pytest.raises(StoreUnavailableError):
        clean(site, NEXT, dry_run=False)
    assert here(done) == before
