"""Notifications as S3, EventBridge and SNS write them, cut down to what is read and what could confuse."""

from __future__ import annotations

import json
from urllib.parse import quote, quote_plus

from s3_assets.hints.hours import Watched
from s3_assets.hour_file.keys import KeyGrammar

BUCKET = "raw"
WATCHED = Watched(BUCKET, "source/", KeyGrammar())

ENCODINGS = {
    "slashes too, plus for a space": quote_plus,
    "plus for a space": lambda key: quote_plus(key, safe="/"),
    "percent for a space": quote,
    "as it is": lambda key: key,
}
"""All ways in which keys were seen, or are documented, to be written."""


def record(key: str, *, bucket: str = BUCKET, event: str = "ObjectCreated:Put") -> dict:
    """One record of S3's own; `key` as it is to stand there."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": event,
        "s3": {
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {"key": key, "size": 1, "eTag": "e", "sequencer": "0"},
        },
    }


def direct(*keys: str, bucket: str = BUCKET) -> str:
    """As S3 sends it to SQS: a record per key."""
    return json.dumps({"Records": [record(key, bucket=bucket) for key in keys]})


def eventbridge(key: str, *, bucket: str = BUCKET, kind: str = "Object Created") -> str:
    """As EventBridge sends it."""
    detail = {"version": "0", "bucket": {"name": bucket}, "object": {"key": key, "size": 1}, "reason": "PutObject"}
    return json.dumps({"version": "0", "source": "aws.s3", "detail-type": kind, "detail": detail})


def sns(body: str) -> str:
    """`body` in the envelope of SNS."""
    return json.dumps({"Type": "Notification", "MessageId": "m", "TopicArn": "arn:aws:sns:x:1:t", "Message": body})


TEST_EVENT = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET, "RequestId": "r"})
"""What S3 sends when notifications are set up."""
