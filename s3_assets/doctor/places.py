"""A bucket and prefix as a checkup reaches it: the store as the pipeline has it, with little patience.

And what its answers say of themselves: their `Date` and `Server`. What is to be looked at there is not in here.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from s3_assets.doctor.cures import diagnosis
from s3_assets.doctor.policy import BUCKET_RIGHTS, bucket_arn, object_arn
from s3_assets.store.s3 import S3Store
from s3_assets.store.s3_client import Limits, S3Clients

if TYPE_CHECKING:
    import boto3

    from s3_assets.doctor.findings import Finding
    from s3_assets.errors import StoreError
    from s3_assets.settings import Location

PATIENCE: Final = Limits(attempts=2, retry_s=10, connect_s=3, read_s=20, request_s=30)
"""Of one call: a checkup is waited for by a person."""


@dataclass
class Answers:
    """What the answers of a store say of themselves.

    Attributes:
        server: The `Server` header of the last one; empty where there is none.
        skews: By how much the store's clock was ahead of ours, per answer.
    """

    server: str = ""
    skews: list[timedelta] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def note(self, response_dict: dict[str, Any] | None = None, **_: object) -> None:
        """Take one: botocore calls this as its `response-received`."""
        if response_dict is None:  # no answer came
            return
        headers = {name.lower(): value for name, value in response_dict["headers"].items()}
        with self._lock:
            self.server = headers.get("server", "")
            try:
                told = parsedate_to_datetime(headers.get("date", ""))
            except ValueError:
                return
            if told.tzinfo is not None:
                self.skews.append(told - datetime.now(UTC))


@dataclass
class Place:
    """Where something is kept.

    Attributes:
        variable: The setting that says so.
        location: Bucket and prefix.
        clients: Of the bucket; beside the store for calls that are not in its contract.
        store: The same as the pipeline has it.
        answers: What came back.
    """

    variable: str
    location: Location
    clients: S3Clients
    store: S3Store
    answers: Answers

    @property
    def prefix(self) -> str:
        """Empty, or ends in `/`."""
        return self.location.prefix

    def resource(self, operation: str, name: str = "") -> str:
        """The ARN that an operation here is about."""
        region = str(self.clients.boto.meta.region_name)
        if operation in BUCKET_RIGHTS:
            return bucket_arn(self.location.bucket, region)
        return object_arn(self.location, region, name)

    def diagnosis(self, error: StoreError, name: str = "") -> Finding:
        """The finding for a call that failed."""
        try:
            resource, endpoint = self.resource(error.operation, name), self.clients.endpoint_url
        except Exception:  # noqa: BLE001  (no client can be made: then this is what the error is about)
            resource, endpoint = f"arn:aws:s3:::{self.location.bucket}", "the store"
        return diagnosis(error, variable=self.variable, resource=resource, endpoint=endpoint)


class Reach:
    """How a checkup reaches places: one session, whose answers are noted.

    Attributes:
        session: Of boto3, with the credentials, region and endpoint of the environment.
        answers: What came back.
    """

    def __init__(self, session: boto3.Session) -> None:
        """Begin to note what answers say. Nothing is sent."""
        self.session = session
        self.answers = Answers()
        session.events.register("response-received.s3", self.answers.note)

    def place(self, variable: str, location: Location, *, large_commit: str) -> Place:
        """Describe a place; nothing is sent."""
        return Place(
            variable,
            location,
            S3Clients(location.bucket, session=self.session, limits=PATIENCE),
            S3Store(location.bucket, session=self.session, large_commit=large_commit, limits=PATIENCE),
            self.answers,
        )
