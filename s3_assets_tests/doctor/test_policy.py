"""The least policy, against what a server saw: a pipeline whose user has it and nothing else does all that it does.

ministack enforces IAM here (`AUTH=true`), and a proxy before it records every request; which right a request needs is
read off by ministack, not by this package. AWS itself was not tried.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from ministack.core.iam_actions import s3_service_context
from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document

from s3_assets.backup.site import open_backup
from s3_assets.builder import commit, history
from s3_assets.cli.main import main
from s3_assets.doctor.checkup import checkup
from s3_assets.doctor.findings import Verdict
from s3_assets.doctor.policy import Wants, policy
from s3_assets.hints.hours import Watched
from s3_assets.hints.queue import HintQueue
from s3_assets.hour_file.keys import KeyGrammar
from s3_assets.settings import Location, load_backup_settings, load_settings
from s3_assets.store import parts
from s3_assets_tests.backup.conftest import QUICK
from s3_assets_tests.doctor.proxy import BATCH, Proxy
from s3_assets_tests.hints.conftest import take
from s3_assets_tests.servers import Server, start_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from s3_assets_tests.doctor.proxy import Request

ROOT = Path(__file__).parents[2]
HOUR = ["payments", "2021-09-01-07:00"]
KEY = "target/payments/2021-09-01/07.csv.gz"
PART_BYTES = 1000
ACCOUNT = "000000000000"

EXAMPLE = Wants(
    source=Location("my-raw-bucket", "source/"),
    target=Location("my-hourly-bucket", "target/"),
    backup=Location("my-backup-bucket", "events/"),
    hints_queue="https://sqs.eu-west-1.amazonaws.com/123456789012/s3-assets-hints",
    region="eu-west-1",
)


def rows(first: int, count: int) -> bytes:
    """A CSV that hardly gets smaller."""
    lines = (f"{number},{os.urandom(24).hex()}\n" for number in range(first, first + count))
    return ("id,word\n" + "".join(lines)).encode()


@dataclass
class Site:
    """A deployment whose user has the least policy.

    Attributes:
        proxy: What all of it goes through.
        environment: Settings, and the credentials of that user.
        root: A client that may do all.
        wants: What the policy was made for.
        buckets: Of sources, hour files and copies.
    """

    proxy: Proxy
    environment: dict[str, str]
    root: Any
    wants: Wants
    buckets: tuple[str, str, str]

    def drop(self, name: str, data: bytes) -> None:
        """Put a source object, as a producer does."""
        self.root.put_object(Bucket=self.buckets[0], Key=f"source/payments/2021-09-01/{name}", Body=data)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """On a ministack of its own that enforces IAM."""
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("AUTH", "true")
        folder = tmp_path_factory.mktemp("enforcing")
        server = replace(stack.enter_context(start_server("ministack", folder)), access_key="test", secret_key="test")
        proxy = stack.enter_context(Proxy(server.endpoint_url))
        yield deployed(server, proxy, folder)


def deployed(server: Server, proxy: Proxy, folder: Path) -> Site:
    """Buckets, a queue, a folder, and a user with a policy for them."""
    source, target, saved = server.new_bucket(), server.new_bucket(), server.new_bucket(versioned=True)
    session = boto3.Session("test", "test", region_name="us-east-1")
    queue = session.client("sqs", endpoint_url=server.endpoint_url).create_queue(QueueName="hints")["QueueUrl"]
    queue = f"{proxy.url}/{queue.split('/', 3)[3]}"
    wanted = Wants(
        source=Location(source, "source/"),
        target=Location(target, "target/"),
        staged=True,
        backup=Location(saved, "backup/"),
        hints_queue=queue,
    )
    iam = session.client("iam", endpoint_url=server.endpoint_url)
    iam.create_user(UserName="pipeline")
    least = json.dumps(policy(wanted))
    for action in ("sqs:DeleteMessage", "sqs:ChangeMessageVisibility"):
        least = least.replace(f'"{action}"', f'"{action}", "{action}{BATCH}"')
    iam.put_user_policy(UserName="pipeline", PolicyName="least", PolicyDocument=least)
    key = iam.create_access_key(UserName="pipeline")["AccessKey"]
    local = folder / "local"
    local.mkdir()
    environment = {
        "AWS_ENDPOINT_URL": proxy.url,
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_REGION": "us-east-1",
        "S3_ASSETS_SOURCE": f"s3://{source}/source/",
        "S3_ASSETS_TARGET": f"s3://{target}/target/",
        "S3_ASSETS_START_DATE": "2021-09-01",
        "S3_ASSETS_CONFIG": str(folder / "s3_assets.toml"),
        "S3_ASSETS_HINTS_QUEUE": queue,
        "S3_ASSETS_BACKUP_DIR": str(local),
        "S3_ASSETS_BACKUP_TARGET": f"s3://{saved}/backup/",
        "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
    }
    (folder / "s3_assets.toml").write_text('[events.gone]\non_vanished = "drop"\nmax_vanished_share = 1.0\n')
    return Site(proxy, environment, server.client(), wanted, (source, target, saved))


@pytest.fixture(scope="module")
def worked(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """After a life: hours made, spliced, staged, rebuilt, restored, removed; backups; hints; a checkup."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**site.environment, "AWS_EC2_METADATA_DISABLED": "true"}.items():
            patch.setenv(name, value)
        for module in (commit, history):  # many parts of few bytes
            patch.setattr(module, "WHOLE_PUT_BYTES", 3 * PART_BYTES)
            patch.setattr(module, "PUT_PART_BYTES", 2 * PART_BYTES)
        patch.setattr(commit, "COPY_PART_BYTES", 2 * PART_BYTES)
        for module in (commit, parts):
            patch.setattr(module, "MIN_PART_BYTES", PART_BYTES)
        patch.setattr(commit, "ABANDONED_AFTER", timedelta(0))
        make_hours(site, patch)
        back_up(site, patch, tmp_path_factory.mktemp("restored"))
        take_hints(site)
        findings = list(checkup(site.environment, without=("dagster", "slack"), rounds=1))
        assert [one for _, one in findings if one.verdict is not Verdict.PASS] == []
    return site


def run(*arguments: str) -> None:
    """A command of `s3-assets`, which must end well."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0, arguments


def make_hours(site: Site, patch: pytest.MonkeyPatch) -> None:
    """All that is done to hour files."""
    target = site.buckets[1]
    site.drop("07_00_a.csv", rows(0, 10))
    run("sync")
    site.drop("07_10_b.csv", rows(100, 300))
    site.drop("07_11_bad.csv", b'id,word\n"6\n')
    run("sync")
    for number, status in enumerate(("Suspended", "Enabled")):  # what is staged is removed in two ways
        site.root.put_bucket_versioning(Bucket=target, VersioningConfiguration={"Status": status})
        patch.setenv("S3_ASSETS_LARGE_COMMIT", "stage")
        site.drop(f"07_5{number}_late.csv", rows(1000 * number, 20))
        run("sync")
    patch.setenv("S3_ASSETS_LARGE_COMMIT", "complete")
    site.drop("07_59_later.csv", rows(2000, 20))
    run("sync")
    patch.delenv("S3_ASSETS_LARGE_COMMIT")
    first = site.root.list_object_versions(Bucket=target, Prefix=KEY)["Versions"][1]["VersionId"]
    run("history", *HOUR)
    site.root.create_multipart_upload(Bucket=target, Key=KEY)
    run("verify", "--deep", "--abort-uploads")
    run("history", *HOUR, "--restore", first)
    site.root.put_object(Bucket=target, Key=KEY, Body=gzip.compress(b"someone's"))
    run("sync", "--rebuild")
    site.root.put_object(Bucket=site.buckets[0], Key="source/gone/2021-09-01/07_00_a.csv", Body=b"id\n1\n")
    run("sync")
    site.root.delete_object(Bucket=site.buckets[0], Key="source/gone/2021-09-01/07_00_a.csv")
    run("sync", "--event", "gone")
    assert "Contents" not in site.root.list_objects_v2(Bucket=target, Prefix="target/gone/")


def back_up(site: Site, patch: pytest.MonkeyPatch, restored: Path) -> None:
    """Two days' files, one of them large and half sent before; read back and restored."""
    patch.setattr("s3_assets.backup.site.Patience", lambda: QUICK)
    patch.setattr("s3_assets.backup.reading.PART_BYTES", PART_BYTES)
    local, day = Path(site.environment["S3_ASSETS_BACKUP_DIR"]), "2026-11-20"
    noon = datetime(2026, 11, 20, 3, tzinfo=UTC).timestamp()
    for name, size in (("small.json", 10), ("large.json", 3 * PART_BYTES)):
        (local / name).write_bytes(os.urandom(size))
        os.utime(local / name, (noon, noon))
    opened = open_backup(load_backup_settings(site.environment))
    data = (local / "large.json").read_bytes()
    for content in (b"another's", data):
        digest = hashlib.sha256(content)
        begun = opened.bucket.start_upload(f"backup/{day}/large.json", digest.digest())
        part = content[:PART_BYTES]
        opened.bucket.put_part(f"backup/{day}/large.json", begun, 1, part, hashlib.sha256(part).digest())
    run("backup", "run", "--date", day)
    run("backup", "verify", "--date", day)
    run("backup", "restore", day, str(restored))
    assert (restored / "large.json").read_bytes() == data


def take_hints(site: Site) -> None:
    """As a tick does, which forgets what it looked at and puts back what is under way."""
    settings = load_settings(site.environment)
    watched = Watched(settings.source_bucket, settings.source_prefix, KeyGrammar(settings.source_pattern))
    root = boto3.Session("test", "test", region_name="us-east-1").client("sqs", endpoint_url=site.proxy.upstream)
    url = site.environment["S3_ASSETS_HINTS_QUEUE"]
    key = "source/payments/2021-09-01/07_00_a.csv"
    body = {"Records": [{"s3": {"bucket": {"name": site.buckets[0]}, "object": {"key": key}}}]}
    for _ in range(2):
        root.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    queue = HintQueue(url, watched)
    received = take(queue)
    assert queue.put_back(received, 0).done == len(received) > 0
    again = take(queue)
    assert queue.forget(again).done == len(again) > 0


def test_everything_is_allowed(worked: Site) -> None:
    """No request of a whole life was answered by 403, by a server that enforces the policy."""
    assert [(one.method, one.path, one.needs()) for one in worked.proxy.refused] == []
    assert len(worked.proxy.seen) > 300


def test_the_server_does_enforce_it(worked: Site) -> None:
    """What nobody needs is refused: writing and deleting sources, reading what is elsewhere, listing without bounds."""
    given = worked.environment
    session = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1")
    client = session.client("s3", endpoint_url=worked.proxy.upstream)
    source, target, saved = worked.buckets
    for bucket in worked.buckets:  # no prefix is named here, nor where S3 decides whether to say 404 or 403
        assert client.head_bucket(Bucket=bucket)["ResponseMetadata"]["HTTPStatusCode"] == 200
    for call, bucket, key in (
        (client.put_object, source, "source/x"),
        (client.delete_object, source, "source/x"),
        (client.get_object, source, "elsewhere/x"),
        (client.put_object, target, "elsewhere/x"),
        (client.delete_object, saved, "backup/x"),
    ):
        with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
            call(Bucket=bucket, Key=key)
    with pytest.raises(client.exceptions.ClientError, match="AccessDenied"):
        client.list_objects_v2(Bucket=source, Prefix="elsewhere/")


def allows(document: dict[str, Any], request: Request) -> bool:
    """Whether ministack's evaluator allows all that the request needs."""
    statements = parse_policy_document(document)
    return all(
        evaluate(
            EvalContext(
                principal_arn=f"arn:aws:iam::{ACCOUNT}:user/pipeline",
                principal_type="User",
                principal_account=ACCOUNT,
                action=action,
                resource_arn=resource,
                region="us-east-1",
                service_context=s3_service_context(action, request.query, request.key, {}),
            ),
            [statements],
        ).decision
        == "Allow"
        for action, resource in request.needs()
    )


def without_each_right(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The document without one action of one statement, each in turn."""
    for at, statement in enumerate(document["Statement"]):
        for action in statement["Action"]:
            others = [other for other in statement["Action"] if other != action]
            fewer = [{**statement, "Action": others}] if others else []  # ministack takes no action for any
            rest = [*document["Statement"][:at], *fewer, *document["Statement"][at + 1 :]]
            yield f"{statement['Sid']} {action}", {**document, "Statement": rest}


@pytest.mark.parametrize("staged", [True, False], ids=["compatible", "aws"])
def test_no_right_is_more_than_was_needed(worked: Site, staged) -> None:
    """All requests are allowed; without any one right of any one statement, some request is not."""
    document = policy(replace(worked.wants, staged=staged))
    requests = {(*one.needs(), *one.query.get("prefix", ())): one for one in worked.proxy.seen}.values()
    if not staged:  # AWS commits in place, and is not tried: nothing goes to staging keys there
        requests = [one for one in requests if not any("/.s3_assets-staging/" in arn for _, arn in one.needs())]
    assert [(one.method, one.path) for one in requests if not allows(document, one)] == []
    superfluous = [right for right, less in without_each_right(document) if all(allows(less, one) for one in requests)]
    assert superfluous == []


def test_the_document_in_deploy_is_that_of_its_names() -> None:
    """And of nothing else: `s3-assets doctor --policy` prints the same for these settings on AWS."""
    text = (ROOT / "deploy" / "iam-policy.json").read_text(encoding="utf-8")
    assert text == json.dumps(policy(EXAMPLE), indent=2) + "\n"


def test_the_command_prints_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """For AWS without staging; for another store, and where it is asked for, with."""
    given = {
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "S3_ASSETS_SOURCE": str(EXAMPLE.source),
        "S3_ASSETS_TARGET": str(EXAMPLE.target),
        "S3_ASSETS_HINTS_QUEUE": str(EXAMPLE.hints_queue),
        "S3_ASSETS_BACKUP_DIR": "/data",
        "S3_ASSETS_BACKUP_TARGET": str(EXAMPLE.backup),
        "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
    }
    for name in [name for name in os.environ if name.startswith(("AWS_", "S3_ASSETS_"))]:
        monkeypatch.delenv(name)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    run("doctor", "--policy")
    assert json.loads(capsys.readouterr().out) == policy(EXAMPLE)
    monkeypatch.setenv("S3_ASSETS_LARGE_COMMIT", "stage")
    run("doctor", "--policy")
    assert json.loads(capsys.readouterr().out) == policy(replace(EXAMPLE, staged=True))
    monkeypatch.setenv("S3_ASSETS_TARGET", "nowhere")
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--policy"])
    assert ended.value.code == 2
    assert "S3_ASSETS_TARGET" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--policy", "--json"])
    assert ended.value.code == 2


def test_a_wildcard_in_a_name_stays_a_name() -> None:
    """A prefix may hold what IAM takes for a pattern; other partitions have other ARNs."""
    odd = Wants(source=Location("b-1", "a*b/${x}/"), target=Location("b-2", ""), region="cn-north-1")
    document = policy(odd)
    by_name = {statement["Sid"]: statement for statement in document["Statement"]}
    assert by_name["Sources"]["Resource"] == "arn:aws-cn:s3:::b-1/a${*}b/${$}{x}/*"
    assert "Condition" in by_name["List1A"]
    assert all("Condition" not in one for name, one in by_name.items() if name.startswith("List2"))
