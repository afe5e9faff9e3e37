"""What a person is told when the store can't be reached at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from s3_assets.errors import BucketNotFoundError, StoreError, StoreUnavailableError
from s3_assets.store.s3 import S3Store
from s3_assets.store.s3_client import Limits
from s3_assets.store.s3_errors import server_of

if TYPE_CHECKING:
    from s3_assets_tests.servers import Server


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made up: nothing is reached."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret")


def test_an_endpoint_without_a_scheme_is_named() -> None:
    """Not as a trace of botocore's."""
    with pytest.raises(StoreError, match="the endpoint is no URL") as caught:
        list(S3Store("bucket", endpoint_url="localhost:9000").list("a/"))
    assert "http://localhost:9000" in caught.value.hint


def test_a_store_that_does_not_answer_says_where_to_look() -> None:
    """Which server it was, by either client, without what its address may hold of credentials; can be tried again."""
    store = S3Store("bucket", endpoint_url="http://me:hunter2@127.0.0.1:1", limits=Limits(attempts=1, retry_s=1))
    for ask in (lambda: list(store.list("a/")), lambda: store.head("a")):
        with pytest.raises(
            StoreUnavailableError, match=r"at http://127\.0\.0\.1:1|HEAD http://127\.0\.0\.1:1 in"
        ) as caught:
            ask()
        assert "the-secret" not in caught.value.describe()
        assert "hunter2" not in caught.value.describe()
        assert "me:" not in caught.value.describe()
    with pytest.raises(StoreUnavailableError) as caught:
        list(store.list("a/"))
    assert "AWS_ENDPOINT_URL" in caught.value.hint


@pytest.mark.parametrize(
    "url, server",
    [
        ("https://bucket.s3.amazonaws.com/k?X-Amz-Signature=abc", "https://bucket.s3.amazonaws.com"),
        ("http://[::1]:9000/bucket", "http://[::1]:9000"),
        ("http://a@b@host:80/x", "http://host:80"),
        ("http://host:no-port/", "<url>"),
        ("http://pass word/", "<url>"),
        ("http://", "<url>"),
    ],
)
def test_of_an_address_only_the_server_is_told(url: str, server: str) -> None:
    """Nothing where that can't be told apart."""
    assert server_of(url) == server


def test_a_bucket_that_is_not_there_is_named(server: Server) -> None:
    """In a listing, a read and a write: the key alone says nothing."""
    store = server.store("no-such-bucket")
    for ask in (lambda: list(store.list("a/")), lambda: store.get("a").read(), lambda: store.put("a", b"")):
        with pytest.raises(BucketNotFoundError, match=r"'/?no-such-bucket"):
            ask()
