"""The queue over SQS: what goes wrong with it becomes one kind of error, in words, and shows no secret."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import boto3
import pytest

from s3_assets.errors import HintQueueError, HintQueueUnavailableError
from s3_assets.hints.contract import Hint
from s3_assets.hints.queue import HintQueue, Limits, server_of
from s3_assets_tests.hints.conftest import aws, new_queue, open_queue, take
from s3_assets_tests.hints.shapes import WATCHED, direct
from s3_assets_tests.store.stand_in import Answer, StandIn

QUICK = Limits(attempts=1, connect_s=2, answer_s=5)
SECRET = "very-secret-token"
SESSION = boto3.Session("AKIATEST", SECRET, aws_session_token=SECRET)


def answer(document: dict, status: int = 200, **headers: str) -> Answer:
    """What SQS says, in its JSON protocol."""
    return Answer(status, json.dumps(document).encode(), {"Content-Type": "application/x-amz-json-1.0", **headers})


def failure(status: int, code: str, message: str = "so it is") -> Answer:
    """An error of SQS."""
    return answer({"__type": f"com.amazonaws.sqs#{code}", "message": message}, status)


def message(number: int) -> dict:
    """A message as ReceiveMessage gives it."""
    body = direct(f"source/e/2021-09-01/{number % 24:02}_00_x.csv")
    return {"MessageId": f"m{number}", "ReceiptHandle": f"r{number}", "Body": body}


def messages(*numbers: int) -> Answer:
    """An answer to ReceiveMessage."""
    return answer({"Messages": [message(number) for number in numbers]})


def queue_at(stand_in: StandIn, **options) -> HintQueue:
    """The queue `hints` there."""
    return HintQueue(f"{stand_in.url}/1/hints", WATCHED, session=SESSION, **{"limits": QUICK, **options})


def hints(count: int) -> list[Hint]:
    """Hints that were received some time."""
    return [Hint(f"m{number}", f"r{number}", frozenset()) for number in range(count)]


# --- what goes wrong ---------------------------------------------------------------------------------------

UNWELL = {
    "closes": Answer(None),
    "breaks off": Answer(200, b"{", length=100),
    "500": failure(500, "InternalFailure"),
    "503 of a proxy": Answer(503, b"<html>busy</html>", {"Content-Type": "text/html"}),
    "429": failure(429, "TooManyRequestsException"),
    "throttled": failure(400, "ThrottlingException"),
    "throttled, of old": failure(403, "RequestThrottled"),
    "KMS throttled": failure(400, "KmsThrottled"),
}
REFUSED = {
    "gone": (failure(400, "QueueDoesNotExist"), "S3_ASSETS_HINTS_QUEUE"),
    "gone, of old": (failure(400, "AWS.SimpleQueueService.NonExistentQueue"), "S3_ASSETS_HINTS_QUEUE"),
    "denied": (failure(403, "AccessDeniedException"), "sqs:ReceiveMessage"),
    "denied, without a code": (Answer(403, b"no"), "sqs:ReceiveMessage"),
    "key denied": (failure(400, "KmsAccessDenied"), "kms:Decrypt"),
    "expired": (failure(403, "ExpiredToken"), ""),
    "something new": (failure(400, "UnsupportedOperation"), ""),
}


@pytest.mark.parametrize("name", UNWELL)
def test_a_queue_that_is_unwell_is_unavailable(name):
    """It may be there again: the error says so, and that nothing is lost meanwhile."""
    with StandIn(UNWELL[name]) as stand_in, pytest.raises(HintQueueUnavailableError) as caught:
        take(queue_at(stand_in))
    assert caught.value.retryable
    assert caught.value.operation == "ReceiveMessage"
    assert "'hints'" in str(caught.value)
    assert caught.value.hint
    assert SECRET not in caught.value.describe()


@pytest.mark.parametrize("name", REFUSED)
def test_a_queue_that_refuses_says_what_to_do(name):
    """Such an error is no passing one."""
    refusal, advice = REFUSED[name]
    with StandIn(refusal) as stand_in, pytest.raises(HintQueueError) as caught:
        take(queue_at(stand_in))
    assert not caught.value.retryable
    assert advice in caught.value.hint
    assert caught.value.detail


def test_the_request_that_sqs_repeats_is_not_shown():
    """With a wrong signature it sends back what was signed, the session token included: no trace holds that."""
    said = f"The signature does not match.\n\nThe canonical string should have been 'POST\n{SECRET}'"
    with (
        StandIn(failure(403, "SignatureDoesNotMatch", said)) as stand_in,
        pytest.raises(HintQueueError) as caught,
    ):
        take(queue_at(stand_in))
    assert "does not match" in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_queue_that_nobody_serves_is_unavailable():
    """Refused connections end soon."""
    queue = HintQueue("http://127.0.0.1:1/1/hints", WATCHED, session=SESSION, limits=QUICK)
    with pytest.raises(HintQueueUnavailableError) as caught:
        take(queue)
    assert "S3_ASSETS_HINTS_QUEUE" in caught.value.hint


def test_no_credentials_are_told_as_such(monkeypatch):
    """And what to set."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/does/not/exist")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(HintQueueError) as caught:
        take(HintQueue("http://127.0.0.1:1/1/hints", WATCHED, limits=QUICK))
    assert "credentials" in caught.value.describe()


def test_what_came_before_an_error_is_given(caplog):
    """It must not wait until it is visible again; the error is logged, and comes with the next call."""
    with StandIn(messages(*range(10)), failure(500, "InternalFailure")) as stand_in:
        queue = queue_at(stand_in)
        with caplog.at_level(logging.WARNING, logger="s3_assets.hints.queue"):
            assert len(take(queue)) == 10
        with pytest.raises(HintQueueUnavailableError):
            take(queue)
    (logged,) = caplog.messages
    assert logged.startswith("10 hints received, then: ReceiveMessage 'hints': InternalFailure")


def test_a_call_is_tried_again_once():
    """By default: a connection that broke while it lay idle is no news."""
    with StandIn(Answer(None), messages(1), messages()) as stand_in:
        assert len(take(queue_at(stand_in, limits=None))) == 1
    assert len(stand_in.log) == 3


def test_an_answer_of_another_kind_is_an_empty_one():
    """A proxy's page with status 200 names no message, and confirms none."""
    page = Answer(200, b"<html>log in first</html>", {"Content-Type": "text/html"})
    with StandIn(page) as stand_in:
        queue = queue_at(stand_in)
        assert take(queue) == []
        assert queue.forget(hints(3)).failed == {"no answer": 3}


# --- settling ----------------------------------------------------------------------------------------------


def test_what_can_not_be_forgotten_is_counted():
    """Per reason; the others are forgotten, in calls of ten."""
    refused = [{"Id": "3", "Code": "ReceiptHandleIsInvalid", "SenderFault": True}, {"Id": "4", "Code": "InternalError"}]
    good = [{"Id": str(number)} for number in range(10) if number not in (3, 4, 5)]
    rest = answer({"Successful": [{"Id": "0"}, {"Id": "1"}]})
    with StandIn(answer({"Successful": good, "Failed": refused}), rest) as stand_in:
        settled = queue_at(stand_in).forget(hints(12))
    assert settled.done == 9
    assert settled.failed == {"ReceiptHandleIsInvalid": 1, "InternalError": 1, "no answer": 1}
    assert len(stand_in.log) == 2


@pytest.mark.parametrize("settle", [HintQueue.forget, lambda queue, some: queue.put_back(some, 5)])
def test_a_queue_that_is_away_fails_no_settling(settle):
    """All are counted, with the reason in words, after one call and not one for each ten."""
    with StandIn(failure(503, "ServiceUnavailable")) as stand_in:
        settled = settle(queue_at(stand_in), hints(35))
    assert settled.done == 0
    ((reason, count),) = settled.failed.items()
    assert count == 35
    assert "ServiceUnavailable" in reason
    assert len(stand_in.log) == 1


# --- time --------------------------------------------------------------------------------------------------


def waits_of(queue: HintQueue) -> list[int]:
    """The waits that `queue` asks for from now on."""
    waits: list[int] = []
    events = queue._client.meta.events
    events.register(
        "provide-client-params.sqs.ReceiveMessage", lambda params, **_: waits.append(params["WaitTimeSeconds"])
    )
    return waits


def test_only_the_first_call_waits_long():
    """Whoever has hints wants to go on."""
    with StandIn(messages(*range(10)), messages(10), messages()) as stand_in:
        queue = queue_at(stand_in, limits=Limits(answer_s=40))
        waits = waits_of(queue)
        assert len(take(queue, wait_s=15)) == 11
    assert waits == [15, 1, 1]


def test_no_wait_is_longer_than_the_answer_may_take_or_the_deadline_allows():
    """Or the client would take a quiet queue for a dead one, or a tick would end late."""
    with StandIn(messages()) as stand_in:
        queue = queue_at(stand_in, limits=Limits(answer_s=12), clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))
        waits = waits_of(queue)
        for left_s in (100, 4.9, 0.5):
            queue.receive(10, 20, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=left_s))
    assert waits == [6, 4, 0]


def test_the_deadline_ends_a_full_queue():
    """A queue that never gets empty holds nobody: what came by then is given."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    clock = iter(now + timedelta(seconds=second) for second in range(100))
    pages = [messages(*range(first, first + 10)) for first in range(0, 1000, 10)]
    with StandIn(*pages) as stand_in:
        came = queue_at(stand_in, clock=lambda: next(clock)).receive(10_000, 0, now + timedelta(seconds=3))
    assert len(came) == 30
    assert len(stand_in.log) == 3


def test_a_wait_ends_when_the_first_message_comes(server):
    """Long before it is over."""
    url, _ = new_queue(server)
    queue = open_queue(server, url)
    take(queue)  # the client is made
    with ThreadPoolExecutor(1) as pool:
        began = datetime.now(UTC)
        waiting = pool.submit(queue.receive, 1, 20, began + timedelta(seconds=120))
        aws(server, "sqs").send_message(QueueUrl=url, MessageBody=direct("source/e/2021-09-01/07_00_x.csv"))
        (hint,) = waiting.result(timeout=120)
    assert hint.hours
    assert datetime.now(UTC) - began < timedelta(seconds=18)


# --- where it is -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url, endpoint_url, region",
    [
        ("https://sqs.eu-west-1.amazonaws.com/1/q", "https://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/1/q", "https://sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        (
            "https://sqs-fips.us-gov-west-1.amazonaws.com/1/q",
            "https://sqs-fips.us-gov-west-1.amazonaws.com",
            "us-gov-west-1",
        ),
        ("https://sqs.eu-west-1.api.aws/1/q", "https://sqs.eu-west-1.api.aws", "eu-west-1"),
        (
            "https://vpce-0a.sqs.eu-west-1.vpce.amazonaws.com/1/q",
            "https://vpce-0a.sqs.eu-west-1.vpce.amazonaws.com",
            "eu-west-1",
        ),
        ("https://queue.amazonaws.com/1/q", "https://sqs.us-east-1.amazonaws.com", "us-east-1"),
        ("https://eu-west-1.queue.amazonaws.com/1/q", "https://sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("http://127.0.0.1:4566/000000000000/q", "http://127.0.0.1:4566", None),
        ("http://localhost/000000000000/q", "http://localhost", None),
    ],
)
def test_the_address_names_server_and_region(url, endpoint_url, region):
    """All that AWS ever gave, and those of other servers."""
    assert server_of(url) == (endpoint_url, region)


def test_the_region_of_the_address_signs():
    """Not the one where the objects are; the caller's own word counts before both."""
    session = boto3.Session("AKIATEST", SECRET, region_name="us-west-2")
    url = "https://sqs.eu-west-1.amazonaws.com/1/q"
    meta = HintQueue(url, WATCHED, session=session)._client.meta
    assert (meta.region_name, meta.endpoint_url) == ("eu-west-1", "https://sqs.eu-west-1.amazonaws.com")
    meta = HintQueue(url, WATCHED, session=session, region="eu-north-1", endpoint_url="http://h:1")._client.meta
    assert (meta.region_name, meta.endpoint_url) == ("eu-north-1", "http://h:1")
    assert HintQueue("http://h:1/1/q", WATCHED, session=session)._client.meta.region_name == "us-west-2"


def test_the_address_of_the_object_store_is_not_asked(server, monkeypatch):
    """AWS_ENDPOINT_URL may name a store that has no queues."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:1")
    assert take(open_queue(server, new_queue(server)[0])) == []


def test_a_queue_that_was_deleted_is_gone(server):
    """On a real server: receiving says so, settling counts it."""
    url, _ = new_queue(server)
    queue = open_queue(server, url)
    assert take(queue) == []
    aws(server, "sqs").delete_queue(QueueUrl=url)
    with pytest.raises(HintQueueError) as caught:
        take(queue)
    assert "S3_ASSETS_HINTS_QUEUE" in caught.value.hint
    assert queue.forget(hints(11)).failed.total() == 11


def test_making_a_queue_imports_no_boto3():
    """A third of a second that definitions don't need; and it sends nothing."""
    program = (
        "import sys\n"
        "from s3_assets.hints.queue import HintQueue\n"
        "HintQueue('http://127.0.0.1:1/1/q', None)\n"
        "assert 'boto3' not in sys.modules and 'botocore' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
