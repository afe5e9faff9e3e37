"""The checkup of a store: on each server as it is, and with one fault at a time, which it must name."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from s3_assets.doctor import checkup as module
from s3_assets.doctor import races, writing
from s3_assets.doctor.checkup import Area, checkup, examine
from s3_assets.doctor.findings import Verdict, passed
from s3_assets.doctor.scratch import MOST_NAMED
from s3_assets_tests.backup.gate import Gate
from s3_assets_tests.doctor.conftest import with_sources
from s3_assets_tests.doctor.proxy import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from s3_assets_tests.deployment import Deployment
    from s3_assets_tests.doctor.conftest import Report
    from s3_assets_tests.doctor.proxy import Proxy
    from s3_assets_tests.servers import Server

SCRATCH = "target/_s3_assets_doctor."
BOUND_S = 120.0


def all_versions(server: Server, bucket: str) -> list[str]:
    """The keys of all versions and delete marks."""
    answer = server.client().list_object_versions(Bucket=bucket)
    return sorted(found["Key"] for found in (*answer.get("Versions", ()), *answer.get("DeleteMarkers", ())))


@pytest.mark.parametrize(
    "name, warnings",
    [("moto", ["committed by spool (complete ignores IfMatch"]), ("ministack", []), ("seaweedfs", [])],
    ids=["moto", "ministack", "seaweedfs"],
)
def test_each_server_is_fit_and_left_as_it_was(running, examined, name, warnings) -> None:
    """What a server does wrong is named with what it means; no version, mark or upload of a checkup is left."""
    server = running(name)
    made = with_sources(server)
    before = all_versions(server, made.store.bucket)
    report = examined(made.environment)
    assert report.faults == []
    assert [area for area, _ in report.of(Verdict.PASS)].count("writes") == 10 - len(warnings)
    said = report.of(Verdict.WARN, Verdict.SKIP)
    assert [words in found for words, (_, found) in zip(warnings, said, strict=True)] == [True] * len(warnings)
    assert all_versions(server, made.store.bucket) == before
    assert list(made.store.list_uploads("")) == []


def test_without_versions_it_says_what_that_costs(running, examined) -> None:
    """And cleans up there too."""
    server = running("ministack")
    bucket = server.new_bucket()
    environment = {
        **server.environment(),
        "S3_ASSETS_SOURCE": f"s3://{bucket}/source/",
        "S3_ASSETS_TARGET": f"s3://{bucket}/target/",
    }
    report = examined(environment)
    assert report.faults == []
    nothing, versioning = [words for _, words in report.of(Verdict.WARN)]
    assert "there is nothing below" in nothing
    assert "versioning of bucket" in versioning
    assert [area for area, _ in report.of(Verdict.SKIP)] == ["source"]
    assert all_versions(server, bucket) == []


@pytest.mark.parametrize("name", ["ministack", "seaweedfs"])
def test_where_versioning_is_suspended_no_mark_of_a_deletion_is_left(running, examined, name) -> None:
    """A deletion that names no version would leave one, which not every server lets go again."""
    server = running(name)
    made = with_sources(server)
    suspended = {"Status": "Suspended"}
    server.client().put_bucket_versioning(Bucket=made.store.bucket, VersioningConfiguration=suspended)
    report = examined(made.environment)
    assert report.faults == []
    assert [key for key in all_versions(server, made.store.bucket) if key.startswith(SCRATCH)] == []


# --- settings and credentials ------------------------------------------------------------------------------------


def closed_port() -> int:
    """One on which nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize(
    "changes, area, words",
    [
        (
            {"AWS_ACCESS_KEY_ID": "AKIAWRONG"},
            "connection",
            "InvalidAccessKeyId: the store does not know this access key",
        ),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "connection", "SignatureDoesNotMatch: the secret does not belong"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "credentials", "there are no AWS credentials"),
        ({"AWS_PROFILE": "nobody"}, "credentials", "ProfileNotFound"),
        ({"AWS_ENDPOINT_URL": "closed"}, "connection", "EndpointConnectionError at http://127.0.0.1:"),
        ({"AWS_ENDPOINT_URL": "127.0.0.1:8333"}, "connection", "AWS_ENDPOINT_URL needs a scheme"),
        ({"S3_ASSETS_SOURCE": "s3://no-such-bucket/source/"}, "source", "there is no bucket 'no-such-bucket'"),
        ({"S3_ASSETS_TARGET": "s3://no-such-bucket/target/"}, "target", "check the bucket in S3_ASSETS_TARGET"),
        ({"S3_ASSETS_START_DATE": "yesterday"}, "settings", "S3_ASSETS_START_DATE: found 'yesterday'"),
        ({"S3_ASSETS_TARGET": ""}, "settings", "S3_ASSETS_TARGET: not set"),
    ],
    ids=["key", "secret", "none", "profile", "down", "scheme", "source", "target", "value", "missing"],
)
def test_one_wrong_setting_is_the_one_fault_that_is_named(running, examined, changes, area, words) -> None:
    """What can't be looked at because of it is skipped, not called wrong."""
    server = running("seaweedfs")  # the one of the three that looks at secrets
    made = with_sources(server)
    if changes.get("AWS_ENDPOINT_URL") == "closed":
        changes = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{closed_port()}"}
    given = {name: value for name, value in {**made.environment, **changes}.items() if value}
    report = examined(given, without=("dagster", "slack", *(("writes",) if area == "source" else ())))
    assert [found for found, _ in report.faults] == [area]
    assert words in report.faults[0][1]
    assert given.get("AWS_SECRET_ACCESS_KEY", "no secret") not in report.text()
    if area in ("credentials", "connection"):
        assert {"source", "target", "writes"} <= {found for found, _ in report.of(Verdict.SKIP)}


# --- rights, clocks and conditions -------------------------------------------------------------------------------


def only(*actions: str, below: str = "", code: str = "AccessDenied") -> Fault:
    """These are denied."""
    return Fault(denied=frozenset(actions), below=below, code=code)


@pytest.mark.parametrize(
    "fault, area, words",
    [
        (only("s3:ListBucket", below="prefix=source"), "source", "allow s3:ListBucket on arn:aws:s3:::t-"),
        (only("s3:GetObject", below="/07_"), "source", "allow s3:GetObject on arn:aws:s3:::t-"),
        (only("s3:GetObject", below="/source/_s3_assets"), "source", "refused, not answered by 404"),
        (only("s3:ListBucket", below="prefix=target"), "target", "allow s3:ListBucket on arn:aws:s3:::t-"),
        (only("s3:PutObject", below="/target/"), "writes", "allow s3:PutObject on arn:aws:s3:::t-"),
        (
            only("s3:AbortMultipartUpload", below="/target/"),
            "writes",
            "allow s3:AbortMultipartUpload on arn:aws:s3:::t-",
        ),
        (only("s3:ListBucket", code="RequestTimeTooSkewed"), "connection", "clock is too far"),
        (only("s3:ListBucket", code="ExpiredToken"), "connection", "these credentials have ended -> get new ones"),
        (Fault(skew=timedelta(hours=2)), "clock", "this host's clock is 7"),
        (Fault(ignores=frozenset({"if-none-match"})), "writes", "ignores If-None-Match of PutObject"),
        (Fault(ignores=frozenset({"if-match"})), "writes", "ignores If-Match of PutObject -> two writers"),
    ],
    ids=["list", "get", "missing", "target", "put", "abort", "skewed", "expired", "clock", "create", "match"],
)
def test_one_fault_in_between_is_the_one_that_is_named(behind, proxy: Proxy, examined, fault, area, words) -> None:
    """With what to allow, to set, or to expect."""
    proxy.fault = fault
    report: Report = examined(behind, without=("dagster", "slack", *(("writes",) if area != "writes" else ())))
    assert [found for found, _ in report.faults] == [area]
    assert words in report.faults[0][1]


@pytest.mark.parametrize(
    "fault, words",
    [
        (only("s3:DeleteObjectVersion", below="_s3_assets_doctor"), r"scratch keys are left in .* \(version "),
        (only("s3:ListBucketMultipartUploads", below="target"), "ListMultipartUploads"),
        (only("s3:ListBucketVersions", below="missing"), "ListObjectVersions"),
        (Fault(skew=timedelta(minutes=-5)), r"this host's clock is (29|3[0-5])\d s ahead of the store's"),
    ],
    ids=["versions", "uploads", "history", "clock"],
)
def test_what_is_lost_without_a_right_is_a_warning(behind, proxy: Proxy, examined, fault, words) -> None:
    """The pipeline runs without it."""
    proxy.fault = fault
    report: Report = examined(behind, without=("dagster", "slack", *(() if "left" in words else ("writes",))))
    assert report.faults == []
    [warning] = [seen for _, seen in report.of(Verdict.WARN)]
    assert re.search(words, warning)


def test_where_versions_may_not_be_listed_it_says_that_they_are_left(behind, proxy: Proxy, examined) -> None:
    """By what they begin with: nothing tells more."""
    proxy.fault = only("s3:ListBucketVersions", below=SCRATCH)
    report: Report = examined(behind, without=("target", "dagster", "slack"))
    assert report.faults == []
    [(_, warning)] = report.of(Verdict.WARN)
    assert re.search(rf"is versioned, their versions are left \({SCRATCH}[0-9a-f]{{32}}\.…\)", warning)


def test_what_is_written_are_scratch_keys_and_those_that_are_left_are_named(
    behind, proxy: Proxy, standing: Deployment, examined
) -> None:
    """By what they begin with, and that is where they are. Below the source, nothing but reading is asked for."""
    proxy.fault = only("s3:DeleteObject", "s3:DeleteObjectVersion")
    report: Report = examined(behind)
    assert report.faults == []
    [words] = [words for _, words in report.of(Verdict.WARN) if "are left" in words]
    prefix = words.rpartition(" ")[2]
    assert prefix.startswith(SCRATCH)
    assert words.startswith(f"scratch keys are left in s3://{standing.store.bucket}: {prefix}")
    left = [info.key for info in standing.store.list(prefix)]
    assert len(left) > 3
    for key in left:
        standing.store.delete(key)
    needs = {need for request in proxy.seen for need in request.needs()}
    assert {action for action, resource in needs if "/source/" in resource} == {"s3:GetObject"}
    written = {arn.partition("/")[2] for action, arn in needs if action in ("s3:PutObject", "s3:DeleteObject")}
    assert {name for name in written if not name.startswith(SCRATCH)} == set()


def test_versions_that_a_store_keeps_although_it_took_their_deletion_are_named(
    running, behind, proxy: Proxy, standing: Deployment, examined
) -> None:
    """What was written is listed after it was removed; the first few are named, the others counted."""
    proxy.fault = Fault(deaf="versionId")
    report: Report = examined(behind)
    assert report.faults == []
    [(area, warning)] = report.of(Verdict.WARN)
    bucket, prefix = standing.store.bucket, warning.rpartition(" ")[2]
    left = [key for key in all_versions(running("ministack"), bucket) if key.startswith(prefix)]
    assert (area, prefix[: len(SCRATCH)]) == ("writes", SCRATCH)
    assert warning.startswith(f"scratch keys are left in s3://{bucket}: {SCRATCH}")
    assert warning.count("(version ") == MOST_NAMED
    assert f" and {len(left) - MOST_NAMED} more; all of them hold " in warning


def test_open_uploads_that_a_store_keeps_although_it_took_their_abort_are_named(
    behind, proxy: Proxy, standing: Deployment, examined, monkeypatch
) -> None:
    """Those of a race, which nothing looks at before the end."""
    monkeypatch.setattr(writing, "_uploads", lambda _: iter(()))
    proxy.fault = Fault(deaf="uploadId")
    report: Report = examined(behind)
    assert report.faults == []
    [(_, warning)] = report.of(Verdict.WARN)
    left = list(standing.store.list_uploads(warning.rpartition(" ")[2]))
    assert [upload for upload in left if f"{upload.key} (open upload {upload.upload_id})" not in warning] == []
    assert len(left) >= races.UPLOADS - 1
    for upload in left:
        standing.store.abort_upload(upload)


# --- races -------------------------------------------------------------------------------------------------------


def test_a_store_that_is_right_one_at_a_time_and_wrong_in_a_race_is_found(behind, proxy: Proxy, examined) -> None:
    """No header shows it: all writers of a race find that their condition holds, then all write."""
    proxy.fault = Fault(leaky=3)
    report: Report = examined(behind)
    create, replaced = (words for _, words in report.faults)
    assert "1 races of 3 writers, PutObject with If-None-Match: in 1 of them more than one writer was told" in create
    assert "(up to 3)" in replaced
    assert "let only one run work at a time" in replaced


@pytest.mark.parametrize(
    "name, words", [("moto", "ignores If-Match when an upload"), ("seaweedfs", "SeaweedFS is known")]
)
def test_a_way_to_commit_that_is_not_safe_there_is_found(running, examined, name, words) -> None:
    """Somebody set it by hand."""
    made = with_sources(running(name))
    report: Report = examined({**made.environment, "S3_ASSETS_LARGE_COMMIT": "complete"})
    assert {area for area, _ in report.faults} == {"writes"}
    assert words in report.faults[0][1]
    assert "auto" in report.faults[0][1]


def test_what_is_no_longer_listened_to_is_tidied_up(standing: Deployment, examined, monkeypatch) -> None:
    """Ctrl-C in the midst of the writes leaves no scratch key."""
    examined(standing.environment, without=("connection", "source", "target", "writes", "clock", "dagster", "slack"))
    findings = checkup({**standing.environment, "S3_ASSETS_LARGE_COMMIT": "complete"}, rounds=1)
    for area, _ in findings:
        if area == "writes":
            break
    assert any(info.key.startswith(SCRATCH) for info in standing.store.list("target/"))
    findings.close()
    assert [info.key for info in standing.store.list(SCRATCH)] == []


def interrupted(process: subprocess.Popen[str], is_time: Callable[[], object]) -> tuple[int, str]:
    """Press Ctrl-C once it is time; the exit code and stderr."""
    until = time.monotonic() + BOUND_S
    try:
        while not is_time():
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=BOUND_S)
    finally:
        process.kill()
    return process.returncode, err


def doctor(environment: Mapping[str, str], *, tidy_s: float) -> subprocess.Popen[str]:
    """The command as a person calls it, with more races than there is time for."""
    script = f"from s3_assets.doctor import checkup; checkup.TIDY_S = {tidy_s}; from s3_assets.cli.main import main; "
    script += "main(['doctor', '--races', '1000', '--without', 'dagster', '--without', 'slack'])"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "S3_ASSETS_"))}
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    return subprocess.Popen([sys.executable, "-c", script], env={**own, **environment}, text=True, **pipes)


def test_ctrl_c_in_the_midst_of_many_races_ends_it_and_leaves_nothing(running) -> None:
    """It does not wait for the races that were asked for; exit 130."""
    server = running("ministack")
    made = with_sources(server)
    before = all_versions(server, made.store.bucket)
    process = doctor({**made.environment, "S3_ASSETS_LARGE_COMMIT": "complete"}, tidy_s=BOUND_S)
    code, err = interrupted(process, lambda: any(".race-" in info.key for info in made.store.list(SCRATCH)))
    assert (code, err) == (130, "interrupted\n")
    assert all_versions(server, made.store.bucket) == before
    assert list(made.store.list_uploads("")) == []


def test_ctrl_c_ends_it_also_where_the_store_does_not_answer_any_more(running) -> None:
    """What may be left is named by what it begins with, and nobody waits for the requests under way."""
    server = running("ministack")
    with Gate(server.endpoint_url) as gate:
        made = with_sources(server)
        given = {**made.environment, "AWS_ENDPOINT_URL": gate.url, "S3_ASSETS_LARGE_COMMIT": "complete"}
        process = doctor(given, tidy_s=0.1)

        def hangs() -> bool:
            if any(".race-" in info.key for info in made.store.list(SCRATCH)):
                gate.shut()
            return gate.waiting > 0

        code, err = interrupted(process, hangs)
    assert code == 130
    assert f"scratch keys that begin with s3://{made.store.bucket}/{SCRATCH} may be left" in err
    assert err.endswith("\ninterrupted\n")


def test_an_area_that_nobody_listens_to_ends() -> None:
    """It is told, goes no further than its next finding, and tidies up before the checkup has ended."""
    tidied = []

    def endless():
        try:
            while True:
                yield passed("again")
                threading.Event().wait(0.01)
        finally:
            tidied.append(threading.current_thread().name)

    findings = examine([Area("a", endless)])
    assert next(findings) == ("a", passed("again"))
    findings.close()
    assert tidied == ["doctor a"]


def test_an_area_that_takes_too_long_does_not_hold_up_the_rest() -> None:
    """It has failed, and is named."""
    stop = threading.Event()

    def slow():
        yield passed("begun")
        stop.wait(60)

    def released():
        stop.set()
        yield passed("done")

    some = [Area("a", slow, bound_s=0.2), Area("b", released), Area("c", released, needs=("a",))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "TIDY_S", 0)
        found = [(area, one.verdict, one.seen) for area, one in examine(some)]
    assert found[:2] == [("a", Verdict.PASS, "begun"), ("a", Verdict.FAIL, "no end within 0 s")]
    assert found[2:] == [("b", Verdict.PASS, "done"), ("c", Verdict.SKIP, "because of a")]
