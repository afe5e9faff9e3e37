"""End to end: objects are put and deleted on a real server, and the right hours come out of a real queue.

Every way that a notification can take, set up with the very documents of docs/hints.md.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.demo.seaweedfs import REGION
from s3_assets.hints.hours import Watched
from s3_assets.hour_file.keys import Hour, KeyGrammar
from s3_assets.settings import SETTINGS
from s3_assets_tests.hints.conftest import aws, new_queue, open_queue, wait_for

if TYPE_CHECKING:
    from s3_assets_tests.servers import Server

DOCUMENT = (Path(__file__).parent.parent.parent / "docs/hints.md").read_text(encoding="utf-8")
DOCUMENTS = dict(re.findall(r"^cat > (\S+)\.json <<JSON\n(.*?)^JSON$", DOCUMENT, re.DOTALL | re.MULTILINE))

EVENTS = ["clicks", "a b", "a+b", "50% off", "%2F", "고객_이벤트", "a|b", "é\"'&<>", "a,b;c=d~e"]
NAMES = ["a b+c%|d", "가%2B"]
HOURS = {Hour(event, f"2021-09-01-{hour:02}:00") for hour, event in enumerate(EVENTS)}
KEYS = [f"source/{hour.event}/{hour.date}/{hour.hh}_15_{name}.csv" for hour in HOURS for name in NAMES]
OTHER_KEYS = ["other/clicks/2021-09-01/07_00_x.csv", "source.csv"]


class Site:
    """A bucket and a queue, set up by the documents of docs/hints.md."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.bucket = server.new_bucket()
        self.url, self.queue_arn = new_queue(server)
        self.account = self.queue_arn.split(":")[4]
        self.rule = f"r-{uuid.uuid4().hex}"
        sqs = aws(server, "sqs")
        sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": json.dumps(self.document("queue-policy"))})

    def document(self, name: str) -> Any:
        """The document with this site's names."""
        names = {
            "BUCKET": self.bucket,
            "PREFIX": "source/",
            "ACCOUNT": self.account,
            "QUEUE_ARN": self.queue_arn,
            "RULE_ARN": f"arn:aws:events:{REGION}:{self.account}:rule/{self.rule}",
        }
        return json.loads(Template(DOCUMENTS[name]).substitute(names))

    def notify(self, configuration: dict) -> None:
        """Set the bucket's notifications."""
        aws(self.server, "s3").put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration
        )


def by_s3(site: Site) -> None:
    """The bucket sends to the queue."""
    site.notify(site.document("notification"))


def by_eventbridge(site: Site) -> None:
    """The bucket sends to EventBridge, and a rule to the queue."""
    site.notify({"EventBridgeConfiguration": {}})
    events = aws(site.server, "events")
    events.put_rule(Name=site.rule, EventPattern=json.dumps(site.document("rule")))
    events.put_targets(Rule=site.rule, Targets=[{"Id": "queue", "Arn": site.queue_arn}])


def by_sns(site: Site, *, raw: bool) -> None:
    """The bucket sends to a topic, and that to the queue."""
    sns = aws(site.server, "sns")
    topic = sns.create_topic(Name=f"t-{uuid.uuid4().hex}")["TopicArn"]
    for statement in (statements := site.document("queue-policy"))["Statement"]:
        statement.update(Principal={"Service": "s3.amazonaws.com"}, Action="sns:Publish", Resource=topic, Condition={})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=json.dumps(statements))
    attributes = {"RawMessageDelivery": "true"} if raw else {}
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=site.queue_arn, Attributes=attributes)
    (queue,) = site.document("notification")["QueueConfigurations"]
    del queue["QueueArn"]
    site.notify({"TopicConfigurations": [{**queue, "TopicArn": topic}]})


ROUTES = {
    "S3": by_s3,
    "EventBridge": by_eventbridge,
    "SNS": lambda site: by_sns(site, raw=False),
    "SNS, raw": lambda site: by_sns(site, raw=True),
}


@pytest.mark.parametrize("route", ROUTES)
def test_what_is_put_is_what_is_looked_at(server, route):
    """Whatever characters the keys hold: every hour is named, no stray comes, and all can be forgotten."""
    site = Site(server)
    ROUTES[route](site)
    s3 = aws(server, "s3")
    for key in (*KEYS, *OTHER_KEYS):
        s3.put_object(Bucket=site.bucket, Key=key, Body=b"id\n1\n")
    queue = open_queue(server, site.url, Watched(site.bucket, "source/", KeyGrammar()))

    came = wait_for(lambda came: sum(bool(hint.hours) for hint in came) >= len(KEYS), queue)

    named = {hour for hint in came for hour in hint.hours}
    assert named >= HOURS
    assert {hour.label for hour in named} == {hour.label for hour in HOURS}
    assert not any(hint.strays.counts for hint in came)
    assert len(came) <= len(KEYS) + 1  # the test event
    assert queue.forget(came).done == len(came)

    s3.delete_object(Bucket=site.bucket, Key=KEYS[0])
    (hint,) = wait_for(len, queue)
    assert any(f"source/{hour.event}/{hour.date}/{hour.hh}_15_" in KEYS[0] for hour in hint.hours)


def test_without_a_filter_strays_come_and_are_counted(server):
    """A bucket that tells of everything costs messages and nothing else."""
    site = Site(server)
    configuration = site.document("notification")
    del configuration["QueueConfigurations"][0]["Filter"]
    site.notify(configuration)
    for key in (KEYS[0], *OTHER_KEYS):
        aws(server, "s3").put_object(Bucket=site.bucket, Key=key, Body=b"")
    queue = open_queue(server, site.url, Watched(site.bucket, "source/", KeyGrammar()))

    came = wait_for(lambda came: sum(bool(hint.hours or hint.strays.counts) for hint in came) >= 3, queue)

    strays = [hint for hint in came if hint.strays.counts]
    assert sorted(key for hint in strays for key, _ in hint.strays.named) == sorted(OTHER_KEYS)
    assert {reason for hint in strays for reason in hint.strays.counts} == {"not below the source prefix"}


# --- the document ------------------------------------------------------------------------------------------


def test_the_reader_is_allowed_what_it_calls():
    """No more and no less; batches are allowed by the names of the single calls (SQS API permissions)."""
    calls = (Path(__file__).parent.parent.parent / "s3_assets/hints/queue.py").read_text(encoding="utf-8")
    used = {name.title().replace("_", "") for name in re.findall(r"self\._client\.([a-z_]+?)(?:_batch)?\b", calls)}
    (statement,) = json.loads(DOCUMENTS["reader"])["Statement"]
    assert {f"sqs:{name}" for name in used} == set(statement["Action"])


def test_the_queue_takes_messages_of_this_bucket_and_this_rule_only():
    """Neither server judges these conditions, so they are read here: whose service, and on behalf of what."""
    senders = {
        (statement["Principal"]["Service"], test["aws:SourceArn"])
        for statement in json.loads(DOCUMENTS["queue-policy"])["Statement"]
        for operator, test in statement["Condition"].items()
        if operator.startswith("Arn")
    }
    assert senders == {("s3.amazonaws.com", "arn:aws:s3:::$BUCKET"), ("events.amazonaws.com", "$RULE_ARN")}


def test_the_document_names_the_setting():
    """As it is."""
    assert "S3_ASSETS_HINTS_QUEUE" in {setting.variable for setting in SETTINGS}
    assert "S3_ASSETS_HINTS_QUEUE=$QUEUE_URL" in DOCUMENT


def test_each_document_is_used_by_a_command_below_it():
    """A file that is written is read by the next command; only the reader's policy goes where the house keeps those."""
    assert set(DOCUMENTS) == {"queue-policy", "notification", "rule", "reader"}
    for name, command in {
        "queue-policy": "set-queue-attributes",
        "notification": "put-bucket-notification-configuration",
        "rule": "put-rule",
    }.items():
        block = next(
            block for block in re.findall(r"```sh\n(.*?)```", DOCUMENT, re.DOTALL) if f"> {name}.json" in block
        )
        after = block.split("\nJSON\n")[1]
        assert f"{name}.json" in after
        assert command in after
