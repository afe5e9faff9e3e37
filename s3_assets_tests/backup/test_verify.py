"""Verify and audit: each wrong copy is found, each late file is named."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.backup.plan import listing_digest
from s3_assets.backup.verify import Known, audit, verify
from s3_assets.errors import NoBackupError
from s3_assets_tests.backup.conftest import DAY, SEOUL, Backup

if TYPE_CHECKING:
    from s3_assets.backup.site import BackupSite


@pytest.fixture
def done(backup: Backup) -> Backup:
    """Backed up."""
    for name in ("a.json", "b.json", "c.json"):
        backup.folder.put(name, name.encode())
    assert backup.run().right
    backup.requests.take()
    return backup


def test_a_right_day_is_read_back_in_whole(done: Backup):
    """Or only compared with the listing."""
    found = verify(done.site(), DAY)
    assert (found.right, found.bytes_read) == (True, 18)
    assert done.requests.take() == {"GetObject": 1 + 3, "ListObjectsV2": 1}
    found = verify(done.site(), DAY, read=False)
    assert (found.right, found.bytes_read) == (True, 0)
    assert done.requests.take() == {"GetObject": 1, "ListObjectsV2": 1}


def test_each_wrong_copy_is_named(done: Backup):
    """Replaced or gone; the good one is none of them."""
    done.client.put_object(Bucket=done.bucket, Key="backup/2026-11-20/a.json", Body=b"A.json")
    done.client.delete_object(Bucket=done.bucket, Key="backup/2026-11-20/b.json")
    for read in (True, False):
        found = verify(done.site(), DAY, read=read)
        assert not found.right
        assert sorted(problem.path for problem in found.problems) == ["a.json", "b.json"]


def test_bytes_that_rot_under_the_same_etag_are_found_by_reading(done: Backup, monkeypatch):
    """The listing can't show them."""
    site = done.site()
    get = type(site.bucket).get

    def rot(self, key, **options):
        for chunk in get(self, key, **options):
            yield chunk.replace(b"b", b"B")

    monkeypatch.setattr(type(site.bucket), "get", rot)
    assert [problem.path for problem in verify(site, DAY).problems] == ["b.json"]
    assert verify(site, DAY, read=False).right


def test_late_files_are_named(done: Backup):
    """New, or changed since."""
    done.folder.put("new.json")
    done.folder.put("a.json", b"longer now")
    found = verify(done.site(), DAY)
    assert [file.path for file in found.late] == ["a.json", "new.json"]
    assert not found.right


def test_a_day_without_a_manifest_is_an_error(done: Backup):
    """It names the day."""
    with pytest.raises(NoBackupError, match="2026-11-19"):
        verify(done.site(), date(2026, 11, 19))


def known_to(site: BackupSite) -> dict[date, Known]:
    """Had all days with a manifest been right just now."""
    days, etags = site.walk().days, site.backed_up_days()
    return {day: Known(listing_digest(days[day].values()), etag) for day, etag in etags.items()}


def test_an_audit_finds_the_days_that_have_late_files(done: Backup):
    """One listing, and one GET for each day that is not known to be right."""
    week_ago = DAY - timedelta(days=7)
    noon = datetime(week_ago.year, week_ago.month, week_ago.day, 12, tzinfo=SEOUL)
    done.folder.put("old.json", when=noon)
    done.run(week_ago)
    done.folder.put("today.json", when=datetime(2026, 11, 22, 12, tzinfo=SEOUL))
    site = done.site()
    known = known_to(site)
    done.requests.take()
    found = audit(site, known)
    assert (found.right, found.late, found.damaged, found.problems) == ({DAY, week_ago}, {}, {}, [])
    assert found.files == {DAY: 3, week_ago: 1, date(2026, 11, 22): 1}
    assert done.requests.take() == {"ListObjectsV2": 1}

    done.folder.put("late.json", when=noon)
    found = audit(site, known)
    assert ({day: [file.path for file in files] for day, files in found.late.items()}) == {week_ago: ["late.json"]}
    assert found.right == {DAY}
    assert done.requests.take() == {"ListObjectsV2": 1, "GetObject": 1}

    (done.folder.path / "late.json").unlink()
    (done.folder.path / "a.json").unlink()
    assert audit(site).right == {DAY, week_ago}  # a file that went is not late


def test_an_audit_names_damaged_manifests(done: Backup):
    """They are not right, and hide no other day."""
    done.client.put_object(Bucket=done.bucket, Key="backup/.s3_assets-manifests/2026-11-20.json", Body=b"{")
    done.client.put_object(Bucket=done.bucket, Key="backup/.s3_assets-manifests/notes.txt", Body=b"{")
    found = audit(done.site())
    assert list(found.damaged) == [DAY]
    assert found.right == set()


def test_an_audit_reads_a_manifest_that_was_replaced_whatever_its_files_are(done: Backup):
    """Cut short under files that are as they were, and under none; one that another run wrote is read, and is right."""
    week_ago = DAY - timedelta(days=7)
    done.folder.put("old.json", when=datetime(week_ago.year, week_ago.month, week_ago.day, 12, tzinfo=SEOUL))
    done.run(week_ago)
    site = done.site()
    known = known_to(site)
    (done.folder.path / "old.json").unlink()
    done.requests.take()
    assert audit(site, known).right == {DAY, week_ago}
    assert done.requests.take() == {"ListObjectsV2": 1}
    for day in (DAY, week_ago):
        key = f"backup/.s3_assets-manifests/{day}.json"
        data = done.client.get_object(Bucket=done.bucket, Key=key)["Body"].read()
        done.client.put_object(Bucket=done.bucket, Key=key, Body=data[:-40])
    found = audit(site, known)
    assert found.damaged.keys() == {DAY, week_ago}
    assert found.right == set()
    assert done.requests.take() == {"ListObjectsV2": 1, "GetObject": 2}
    done.client.put_object(Bucket=done.bucket, Key=key, Body=data + b" ")
    assert audit(site, known).right == {week_ago}
