"""A day's backup on a real server: all of it, once, or a run that says what is missing."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from s3_assets.backup import send
from s3_assets.backup.globs import OTHER_GROUP
from s3_assets.backup.reading import PART_BYTES, Patience
from s3_assets.backup.run import back_up
from s3_assets.backup.walk import Problem
from s3_assets.errors import (
    BackupFolderError,
    BucketNotFoundError,
    DamagedManifestError,
    StoreUnavailableError,
)
from s3_assets.store.s3_client import Limits
from s3_assets_tests.backup.conftest import DAY, QUICK, SEOUL, Backup, Folder, backup_on
from s3_assets_tests.backup.strangers import as_a_stranger, open_folder

MANIFEST = ".s3_assets-manifests/2026-11-20.json"
NOTHING_MOVES = {"GetObject": 1, "ListObjectsV2": 1}


def sha256(data: bytes) -> str:
    """In hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def problems(result) -> dict[str, str]:
    """What is wrong, by path."""
    return {problem.path: problem.reason for problem in result.problems}


def test_a_day_of_many_files_goes_up_once_and_nothing_moves_the_second_time(backup: Backup):
    """200 small ones, nested, odd and Korean, an empty one, and one of 20 MB in parts; no other day's."""
    contents = {
        f"{name}/{number % 7}/{number}.json": os.urandom(500) for number, name in enumerate(["과속", "b c"] * 100)
    }
    contents |= {
        ".hidden/.x.json": b"{}",
        "line\nbreak+%.json": b"[1]",
        "empty.json": b"",
        "big.json": os.urandom(20_000_000),
    }
    for name, data in contents.items():
        backup.folder.put(name, data)
    backup.folder.put("tomorrow.json", when=datetime(2026, 11, 21, 0, 0, tzinfo=SEOUL))
    result = backup.run()
    assert problems(result) == {}
    assert (result.files, result.written, result.sent) == (204, True, sorted(contents))
    assert result.bytes_sent == sum(map(len, contents.values()))
    assert backup.requests.take() == {
        "GetObject": 1,
        "ListObjectsV2": 2,
        "PutObject": 203 + 1,
        "ListMultipartUploads": 1,
        "CreateMultipartUpload": 1,
        "UploadPart": 3,
        "CompleteMultipartUpload": 1,
        "HeadObject": 1,
    }
    assert backup.keys() == sorted([f"2026-11-20/{name}" for name in contents] + [MANIFEST])
    manifest = json.loads(backup.body(MANIFEST))
    for file in manifest["files"]:
        data = contents[file["path"]]
        assert (file["size"], file["sha256"]) == (len(data), sha256(data))
        assert backup.body(f"2026-11-20/{file['path']}") == data
        assert file["version_id"]
    assert backup.uploads() == []

    again = backup.run()
    assert (again.right, again.written, again.sent, again.bytes_sent) == (True, False, [], 0)
    assert backup.requests.take() == NOTHING_MOVES
    assert again.manifest == result.manifest


def test_an_edit_that_size_and_second_do_not_show_is_sent(backup: Backup):
    """The content decides: here not even the nanosecond is another."""
    backup.folder.put("a.json", b'{"n": 1}')
    backup.folder.put("b.json", b"{}")
    backup.run()
    backup.folder.put("a.json", b'{"n": 2}')
    backup.requests.take()
    result = backup.run()
    assert (result.sent, result.written) == (["a.json"], True)
    assert backup.requests.take()["PutObject"] == 2  # the file and the manifest
    assert backup.body("2026-11-20/a.json") == b'{"n": 2}'


def test_a_late_file_is_added_and_the_rest_is_left(backup: Backup):
    """One for a day of last week: the manifest is the old one and it."""
    week_ago = DAY - timedelta(days=7)
    noon = datetime(week_ago.year, week_ago.month, week_ago.day, 12, tzinfo=SEOUL)
    backup.folder.put("a.json", when=noon)
    backup.run(week_ago)
    backup.folder.put("late.json", b"[2]", when=noon)
    backup.requests.take()
    result = backup.run(week_ago)
    assert (result.sent, result.right, result.written) == (["late.json"], True, True)
    assert result.manifest is not None
    assert sorted(result.manifest.entries) == ["a.json", "late.json"]
    assert backup.requests.take()["PutObject"] == 2


def test_a_local_file_that_goes_stays_in_the_backup(backup: Backup):
    """Removed or changed to another day: the manifest of its day keeps it, and nothing is written."""
    for name in ("a.json", "b.json", "c.json"):
        backup.folder.put(name, name.encode())
    before = backup.run()
    (backup.folder.path / "a.json").unlink()
    backup.folder.put("b.json", b"new", when=datetime(2026, 11, 21, 12, tzinfo=SEOUL))
    result = backup.run()
    assert (result.right, result.written, result.carried) == (True, False, ["a.json", "b.json"])
    assert result.manifest == before.manifest
    assert backup.body("2026-11-20/b.json") == b"b.json"


def test_a_day_without_files_is_whole_too(backup: Backup):
    """Its manifest says that there was nothing."""
    result = backup.run()
    assert (result.right, result.written, result.files) == (True, True, 0)
    assert json.loads(backup.body(MANIFEST))["files"] == []


def test_an_empty_folder_writes_no_manifest(backup: Backup):
    """A disk that is not mounted is no day without files."""
    (backup.folder.path / "other").rmdir()
    with pytest.raises(BackupFolderError):
        backup.run()
    assert backup.keys() == []


def test_groups_are_counted_apart(backup: Backup, tmp_path):
    """By the first that names a file."""
    config = tmp_path / "s3_assets.toml"
    config.write_text('[backup]\nexclude = ["*/skip/**"]\n[backup.groups]\noverspeed = ["overspeed/**"]\n')
    for name in ("overspeed/1.json", "overspeed/2.json", "overspeed/skip/3.json", "error/1.json"):
        backup.folder.put(name)
    result = back_up(backup.site(S3_ASSETS_CONFIG=str(config)), DAY)
    assert {name: (count.files, count.size, count.sent) for name, count in result.groups.items()} == {
        "overspeed": (2, 4, 2),
        OTHER_GROUP: (1, 2, 1),
    }


# --- what can't be backed up -------------------------------------------------------------------------------


def test_each_bad_file_is_named_the_rest_goes_up_and_there_is_no_manifest(backup: Backup):
    """An unreadable file, a circle of links, a name that is no UTF-8; with them mended the rest is not sent again."""
    with open_folder() as path:
        folder = Folder(path)
        site = backup.site(S3_ASSETS_BACKUP_DIR=str(path))
        for number in range(10):
            folder.put(f"{number}.json", bytes([number]))
        folder.put("secret.json").chmod(0)
        (path / "circle").symlink_to(".")
        (path / "8.json").rename(path / os.fsdecode(b"\xff.json"))
        told: list[object] = []
        with as_a_stranger():
            result = back_up(site, DAY, tell=told.append)
        assert problems(result) == {
            "circle": "a link that leads back to a folder above it",
            "secret.json": "it can't be read: Permission denied (let this user read it, or leave it out by `exclude`)",
            "\udcff.json": "a name that is not UTF-8",
        }
        assert sorted(problem.path for problem in told if isinstance(problem, Problem)) == sorted(problems(result))
        assert (result.right, result.written, len(result.sent)) == (False, False, 9)
        assert not any(problem.retryable for problem in result.problems)
        there = backup.keys()
        assert len(there) == 9
        assert MANIFEST not in there

        (path / "secret.json").chmod(0o644)
        (path / "circle").unlink()
        (path / os.fsdecode(b"\xff.json")).rename(path / "8.json")
        site = backup.site(S3_ASSETS_BACKUP_DIR=str(path))
        with as_a_stranger():
            result = back_up(site, DAY)
        assert (result.right, result.written, result.sent) == (True, True, ["8.json", "secret.json"])


def test_a_file_that_is_being_written_is_never_torn(backup: Backup):
    """It grows while the run reads it: named, not sent; the next run takes it when it is done."""
    path = backup.folder.put("growing.json", b"[")
    backup.folder.put("still.json")
    noon = path.stat().st_mtime_ns
    stop = threading.Event()

    def write() -> None:
        with path.open("ab", buffering=0) as file:
            while not stop.wait(0.001):
                file.write(b"1,")
                os.utime(path, ns=(noon, noon))

    writer = threading.Thread(target=write)
    writer.start()
    patient = replace(backup.site(), patience=Patience(tries=2, pause_s=0.01, settle_s=0.3))
    try:
        result = back_up(patient, DAY)
    finally:
        stop.set()
        writer.join()
    assert list(problems(result)) == ["growing.json"]
    assert "it is being written" in problems(result)["growing.json"]
    assert result.problems[0].retryable
    assert backup.keys() == ["2026-11-20/still.json"]
    result = backup.run()
    assert (result.right, result.sent) == (True, ["growing.json"])
    assert backup.body("2026-11-20/growing.json") == path.read_bytes()


def test_a_large_file_that_changes_while_it_is_sent_is_sent_again_whole(backup: Backup, monkeypatch):
    """The upload of the older content is thrown away; size and time are put back, so only the parts' digests tell."""
    path = backup.folder.put("big.json", os.urandom(2 * PART_BYTES + 5))
    read_part, read = send.read_part, []

    def read_and_change(file, reading, number):
        data = read_part(file, reading, number)
        if not read:
            backup.folder.put("big.json", os.urandom(2 * PART_BYTES + 5))
        read.append(number)
        return data

    monkeypatch.setattr(send, "read_part", read_and_change)
    result = backup.run()
    assert (result.right, result.sent) == (True, ["big.json"])
    assert backup.body("2026-11-20/big.json") == path.read_bytes()
    assert backup.requests.take()["AbortMultipartUpload"] == 1
    assert backup.uploads() == []


def test_a_file_that_is_changed_to_today_after_it_was_listed_is_left_for_today(backup: Backup, monkeypatch):
    """It is of another day now: nothing of it is said of this one."""
    backup.folder.put("a.json")
    backup.folder.put("b.json")
    site = backup.site()
    walk = site.walk()
    backup.folder.put("a.json", b"[]", when=datetime(2026, 11, 22, 12, tzinfo=SEOUL))
    monkeypatch.setattr(type(site), "walk", lambda _: walk)
    result = back_up(site, DAY)
    assert (result.right, result.moved, result.sent) == (True, ["a.json"], ["b.json"])
    assert backup.keys() == [MANIFEST, "2026-11-20/b.json"]


def test_a_file_that_goes_between_listing_and_reading_fails_the_run(backup: Backup, monkeypatch):
    """It was there, and is not in the backup: somebody should know. The next run is right."""
    backup.folder.put("a.json")
    backup.folder.put("b.json")
    site = backup.site()
    walk = site.walk()
    (backup.folder.path / "a.json").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(type(site), "walk", lambda _: walk)
        assert problems(back_up(site, DAY)) == {"a.json": "it was gone before it was read"}
    assert backup.run().right


# --- what others do to the bucket --------------------------------------------------------------------------


def test_a_copy_that_was_replaced_or_removed_is_made_again(backup: Backup):
    """The listing shows it; what is not as the manifest says is asked for or sent."""
    for name in ("a.json", "b.json", "c.json"):
        backup.folder.put(name, name.encode())
    backup.run()
    client = backup.client
    client.put_object(Bucket=backup.bucket, Key="backup/2026-11-20/a.json", Body=b"A.json")
    client.delete_object(Bucket=backup.bucket, Key="backup/2026-11-20/b.json")
    result = backup.run()
    assert (result.right, result.sent) == (True, ["a.json", "b.json"])
    assert backup.body("2026-11-20/a.json") == b"a.json"
    assert backup.body("2026-11-20/b.json") == b"b.json"


def test_a_copy_that_is_lost_and_whose_file_is_gone_too_is_a_loud_problem(backup: Backup):
    """Nothing here can bring it back, but its version may."""
    backup.folder.put("a.json")
    backup.folder.put("b.json")
    backup.run()
    (backup.folder.path / "a.json").unlink()
    backup.client.delete_object(Bucket=backup.bucket, Key="backup/2026-11-20/a.json")
    result = backup.run()
    assert problems(result) == {"a.json": "on S3, there is no copy under its name"}
    assert not result.written


def test_a_damaged_manifest_is_left_alone(backup: Backup):
    """What it held of files that are gone can't be known: a person decides."""
    backup.folder.put("a.json")
    backup.run()
    damaged = backup.body(MANIFEST)[:-9]
    backup.client.put_object(Bucket=backup.bucket, Key=f"backup/{MANIFEST}", Body=damaged)
    with pytest.raises(DamagedManifestError, match="no JSON"):
        backup.run()
    assert backup.body(MANIFEST) == damaged


def test_two_runs_of_a_day_at_once_do_each_other_no_harm(backup: Backup):
    """Together they send each file once, or find what the other sent; one manifest, both right."""
    for number in range(40):
        backup.folder.put(f"{number}.json", os.urandom(300))
    backup.folder.put("big.json", os.urandom(2 * PART_BYTES))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda site: back_up(site, DAY), [backup.site(), backup.site()])
    assert problems(first) == problems(second) == {}
    assert first.manifest == second.manifest
    assert sorted({*first.sent, *second.sent}) == sorted(f"{name}.json" for name in [*range(40), "big"])
    versions = backup.client.list_object_versions(Bucket=backup.bucket, Prefix="backup/2026-11-20/")["Versions"]
    assert len(versions) == 41
    backup.requests.take()
    assert backup.run().right
    assert backup.requests.take() == NOTHING_MOVES


def test_a_manifest_that_another_run_wrote_meanwhile_is_merged(backup: Backup, monkeypatch):
    """It held a file that this run has not seen: its own condition fails, and it looks again."""
    backup.folder.put("a.json", b"[1]")
    site, other = backup.site(), backup.site()
    backup.folder.put("b.json", b"[2]")
    everything = site.walk()
    (backup.folder.path / "b.json").unlink()
    manifest = type(site).manifest
    done: list[int] = []

    def read_then_race(self, day):
        found = manifest(self, day)
        if self is site and not done:
            done.append(1)
            backup.folder.put("b.json", b"[2]")
            assert back_up(other, day).written
            (backup.folder.path / "b.json").unlink()
        return found

    monkeypatch.setattr(type(site), "manifest", read_then_race)
    result = back_up(site, DAY)
    assert (result.right, result.carried, result.written) == (True, ["b.json"], False)
    assert result.manifest is not None
    assert sorted(result.manifest.entries) == sorted(everything.days[DAY])


# --- the store -------------------------------------------------------------------------------------------------


def test_a_store_that_does_not_answer_ends_the_run(backup: Backup, monkeypatch):
    """Not once for each of a thousand files."""
    for number in range(30):
        backup.folder.put(f"{number}.json")
    site = backup.site()
    tried: list[str] = []

    def fail(self, key, *_, **__):
        tried.append(key)
        raise StoreUnavailableError("PutObject", key, "503")

    monkeypatch.setattr(type(site.bucket), "put", fail)
    with pytest.raises(StoreUnavailableError):
        back_up(site, DAY)
    assert len(tried) < 30


def test_one_failed_write_fails_the_run_and_nothing_else(backup: Backup, monkeypatch):
    """The others are there; the next run sends that one."""
    for number in range(12):
        backup.folder.put(f"{number}.json")
    site = backup.site()
    put = type(site.bucket).put

    def fail_one(self, key, *arguments, **options):
        if key.endswith("/7.json"):
            raise StoreUnavailableError("PutObject", key, "503")
        return put(self, key, *arguments, **options)

    with monkeypatch.context() as patched:
        patched.setattr(type(site.bucket), "put", fail_one)
        result = back_up(site, DAY)
    assert list(problems(result)) == ["7.json"]
    assert (result.written, len(result.sent)) == (False, 11)
    assert backup.run().sent == ["7.json"]


def test_a_bucket_that_is_not_there_is_said_at_once(backup: Backup):
    """With what to do."""
    site = backup.site(S3_ASSETS_BACKUP_TARGET="s3://no-such-bucket-here/backup/")
    with pytest.raises(BucketNotFoundError):
        back_up(site, DAY)


def test_a_dry_run_announces_exactly_what_a_run_then_sends(backup: Backup):
    """And sends nothing."""
    for number in range(5):
        backup.folder.put(f"{number}.json", bytes([number]))
    backup.run()
    backup.folder.put("2.json", b"[]")
    backup.folder.put("new.json", os.urandom(PART_BYTES + 1))
    before = backup.keys()
    backup.requests.take()
    announced = backup.run(dry_run=True)
    assert set(backup.requests.take()) <= {"GetObject", "ListObjectsV2", "HeadObject"}
    assert backup.keys() == before
    done = backup.run()
    assert announced.sent == done.sent == ["2.json", "new.json"]
    assert (announced.written, announced.manifest, announced.bytes_sent) == (False, None, 0)


@pytest.mark.parametrize("name", ["seaweedfs", "ministack", "moto"])
def test_what_each_store_says_of_its_copies_is_checked(running, folder: Folder, name):
    """By its checksum where it tells one, by reading back where it does not; odd names that it can't keep are named."""
    backup = backup_on(running(name), folder.path)
    contents = {"a.json": b"[1]", "b c+%.json": b"", "big.json": os.urandom(PART_BYTES + 7), "back\\slash.json": b"[2]"}
    for path, data in contents.items():
        backup.folder.put(path, data)
    result = backup.run()
    wrong = {"back\\slash.json": "on S3, there is no copy under its name"} if name == "seaweedfs" else {}
    assert problems(result) == wrong
    for path in wrong:
        (folder.path / path).unlink()
        del contents[path]
    backup.requests.take()
    result = backup.run()
    assert result.right
    assert result.sent == []
    assert {path: backup.body(f"2026-11-20/{path}") for path in contents} == contents
    if name == "moto":  # tells no checksum, and checks none
        assert backup.requests.take() == NOTHING_MOVES


def test_a_store_that_keeps_other_bytes_is_found_out(running, folder: Folder, monkeypatch):
    """Moto takes any body for any checksum: what arrived is read back."""
    backup = backup_on(running("moto"), folder.path)
    backup.folder.put("a.json", b"[1]")
    backup.folder.put("b.json", b"[2]")
    site = backup.site()
    client = site.bucket._clients.boto
    send_it = client.put_object

    def damage(**request):
        if request["Key"].endswith("b.json"):
            request["Body"] = b"[3]"
        return send_it(**request)

    monkeypatch.setattr(client, "put_object", damage)
    result = back_up(site, DAY)
    assert list(problems(result)) == ["b.json"]
    assert "is damaged" in problems(result)["b.json"]
    assert not result.written
    mended = backup.run()  # what says to be the file and is not, is found and sent again
    assert (mended.right, mended.sent) == (True, ["b.json"])
    assert backup.body("2026-11-20/b.json") == b"[2]"


def test_limits_and_patience_reach_the_clients(backup: Backup):
    """What is given to `open_backup` is used."""
    from s3_assets.backup.site import open_backup
    from s3_assets.settings import load_backup_settings

    site = open_backup(load_backup_settings(backup.environment), limits=Limits(attempts=1), patience=QUICK)
    assert site.patience is QUICK
    assert site.bucket._clients.limits.attempts == 1
    assert site.manifest_key(date(2026, 1, 2)) == "backup/.s3_assets-manifests/2026-01-02.json"
