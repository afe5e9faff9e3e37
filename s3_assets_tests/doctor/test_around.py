"""The checkup of what is around the store: the queue of hints, the backup; and the command."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from s3_assets.cli.main import main
from s3_assets.doctor.findings import AREAS, Verdict
from s3_assets_tests.doctor.proxy import Fault
from s3_assets_tests.hints.conftest import aws, new_queue

if TYPE_CHECKING:
    from s3_assets_tests.deployment import Deployment
    from s3_assets_tests.doctor.conftest import Report
    from s3_assets_tests.doctor.proxy import Proxy

ONLY_HINTS = tuple(name for name in AREAS if name not in ("credentials", "hints"))
ONLY_BACKUP = tuple(name for name in AREAS if name not in ("settings", "credentials", "connection", "backup"))


def record(bucket: str, key: str) -> str:
    """A notification of S3."""
    return json.dumps({"Records": [{"s3": {"bucket": {"name": bucket}, "object": {"key": key}}}]})


def test_a_queue_is_looked_at_and_left_as_it_was(running, standing: Deployment, examined) -> None:
    """Empty, with a notification of ours, with nothing of ours; each message is there again at once."""
    server = running("ministack")
    url, _ = new_queue(server, visibility_s=600)
    given = {**standing.environment, "S3_ASSETS_HINTS_QUEUE": url}

    def look() -> list[tuple[str, str]]:
        return examined(given, without=ONLY_HINTS).of(*Verdict)[1:]

    assert look() == [("hints", "the queue answers, and is empty")]
    send = aws(server, "sqs").send_message
    send(QueueUrl=url, MessageBody=record("another-bucket", "a.csv"))
    [(_, words)] = look()
    assert "they name 0 hours: " in words
    send(QueueUrl=url, MessageBody=record(standing.store.bucket, "source/e/2021-09-01/07_00_a.csv"))
    for _ in range(2):
        [(_, words)] = look()
        assert words.startswith("2 messages looked at and put back: they name 1 hour")


def test_a_queue_that_can_not_be_used_is_named(running, standing: Deployment, proxy: Proxy, examined) -> None:
    """One that is not there, one that gives and takes nothing back, one that nobody may read."""
    url, _ = new_queue(running("ministack"))
    behind = f"{proxy.url}/{url.split('/', 3)[3]}"
    given = {**standing.environment, "S3_ASSETS_HINTS_QUEUE": behind}
    for actions, words in (
        ({"sqs:ReceiveMessage"}, "ReceiveMessage"),
        ({"sqs:DeleteMessage"}, "allow sqs:DeleteMessage and sqs:ChangeMessageVisibility"),
    ):
        proxy.fault = Fault(denied=frozenset(actions))
        report: Report = examined(given, without=ONLY_HINTS)
        [(area, seen)] = report.faults
        assert area == "hints"
        assert words in seen
    proxy.fault = Fault()
    report = examined({**given, "S3_ASSETS_HINTS_QUEUE": f"{behind}-not"}, without=ONLY_HINTS)
    assert "check S3_ASSETS_HINTS_QUEUE" in report.faults[0][1]


def test_a_backup_is_looked_at_without_a_trace(standing: Deployment, proxy: Proxy, examined, tmp_path) -> None:
    """No source and no target are needed for it; a folder or a right that is missing is named."""
    (tmp_path / "a.json").write_text("1")
    bucket = standing.store.bucket
    own = {name: value for name, value in standing.environment.items() if name.startswith("AWS_")}
    given = {
        **own,
        "AWS_ENDPOINT_URL": proxy.url,
        "S3_ASSETS_BACKUP_DIR": str(tmp_path),
        "S3_ASSETS_BACKUP_TARGET": f"s3://{bucket}/backup/",
        "S3_ASSETS_BACKUP_START_DATE": "2026-11-01",
    }
    report: Report = examined(given, without=ONLY_BACKUP)
    assert report.of(Verdict.FAIL, Verdict.WARN, Verdict.SKIP) == []
    assert "1 file to back up" in report.text()
    assert list(standing.store.list("backup/")) == []
    assert list(standing.store.list_uploads("backup/")) == []
    report = examined({**given, "S3_ASSETS_BACKUP_DIR": f"{tmp_path}/not"}, without=ONLY_BACKUP)
    assert "can't be read: No such file" in report.faults[0][1]
    proxy.fault = Fault(denied=frozenset({"s3:PutObject"}), below="/backup/")
    report = examined(given, without=ONLY_BACKUP)
    assert [area for area, _ in report.faults] == ["backup"]
    assert "allow s3:PutObject on arn:aws:s3:::t-" in report.faults[0][1]


def test_the_command_prints_lines_or_a_document(standing: Deployment, examined, capsys) -> None:
    """Exit 0 with warnings, 1 with a failure, 2 for an area that there is not."""
    little = [word for name in ("source", "target", "writes", "clock", "slack") for word in ("--without", name)]
    examined(standing.environment, without=AREAS)  # sets the environment

    def call(*arguments: str) -> tuple[object, str]:
        with pytest.raises(SystemExit) as ended:
            main(["doctor", *arguments])
        return ended.value.code, capsys.readouterr().out

    code, out = call(*little, "--without", "dagster")
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 4)
    assert [line.split()[:2] for line in lines[:3]] == [["pass", name] for name in AREAS[:3]]
    assert lines[3] == "3 pass"
    code, out = call(*little, "--json")
    document = json.loads(out)
    assert (code, document["fit"], document["counts"]["fail"]) == (1, False, 1)
    assert document["findings"][-1]["area"] == "dagster"
    assert document["findings"][-1]["todo"].startswith("export DAGSTER_HOME=")
    assert call("--without", "nothing")[0] == 2
