"""What a person is told when the store can't be reached at all."""

from __future__ import annotations

import pytest

from s3_assets.errors import StoreError, StoreUnavailableError
from s3_assets.store.s3 import S3Store
from s3_assets.store.s3_client import Limits


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
    """And can be tried again."""
    limits = Limits(attempts=1)
    with pytest.raises(StoreUnavailableError) as caught:
        list(S3Store("bucket", endpoint_url="http://127.0.0.1:1", limits=limits).list("a/"))
    assert "AWS_ENDPOINT_URL" in caught.value.describe()
    assert "the-secret" not in caught.value.describe()
