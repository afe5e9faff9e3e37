"""How large targets are committed on each server: what is found out, and each way by itself."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from s3_assets.errors import AccessDeniedError, PreconditionFailedError
from s3_assets.store.contract import MIN_PART_BYTES
from s3_assets.store.s3_commit import Commit, staging_key
from s3_assets_tests.store.stand_in import StandIn, error

if TYPE_CHECKING:
    from s3_assets.store.s3 import S3Store
    from s3_assets_tests.servers import Server

EXPECTED = {
    "seaweedfs": (Commit.STAGE, True),
    "ministack": (Commit.COMPLETE, True),
    "moto": (Commit.SPOOL, False),
}
"""The way that is chosen, and whether parts are copied on the server."""

BOTH = {"if_match", "if_absent"}

HONOURED: dict[tuple[str, str], set[str]] = {
    ("seaweedfs", "complete"): BOTH,
    ("seaweedfs", "stage"): BOTH,
    ("seaweedfs", "spool"): BOTH,
    ("ministack", "complete"): BOTH,
    ("ministack", "stage"): set(),
    ("ministack", "spool"): BOTH,
    ("moto", "complete"): {"if_absent"},
    ("moto", "stage"): set(),
    ("moto", "spool"): BOTH,
}
"""Which conditions a server honours in which way when nothing else writes."""


def all_versions(server: Server, bucket: str) -> list[str]:
    """The keys of all versions and delete markers in the bucket."""
    answer = server.client().list_object_versions(Bucket=bucket)
    return [found["Key"] for found in (*answer.get("Versions", []), *answer.get("DeleteMarkers", []))]


def test_a_staged_upload_leaves_no_mark_of_a_deletion_where_versioning_is_suspended(server) -> None:
    """A deletion that names no version would leave one."""
    bucket = server.new_bucket(versioned=True)
    server.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    with server.store(bucket, large_commit="stage").start_upload("a") as upload:
        upload.put_part(1, b"x")
        upload.complete(if_absent=True)
    assert all_versions(server, bucket) == ["a"]


class TestProbe:
    """`auto`."""

    def test_finds_out_once_and_cleans_up(self, server, caplog) -> None:
        """One line in the log; no version and no upload is left, also in a versioned bucket."""
        bucket = server.new_bucket(versioned=True)
        store = server.store(bucket)
        with caplog.at_level(logging.INFO, logger="s3_assets.store.s3_probe"):
            findings = store.probe()
            assert store.probe() is findings
            assert store.findings is findings
        assert (findings.commit, findings.copies_checked) == EXPECTED[server.name]
        lines = [record.message for record in caplog.records if record.name == "s3_assets.store.s3_probe"]
        assert lines == [f"bucket {bucket}: {findings.line()}"]
        assert all_versions(server, bucket) == []
        assert list(store.list_uploads("")) == []

    def test_where_versioning_is_suspended_no_mark_of_a_deletion_is_left(self, server) -> None:
        """A deletion that names no version would leave one."""
        bucket = server.new_bucket(versioned=True)
        server.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
        found = server.store(bucket).probe().commit
        assert found in {EXPECTED[server.name][0], Commit.SPOOL}  # SeaweedFS let two racing writers win once
        assert all_versions(server, bucket) == []

    def test_nothing_is_probed_before_it_matters(self, server) -> None:
        """Small targets need no scratch key."""
        store = server.store(server.new_bucket())
        store.put("a", b"x", if_absent=True)
        assert store.findings is None

    def test_scratch_keys_forbidden(self) -> None:
        """Say what to allow, or what to set."""
        with StandIn(error(403, "AccessDenied")) as server, pytest.raises(AccessDeniedError) as caught:
            server.store(large_commit="auto").start_upload("a")
        assert ".s3_assets-staging/" in caught.value.hint

    def test_set_by_hand(self) -> None:
        """Is not probed."""
        with StandIn(error(403, "AccessDenied")) as server:
            assert server.store(large_commit="stage").probe().commit is Commit.STAGE
            assert server.log == []


@pytest.fixture(scope="module", params=list(Commit))
def committed(request, server) -> S3Store:
    """A store of each server that commits in each way."""
    store: S3Store = server.store(server.new_bucket(versioned=True), large_commit=request.param)
    return store


class TestWays:
    """Each way on each server, without a race."""

    def test_bytes_type_and_leftovers(self, committed, server, folder) -> None:
        """The right bytes as the right media type, nothing beside them."""
        source = committed.put(f"{folder}source", b"s" * MIN_PART_BYTES + b"0123456789")
        with committed.start_upload(f"{folder}a +", content_type="application/x-test") as upload:
            upload.put_part(9, b"tail")
            upload.copy_part(1, f"{folder}source", 0, MIN_PART_BYTES, if_match=source.etag)
            upload.put_part(5, b"m" * MIN_PART_BYTES)
            info = upload.complete(if_absent=True)
        found = committed.head(f"{folder}a +")
        assert found is not None
        assert (found.etag, found.size, found.version_id) == (info.etag, info.size, info.version_id)
        assert committed.get(f"{folder}a +").read() == b"s" * MIN_PART_BYTES + b"m" * MIN_PART_BYTES + b"tail"
        head = server.client().head_object(Bucket=committed.bucket, Key=f"{folder}a +")
        assert head["ContentType"] == "application/x-test"
        assert head["VersionId"] == info.version_id
        assert [info.key for info in committed.list(".s3_assets-staging/")] == []
        assert [key for key in all_versions(server, committed.bucket) if "staging" in key] == []
        assert list(committed.list_uploads("")) == []

    @pytest.mark.parametrize("condition", [{"if_match": "0" * 32}, {"if_absent": True}], ids=sorted(BOTH, reverse=True))
    def test_stale(self, committed, server, folder, condition) -> None:
        """Refused exactly where the table says so."""
        way = committed.probe().commit
        etag = committed.put(f"{folder}a", b"there").etag
        with committed.start_upload(f"{folder}a") as upload:
            upload.put_part(1, b"new")
            if set(condition) <= HONOURED[server.name, way.value]:
                with pytest.raises(PreconditionFailedError):
                    upload.complete(**condition)
                assert committed.get(f"{folder}a").info.etag == etag
            else:
                upload.complete(**condition)
                assert committed.get(f"{folder}a").read() == b"new"
        assert [key for key in all_versions(server, committed.bucket) if "staging" in key] == []

    def test_second_try(self, committed, folder) -> None:
        """After a refusal the same upload can be completed with a fresh condition."""
        etag = committed.put(f"{folder}b", b"there").etag
        with committed.start_upload(f"{folder}b") as upload:
            upload.put_part(1, b"new")
            try:
                upload.complete(if_match="0" * 32)
            except PreconditionFailedError:
                upload.complete(if_match=etag)
        assert committed.get(f"{folder}b").read() == b"new"


@pytest.mark.parametrize("name", ["a +%가.b", "가" * 320], ids=["short", "long"])
def test_what_a_killed_builder_staged_is_found_by_its_key_and_removed(running, name) -> None:
    """Parts that are one staged object already are an open upload still; nothing of it stays, no version either."""
    server = running("seaweedfs")
    store = server.store(server.new_bucket(versioned=True), large_commit="stage")
    killed = store.start_upload(name)
    killed.put_part(1, b"data")
    [begun] = store.list_uploads(name)
    assert (begun.key, begun.staged) == (name, killed._parts.key)
    killed._parts.complete({})  # and no more: the copy to the target is never made
    [left] = store.list_uploads(name)
    assert (left.key, left.staged) == (name, killed._parts.key)
    assert list(store.list_uploads(f"{name}c")) == []
    store.abort_upload(left)
    store.abort_upload(left)
    assert list(store.list_uploads(name)) == []
    assert all_versions(server, store.bucket) == []


def test_staging_keys_fit() -> None:
    """No staging key is longer than a key may be; each is new."""
    long = "가" * 340
    assert len(staging_key("p/", long).encode()) <= 1024
    assert staging_key("p/", "a").startswith("p/a.")
    assert staging_key("p/", "a") != staging_key("p/", "a")
