"""From settings to an open pipeline: the one place where stores, policies and threads are put together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from s3_assets.builder.pipeline import Pipeline, Workers
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.store.s3 import S3Store

if TYPE_CHECKING:
    from collections.abc import Iterator

    import boto3

    from s3_assets.settings import Settings


@contextmanager
def open_pipeline(
    settings: Settings,
    *,
    session: boto3.Session | None = None,
    endpoint_url: str | None = None,
    region: str | None = None,
) -> Iterator[Pipeline]:
    """A pipeline over S3; its threads end when it is left. Nothing is sent to S3 by opening it.

    Args:
        settings: Where and how.
        session: Whose credentials to use; None takes them from the environment, as every AWS tool does.
        endpoint_url: Of an S3-compatible store; None leaves it to AWS_ENDPOINT_URL, or AWS.
        region: None leaves it to the session.
    """
    stores = {
        bucket: S3Store(
            bucket, session=session, endpoint_url=endpoint_url, region=region, large_commit=settings.large_commit
        )
        for bucket in {settings.source_bucket, settings.target_bucket}
    }
    with Workers(fetch_threads=settings.fetch_threads, hour_threads=settings.hour_threads) as workers:
        yield Pipeline(
            source=stores[settings.source_bucket],
            source_prefix=settings.source_prefix,
            target=stores[settings.target_bucket],
            target_prefix=settings.target_prefix,
            grammar=KeyGrammar(settings.source_pattern),
            policy=settings.policy,
            workers=workers,
        )
