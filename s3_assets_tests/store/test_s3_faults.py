"""Faults of the network and of servers: the right bytes or a typed error, nothing in between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from s3_assets.errors import (
    AccessDeniedError,
    BodyCutError,
    BucketNotFoundError,
    NotFoundError,
    PreconditionFailedError,
    StoreError,
    StoreUnavailableError,
    WriteConflictError,
)
from s3_assets.store.s3_listing import parse_page
from s3_assets_tests.store.stand_in import Answer, StandIn, error, listing, whole

SLOW_DOWN = error(503, "SlowDown")
CREATED = Answer(200, b"<R><UploadId>u1</UploadId></R>", {"Content-Type": "application/xml"})
PART = Answer(200, b"", {"ETag": '"p1"'})
COMPLETED = Answer(200, b"<R><ETag>&quot;done-1&quot;</ETag></R>", {"Content-Type": "application/xml"})
GONE = Answer(204)
ODD = "a//b"  # a key that goes by boto3


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch) -> None:
    """Botocore's waits between tries can't be configured; how it decides to try again is left alone."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda *_: 0.01)


@pytest.mark.parametrize("key", ["a", ODD])
class TestGet:
    """By obstore and by boto3 alike."""

    def test_busy_then_fine(self, key) -> None:
        """A 503 is tried again."""
        with StandIn(SLOW_DOWN, whole(b"bytes")) as server:
            assert server.store().get(key).read() == b"bytes"
            assert len(server.log) == 2

    def test_busy_for_good(self, key) -> None:
        """Tries are bounded."""
        with StandIn(SLOW_DOWN) as server:
            with pytest.raises(StoreUnavailableError, match="SlowDown") as caught:
                server.store().get(key)
            assert caught.value.retryable
            assert len(server.log) == 2

    def test_no_answer(self, key) -> None:
        """A connection that is closed without a word."""
        with StandIn(Answer(None)) as server, pytest.raises(StoreUnavailableError):
            server.store().get(key)

    def test_cut(self, key) -> None:
        """A body that breaks off."""
        with StandIn(whole(b"half", length=8)) as server, pytest.raises(BodyCutError) as caught:
            server.store().get(key).read()
        assert caught.value.expected == 8

    def test_clean_early_end(self, key) -> None:
        """A body that ends as if all were well, short of its range."""
        half = Answer(206, b"half", {**whole(b"").headers, "Content-Range": "bytes 0-7/100"})
        with StandIn(half) as server, pytest.raises(BodyCutError) as caught:
            server.store().get(key, span=(0, 8)).read()
        assert (caught.value.expected, caught.value.found) == (8, 4)

    def test_denied(self, key) -> None:
        """Nothing secret is told, nor what was signed."""
        answer = error(403, "SignatureDoesNotMatch", "no", "<StringToSign>AWS4 very-secret</StringToSign>")
        with StandIn(answer) as server, pytest.raises(AccessDeniedError) as caught:
            server.store().get(key)
        told = caught.value.describe()
        assert "SignatureDoesNotMatch" in told
        assert "policy" in told
        assert not [word for word in ("very-secret", "AKIATEST", "http://") if word in told]

    def test_no_bucket(self, key) -> None:
        """Another error than a missing key."""
        with StandIn(error(404, "NoSuchBucket")) as server, pytest.raises(BucketNotFoundError):
            server.store().get(key)

    def test_elsewhere(self, key) -> None:
        """A redirect to another region is not followed, and says what to look at."""
        with StandIn(error(301, "PermanentRedirect"), Answer(403)) as server, pytest.raises(StoreError) as caught:
            server.store().get(key)
        assert not caught.value.retryable

    def test_range_refused_because_it_changed(self, key) -> None:
        """A 416 for a range that the object has by now: try again."""
        with StandIn(error(416, "InvalidRange"), whole(b"0123456789")) as server, pytest.raises(StoreUnavailableError):
            server.store().get(key, suffix=5)

    def test_condition_is_sent(self, key) -> None:
        """With quotes around the ETag."""
        with StandIn(whole(b"x")) as server:
            server.store().get(key, if_match="e1").read()
            assert server.headers[0]["if-match"] == '"e1"'


@pytest.mark.parametrize("key", ["a", ODD])
class TestPut:
    """By obstore and by boto3 alike."""

    def test_conflict(self, key) -> None:
        """AWS's 409, which no test server sends."""
        with StandIn(error(409, "ConditionalRequestConflict")) as server, pytest.raises(WriteConflictError) as caught:
            server.store().put(key, b"x", if_match="e0")
        assert caught.value.retryable

    def test_conflict_to_create(self, key) -> None:
        """The same for If-None-Match."""
        with StandIn(error(409, "ConditionalRequestConflict")) as server, pytest.raises(WriteConflictError):
            server.store().put(key, b"x", if_absent=True)

    @pytest.mark.parametrize(
        "answer", [error(404, "NoSuchKey"), error(412, "PreconditionFailed"), Answer(404), Answer(412)]
    )
    def test_lost(self, key, answer) -> None:
        """412, and AWS's 404 where the object to match is gone; also without a body."""
        with StandIn(answer) as server, pytest.raises(PreconditionFailedError):
            server.store().put(key, b"x", if_match="e0")

    def test_no_bucket(self, key) -> None:
        """A condition does not hide it."""
        with StandIn(error(404, "NoSuchBucket")) as server, pytest.raises(BucketNotFoundError):
            server.store().put(key, b"x", if_match="e0")

    def test_busy_then_fine(self, key) -> None:
        """A 503 is tried again, with the condition."""
        with StandIn(SLOW_DOWN, Answer(200, b"", {"ETag": '"e2"'})) as server:
            assert server.store().put(key, b"x", if_match="e1").etag == "e2"
            assert [headers["if-match"] for headers in server.headers] == ['"e1"', '"e1"']

    def test_denied(self, key) -> None:
        """Is denied."""
        with StandIn(error(403, "AccessDenied")) as server, pytest.raises(AccessDeniedError):
            server.store().put(key, b"x")


class TestList:
    """A listing that is not whole is an error, never a short listing."""

    def test_pages(self) -> None:
        """The good case, and laziness: the second page is asked for when it is needed."""
        with StandIn(listing(["a", "b"], token="t1"), listing(["c+d%2Be"])) as server:
            found = server.store().list("")
            assert [next(found).key, next(found).key] == ["a", "b"]
            assert len(server.log) == 1
            assert [info.key for info in found] == ["c d+e"]
            assert "continuation-token=t1" in server.log[1]

    @pytest.mark.parametrize(
        "second",
        [
            SLOW_DOWN,
            Answer(None),
            Answer(200, b""),
            Answer(200, b"<html>welcome</html>"),
            Answer(200, listing(["c"]).body[:-30]),
            Answer(200, listing(["c"]).body, length=10_000),
            listing(["c"], truncated=True),
            listing(["c"], token="t1"),
            Answer(200, listing(["c"]).body.replace(b"Size", b"Sighs")),
            Answer(200, listing(["c"]).body.replace(b"IsTruncated", b"Other")),
            error(200, "InternalError"),
            error(403, "AccessDenied"),
        ],
        ids=[
            "busy", "closed", "empty", "html", "cut", "cut in transit", "no token", "same token", "no size",
            "not said if truncated", "error in 200", "denied",
        ],
    )  # fmt: skip
    def test_second_page_fails(self, second) -> None:
        """Whatever is wrong with it."""
        with StandIn(listing(["a"], token="t1"), second) as server:
            found = server.store().list("p/")
            assert next(found).key == "a"
            with pytest.raises(StoreError) as caught:
                list(found)
            assert caught.value.operation == "ListObjectsV2"
            assert caught.value.retryable or isinstance(caught.value, AccessDeniedError)

    def test_folders_fail_alike(self) -> None:
        """`list_level` too."""
        with StandIn(listing(["a"], token="t1"), SLOW_DOWN) as server, pytest.raises(StoreUnavailableError):
            list(server.store().list_level("p/"))

    def test_a_page_is_parsed_once(self) -> None:
        """Botocore's own handler, which parses a 200 answer to see whether it is an error, finds the page read."""
        bodies = []
        with StandIn(listing(["a"])) as server:
            store = server.store()
            store._clients.boto.meta.events.register(
                "before-parse.s3.*", lambda response_dict, **_: bodies.append(response_dict["body"])
            )
            assert [info.key for info in store.list("p/")] == ["a"]
        assert bodies == [b"<ListBucketResult/>"]

    def test_keys_that_are_not_encoded(self) -> None:
        """Where the server ignores `encoding-type`, a plus and a percent are themselves."""
        body = listing(["a+b%2F&amp;c"]).body.replace(b"<EncodingType>url</EncodingType>", b"")
        assert [info.key for info in parse_page(body).objects] == ["a+b%2F&c"]


class TestHead:
    """HEAD has no body to explain itself."""

    def test_no_bucket(self) -> None:
        """A missing bucket is not a missing object."""
        with StandIn(Answer(404)) as server, pytest.raises(BucketNotFoundError):
            server.store().head("a")

    def test_bucket_is_asked_for_once(self) -> None:
        """Not for each missing object."""
        with StandIn(Answer(404), Answer(200), Answer(404)) as server:
            store = server.store()
            assert store.head("a") is None
            assert store.head("b") is None
            assert server.log == ["HEAD /bucket/a", "HEAD /bucket", "HEAD /bucket/b"]

    def test_denied(self) -> None:
        """Is not 'none'."""
        with StandIn(Answer(403)) as server, pytest.raises(AccessDeniedError):
            server.store().head("a")


SEAWEEDFS = {"Server": "SeaweedFS 8000GB 4.48"}


class TestSecondCondition:
    """SeaweedFS checks a PUT with one condition apart from its copies, and a PUT with two with them."""

    @pytest.mark.parametrize("key", ["a", "a//b"])
    @pytest.mark.parametrize("condition", [{"if_match": "e0"}, {"if_absent": True}], ids=["match", "absent"])
    @pytest.mark.parametrize("status", [200, 403, 404])
    def test_sent_to_it_with_the_first(self, key, condition, status) -> None:
        """By either library, and however it answers to being asked who it is, which is once."""
        with StandIn(Answer(status, headers=SEAWEEDFS), Answer(200, headers={"ETag": '"e1"', **SEAWEEDFS})) as server:
            store = server.store(known_as=None)
            for _ in range(2):
                store.put(key, b"x", **condition)
            assert server.log == ["HEAD /bucket", f"PUT /bucket/{key}", f"PUT /bucket/{key}"]
            for headers in server.headers[1:]:
                assert ("if-match" in headers) == ("if_match" in condition)
                assert headers["if-unmodified-since"] == "Fri, 31 Dec 9999 23:59:59 GMT"

    def test_with_what_is_spooled(self) -> None:
        """It is a PUT too."""
        with StandIn(Answer(200, headers={"ETag": '"e1"', **SEAWEEDFS})) as server:
            with server.store(known_as=None, large_commit="spool").start_upload("a") as upload:
                upload.put_part(1, b"x")
                upload.complete(if_match="e0")
            assert server.headers[-1]["if-unmodified-since"]

    @pytest.mark.parametrize("key", ["a", "a//b"])
    def test_not_alone_and_not_elsewhere(self, key) -> None:
        """A PUT without a condition gets none, and nobody is asked for it; other servers could refuse it."""
        with StandIn(Answer(200, headers={"ETag": '"e1"', **SEAWEEDFS})) as server:
            server.store(known_as=None).put(key, b"x")
            assert server.log == [f"PUT /bucket/{key}"]
            assert "if-unmodified-since" not in server.headers[0]
        with StandIn(Answer(200, headers={"ETag": '"e1"', "Server": "MinIO"})) as server:
            server.store(known_as=None).put(key, b"x", if_absent=True)
            assert server.log == ["HEAD /bucket", f"PUT /bucket/{key}"]
            assert "if-unmodified-since" not in server.headers[1]

    def test_a_proxy_that_answers_for_it_is_not_taken_for_it(self) -> None:
        """Not where it says that it could not reach it."""
        busy = replace(error(503, "SlowDown"), headers={"Server": "nginx"})
        with StandIn(busy, busy, Answer(200, headers=SEAWEEDFS), Answer(200, headers={"ETag": '"e1"'})) as server:
            store = server.store(known_as=None)
            with pytest.raises(StoreUnavailableError):
                store.put("a", b"x", if_absent=True)
            store.put("a", b"x", if_absent=True)
            assert server.log == ["HEAD /bucket"] * 3 + ["PUT /bucket/a"]
            assert server.headers[-1]["if-unmodified-since"]

    def test_no_answer(self) -> None:
        """Then nothing is written."""
        with StandIn(Answer(None)) as server, pytest.raises(StoreUnavailableError):
            server.store(known_as=None).put("a", b"x", if_absent=True)
        assert {line.split()[0] for line in server.log} == {"HEAD"}


class TestCommit:
    """CompleteMultipartUpload and CopyObject can fail in a 200 answer, and can be lost."""

    @pytest.mark.parametrize(
        "answer,expected",
        [
            (error(200, "InternalError"), StoreUnavailableError),
            (error(200, "PreconditionFailed"), PreconditionFailedError),
            (error(200, "AccessDenied"), AccessDeniedError),
            (error(409, "ConditionalRequestConflict"), WriteConflictError),
            (error(404, "NoSuchKey"), PreconditionFailedError),
            (error(404, "NoSuchUpload"), PreconditionFailedError),
            (error(412, "PreconditionFailed"), PreconditionFailedError),
            (error(400, "EntityTooSmall"), StoreError),
            (Answer(None), StoreUnavailableError),
        ],
    )
    @pytest.mark.parametrize("way", ["complete", "stage", "spool"])
    def test_refused(self, way, answer, expected) -> None:
        """A typed error, and what was uploaded is thrown away."""
        before = {"complete": [CREATED, PART], "stage": [CREATED, PART, COMPLETED], "spool": []}[way]
        with StandIn(*before, answer) as server:
            upload = server.store(large_commit=way).start_upload("a")
            upload.put_part(1, b"x")
            with pytest.raises(expected) as caught:
                upload.complete(if_match="e0")
            assert type(caught.value) is expected
            tries = len(server.log) - len(before)
            assert 1 <= tries <= 2
            assert server.headers[-1]["if-match"] == '"e0"'
            server.answers.clear()
            server.answers.append(GONE)
            upload.abort()
            thrown_away = server.log[len(before) + tries :]
            if way == "complete":
                assert thrown_away == ["DELETE /bucket/a?uploadId=u1"]
            elif way == "stage":
                (request,) = thrown_away
                assert request.startswith("DELETE /bucket/.s3_assets-staging/a.")
            else:
                assert thrown_away == []

    def test_answer_lost(self) -> None:
        """The commit was done but its answer lost: the repeat finds no upload. Read again."""
        with StandIn(CREATED, PART, Answer(None), error(404, "NoSuchUpload")) as server:
            upload = server.store().start_upload("a")
            upload.put_part(1, b"x")
            with pytest.raises(PreconditionFailedError):
                upload.complete(if_absent=True)

    def test_staging_object_stays(self, caplog) -> None:
        """The commit stands if only the scratch object could not be removed; it is named in the log."""
        copied = Answer(200, b"<R><ETag>&quot;copy&quot;</ETag><LastModified>2026-11-22T03:00:00Z</LastModified></R>")
        with StandIn(CREATED, PART, COMPLETED, copied, error(403, "AccessDenied")) as server:
            with server.store(large_commit="stage").start_upload("a") as upload:
                upload.put_part(1, b"x")
                assert upload.complete(if_match="e0").etag == "copy"
            assert ".s3_assets-staging/a." in caplog.text

    def test_abort_fails_after_an_error(self) -> None:
        """The first error is the one that is told."""
        with (
            StandIn(CREATED, error(403, "AccessDenied")) as server,
            pytest.raises(RuntimeError, match="first") as caught,
            server.store().start_upload("a"),
        ):
            raise RuntimeError("first")
        assert "could not be aborted" in caught.value.__notes__[0]

    def test_too_large_for_one_copy(self) -> None:
        """5 GiB is the most that a staged target may have, and the error says so."""
        copied = Answer(200, b"<R><ETag>&quot;p&quot;</ETag></R>")
        with (
            StandIn(CREATED, copied, copied, GONE) as server,
            server.store(large_commit="stage").start_upload("a") as upload,
        ):
            upload.copy_part(1, "b", 0, 4 << 30, if_match="e")
            with pytest.raises(StoreError, match="EntityTooLarge"):
                upload.copy_part(2, "b", 0, 2 << 30, if_match="e")


class TestDelete:
    """DELETE."""

    def test_changed_after_the_look(self) -> None:
        """The condition goes along, for stores that honour it."""
        head = whole(b"", headers={"ETag": '"e1"'})
        with StandIn(head, error(412, "PreconditionFailed"), head) as server:
            with pytest.raises(PreconditionFailedError):
                server.store().delete("a", if_match="e1")
            assert server.headers[1]["if-match"] == '"e1"'

    def test_gone_after_the_look(self) -> None:
        """404 is no error."""
        with StandIn(whole(b"", etag="e1"), error(404, "NoSuchKey")) as server:
            server.store().delete("a", if_match="e1")

    def test_denied(self) -> None:
        """Is an error."""
        with StandIn(error(403, "AccessDenied")) as server, pytest.raises(AccessDeniedError):
            server.store().delete("a")


class TestConfiguration:
    """Where the calls go, and with what."""

    def test_nobody_listens(self) -> None:
        """A refused connection is no answer."""
        with StandIn(GONE) as server:
            store = server.store()
        for call in (lambda: store.get("a"), lambda: list(store.list("")), lambda: store.put("a", b"")):
            with pytest.raises(StoreUnavailableError):
                call()

    def test_argument_over_environment(self, monkeypatch) -> None:
        """Both client libraries go where the argument says."""
        with StandIn(whole(b"x"), listing(["a"])) as server:
            for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
                monkeypatch.setenv(name, "http://127.0.0.1:9")
            monkeypatch.setenv("AWS_SESSION_TOKEN", "another")
            store = server.store()
            assert store.get("a").read() == b"x"
            assert [info.key for info in store.list("")] == ["a"]
            assert "x-amz-security-token" not in server.headers[0]

    @pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
    def test_environment(self, monkeypatch, name) -> None:
        """Credentials, endpoint and region come from the environment where nothing else is said."""
        from s3_assets.store.s3 import S3Store

        with StandIn(whole(b"x"), listing(["a"])) as server:
            for variable, value in {
                name: server.url,
                "AWS_ACCESS_KEY_ID": "AKIAENV",
                "AWS_SECRET_ACCESS_KEY": "s",
                "AWS_REGION": "eu-north-1",
            }.items():
                monkeypatch.setenv(variable, value)
            store = S3Store("bucket")
            assert store.get("a").read() == b"x"
            assert [info.key for info in store.list("")] == ["a"]
            for headers in server.headers:
                assert "Credential=AKIAENV/" in headers["authorization"]
                assert "/eu-north-1/s3/" in headers["authorization"]

    def test_no_credentials(self, monkeypatch) -> None:
        """Say so, with what to do."""
        import boto3

        from s3_assets.store.s3 import S3Store

        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        store = S3Store("bucket", session=boto3.Session(), endpoint_url="http://127.0.0.1:9")
        for call in (lambda: store.get("a"), lambda: list(store.list(""))):
            with pytest.raises(AccessDeniedError):
                call()

    def test_not_found_stays_not_found(self) -> None:
        """A GET with a condition on a missing object is no failed condition."""
        with StandIn(error(404, "NoSuchKey")) as server, pytest.raises(NotFoundError):
            server.store().get("a", if_match="e")

    def test_unknown_way_to_commit(self) -> None:
        """Is refused at once."""
        with StandIn(GONE) as server, pytest.raises(ValueError, match="sometimes"):
            server.store(large_commit="sometimes")
