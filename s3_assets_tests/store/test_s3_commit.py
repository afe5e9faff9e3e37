"""How large targets are committed on each server: what is found out, and each way by itself."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.errors import AccessDeniedError, PreconditionFailedError
from s3_assets.store import s3_probe
from s3_assets.store.contract import MIN_PART_BYTES
from s3_assets.store.s3_commit import Commit, staging_key
from s3_assets_tests.store.races import race, winners
from s3_assets_tests.store.stand_in import StandIn, error

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def bucket_of(server: Server, versioning: str, standing: Mapping[str, bytes] | None = None) -> str:
    """A new bucket whose versioning was `never` on, is `Enabled`, or `Suspended` after the `standing` were written."""
    bucket = server.new_bucket(versioned=versioning != "never")
    for key, data in (standing or {}).items():
        server.client().put_object(Bucket=bucket, Key=key, Body=data)
    if versioning == "Suspended":
        configuration = {"Status": "Suspended"}
        server.client().put_bucket_versioning(Bucket=bucket, VersioningConfiguration=configuration)
    return bucket


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
        bucket = bucket_of(server, "Suspended")
        assert server.store(bucket).probe().commit is EXPECTED[server.name][0]
        assert all_versions(server, bucket) == []

    def test_a_server_that_hides_its_name_is_raced_for_longer(self, running, monkeypatch) -> None:
        """SeaweedFS behind a proxy: a PUT and a copy that both win are seen in the end, and all goes by PUT."""
        server = running("seaweedfs")
        monkeypatch.setattr(s3_probe, "PAIRS", 2000)
        monkeypatch.setattr(s3_probe, "PAIRS_S", 60)
        store = server.store(server.new_bucket())

        def rename(parsed: dict[str, Any], http_response: Any, **_: object) -> None:
            http_response.headers = parsed["ResponseMetadata"]["HTTPHeaders"] = {
                **http_response.headers,
                "server": "nginx",
                "Server": "nginx",
            }

        store._clients.boto.meta.events.register_first("after-call.s3", rename)
        findings = store.probe()
        assert findings.commit is Commit.SPOOL
        assert "racing writers won by copy" in findings.reason

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


@pytest.mark.parametrize("versioning", ["never", "Enabled", "Suspended"])
class TestVersioning:
    """Whether versioning is on, was on, or never was: conditions hold."""

    def test_race_of_a_complete_and_a_put(self, scale, server, versioning) -> None:
        """Exactly one of the two wins, and its bytes are there. A crowd mostly stands in line before one lock."""
        store = server.store(bucket_of(server, versioning))
        for number in range(scale.examples(4, 150)):
            etag = store.put("a", b"before %d" % number).etag
            with store.start_upload("a") as upload:
                upload.put_part(1, b"upload")
                with pytest.raises(PreconditionFailedError):
                    upload.complete(if_match="0" * 32)  # of a staged one, only the copy is left to be done
                commits = [partial(upload.complete, if_match=etag), partial(store.put, "a", b"put", if_match=etag)]
                (winner,) = winners(race(commits))
            assert store.get("a").read() == (b"upload", b"put")[winner]

    def test_what_stood_before_can_be_replaced_and_not_created(self, server, versioning) -> None:
        """Also an object that was written while versioning was on."""
        bucket = bucket_of(server, versioning, standing := {name: b"1" + name.encode() for name in ("put", "upload")})
        store = server.store(bucket)
        for name, data in standing.items():
            found = store.head(name)
            assert found is not None
            with pytest.raises(PreconditionFailedError):
                write(store, name, if_absent=True)
            with pytest.raises(PreconditionFailedError):
                write(store, name, if_match="0" * 32)
            assert store.get(name).read() == data
            write(store, name, if_match=found.etag)
            assert store.get(name).read() == b"2"


def write(store: S3Store, name: str, **condition) -> None:
    """By a PUT or by an upload, as the name says."""
    if name == "put":
        store.put(name, b"2", **condition)
        return
    with store.start_upload(name) as upload:
        upload.put_part(1, b"2")
        upload.complete(**condition)


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
