"""Sources of hints: the memory twin, and SQS queues of real servers."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from s3_assets.demo.seaweedfs import REGION
from s3_assets.hints.memory import MemoryHints
from s3_assets.hints.queue import HintQueue
from s3_assets_tests.hints.shapes import WATCHED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from s3_assets.hints.contract import Hint, HintSource
    from s3_assets.hints.hours import Watched
    from s3_assets_tests.servers import Server

SQS_SERVERS = ("ministack", "moto")
PATIENCE_S = 120
"""Longest wait for a message, in seconds; it takes about one where it is to come again."""


@lru_cache
def session_for(server: Server) -> boto3.Session:
    """Its credentials; one, since a session takes longer to make a client than a server to answer."""
    return boto3.Session(
        aws_access_key_id=server.access_key, aws_secret_access_key=server.secret_key, region_name=REGION
    )


@lru_cache
def aws(server: Server, service: str) -> Any:
    """A plain boto3 client of any service of this server."""
    return session_for(server).client(service, endpoint_url=server.endpoint_url)


def new_queue(server: Server, *, visibility_s: int = 30) -> tuple[str, str]:
    """Make a queue with a new name; its URL and ARN."""
    sqs = aws(server, "sqs")
    attributes = {"VisibilityTimeout": str(visibility_s)}
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex}", Attributes=attributes)["QueueUrl"]
    return url, sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]


def open_queue(server: Server, url: str, watched: Watched = WATCHED) -> HintQueue:
    """The queue as the package opens it."""
    return HintQueue(url, watched, session=session_for(server))


def take(source: HintSource, most: int = 100, wait_s: int = 0) -> list[Hint]:
    """What `source` gives, with time enough."""
    return source.receive(most, wait_s, datetime.now(UTC) + timedelta(seconds=PATIENCE_S))


def wait_for(enough: Callable[[list[Hint]], bool], source: HintSource) -> list[Hint]:
    """Receive until it is `enough`; all that came, each time it came."""
    came: list[Hint] = []
    ends = time.monotonic() + PATIENCE_S
    while not enough(came):
        assert time.monotonic() < ends, f"only {came} came in {PATIENCE_S} s"
        came += take(source)
        threading.Event().wait(0.02)
    return came


@dataclass
class SqsBench:
    """A queue on a server."""

    server: Server
    url: str
    source: HintSource = field(init=False)

    def __post_init__(self) -> None:
        self.source = open_queue(self.server, self.url)

    def send(self, *bodies: str) -> None:
        """Put messages in."""
        client = aws(self.server, "sqs")
        for body in bodies:
            client.send_message(QueueUrl=self.url, MessageBody=body)

    def take(self, most: int = 100) -> list[Hint]:
        """What is there."""
        return take(self.source, most)

    def wait_for(self, enough: Callable[[list[Hint]], bool]) -> list[Hint]:
        """Receive until it is enough."""
        return wait_for(enough, self.source)


class MemoryBench:
    """The memory twin; time passes while somebody waits."""

    def __init__(self, visibility_s: int) -> None:
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.source = MemoryHints(WATCHED, clock=lambda: self.now, visibility_s=visibility_s)

    def send(self, *bodies: str) -> None:
        """Put messages in."""
        for body in bodies:
            self.source.send(body)

    def take(self, most: int = 100) -> list[Hint]:
        """What is there."""
        return self.source.receive(most, 0, self.now + timedelta(seconds=1))

    def wait_for(self, enough: Callable[[list[Hint]], bool]) -> list[Hint]:
        """Receive until it is enough, a second later each time."""
        came: list[Hint] = []
        for _ in range(PATIENCE_S):
            came += self.take()
            if enough(came):
                return came
            self.now += timedelta(seconds=1)
        raise AssertionError(f"only {came} came")


Bench = SqsBench | MemoryBench


@pytest.fixture(params=("memory", *SQS_SERVERS))
def make_bench(request: pytest.FixtureRequest, running: Callable[[str], Server]) -> Callable[[int], Bench]:
    """Gives an empty queue that hides messages for so many seconds, of each implementation in turn."""

    def make(visibility_s: int) -> Bench:
        if request.param == "memory":
            return MemoryBench(visibility_s)
        server = running(request.param)
        return SqsBench(server, new_queue(server, visibility_s=visibility_s)[0])

    return make


@pytest.fixture(params=SQS_SERVERS)
def server(request: pytest.FixtureRequest, running: Callable[[str], Server]) -> Iterator[Server]:
    """Each server with SQS in turn."""
    return running(request.param)
