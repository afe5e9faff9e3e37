"""deploy/terraform: what it gives is what the pipeline needs and no more, and no lifecycle takes a row."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.doctor.policy import Wants, policy
from s3_assets.settings import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.deploy, pytest.mark.xdist_group("deploy_files")]

DEPLOY = Path(__file__).parents[2] / "deploy"
TERRAFORM = DEPLOY / "terraform"
QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/s3-assets-hints"
QUEUE_ARN = "arn:aws:sqs:eu-west-1:123456789012:s3-assets-hints"


def terraform(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run it without asking anything of anybody."""
    if shutil.which("terraform") is None:
        pytest.skip("terraform is not installed")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "AWS_"))}
    return subprocess.run(
        ["terraform", f"-chdir={folder}", *arguments],
        env={**environment, "CHECKPOINT_DISABLE": "1", "TF_IN_AUTOMATION": "1", "TF_INPUT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )


def read(name: str) -> dict[str, Any]:
    """A file as hcl2 reads it, its strings without quotes."""
    import hcl2

    return unquoted(hcl2.loads((TERRAFORM / name).read_text(encoding="utf-8")))


def unquoted(found: Any) -> Any:
    """hcl2 keeps the quotes of literals and names."""
    if isinstance(found, dict):
        return {unquoted(key): unquoted(value) for key, value in found.items()}
    if isinstance(found, list):
        return [unquoted(one) for one in found]
    return found[1:-1] if isinstance(found, str) and re.fullmatch(r'"[^"]*"', found) else found


def test_it_is_formatted_and_parses():
    """Every file."""
    done = terraform(TERRAFORM, "fmt", "-check", "-recursive", "-diff", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    for path in sorted(TERRAFORM.rglob("*.tf")):
        assert read(str(path.relative_to(TERRAFORM))), path


def test_it_is_valid(tmp_path):
    """By terraform itself, where the provider can be had."""
    shutil.copytree(DEPLOY, tmp_path / "deploy", ignore=shutil.ignore_patterns(".terraform*"))
    folder = tmp_path / "deploy" / "terraform"
    begun = terraform(folder, "init", "-backend=false", "-no-color")
    if "could not connect to registry.terraform.io" in " ".join(begun.stderr.split()):
        pytest.skip("the AWS provider can't be had here: registry.terraform.io does not answer")
    assert begun.returncode == 0, begun.stderr
    done = terraform(folder, "validate", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    """The module of the policy, in a place of its own: it needs no provider, so it can be applied."""
    place = tmp_path_factory.mktemp("terraform") / "deploy"
    shutil.copytree(TERRAFORM / "policy", place / "terraform" / "policy", ignore=shutil.ignore_patterns(".terraform*"))
    shutil.copy(DEPLOY / "iam-policy.json", place)
    folder = place / "terraform" / "policy"
    done = terraform(folder, "init", "-backend=false", "-no-color")
    assert done.returncode == 0, done.stderr
    return folder


def given(module: Path, wanted: Wants, partition: str = "aws") -> dict[str, Any]:
    """What terraform gives for these places."""
    values: dict[str, Any] = {"partition": partition}
    for name, where in (("source_objects", wanted.source), ("target", wanted.target), ("backup", wanted.backup)):
        values[name] = None if where is None else {"bucket": where.bucket, "prefix": where.prefix}
    values["hints_queue_arn"] = QUEUE_ARN.replace("arn:aws:", f"arn:{partition}:") if wanted.hints_queue else None
    (module / "terraform.tfvars.json").write_text(json.dumps(values))
    done = terraform(module, "apply", "-auto-approve", "-no-color")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(terraform(module, "output", "-raw", "json").stdout)


def grants(document: dict[str, Any]) -> set[tuple[str, str, str]]:
    """Each action on each resource under each condition, however statements are cut and called."""

    def each() -> Iterator[tuple[str, str, str]]:
        for one in document["Statement"]:
            assert set(one) <= {"Sid", "Effect", "Action", "Resource", "Condition"}
            assert one["Effect"] == "Allow"
            condition = one.get("Condition", {})
            assert set(condition) <= {"StringLikeIfExists"}
            for action in one["Action"]:
                for prefix in condition.get("StringLikeIfExists", {"s3:prefix": [""]})["s3:prefix"]:
                    yield action, one["Resource"], prefix

    return set(each())


PLACES = {
    "the example's names": Wants(
        source=Location("my-raw-bucket", "source/"),
        target=Location("my-hourly-bucket", "target/"),
        backup=Location("my-backup-bucket", "events/"),
        hints_queue=QUEUE,
        region="eu-west-1",
    ),
    "other names, in another order": Wants(
        source=Location("my-hourly-bucket-raw", "in/csv/"),
        target=Location("a-bucket", "target/source/"),
        backup=Location("my-raw-bucket", "source/"),
        hints_queue=QUEUE,
        region="eu-west-1",
    ),
    "no backup, no hints": Wants(source=Location("b-raw", "s/"), target=Location("a-hours", "t/"), region="eu-west-1"),
}


@pytest.mark.parametrize("wanted", PLACES.values(), ids=PLACES)
def test_the_policy_is_what_the_checkup_prints(module, wanted):
    """`s3-assets doctor --policy` for the same places: every right of it, and no other."""
    assert grants(given(module, wanted)) == grants(policy(wanted))


def test_with_the_example_s_names_it_is_the_example(module):
    """To the letter."""
    example = json.loads((DEPLOY / "iam-policy.json").read_text(encoding="utf-8"))
    assert given(module, PLACES["the example's names"]) == example


def test_another_partition_has_other_names(module):
    """In China and for governments."""
    wanted = Wants(source=Location("b-raw", "s/"), target=Location("a-hours", "t/"), region="cn-north-1")
    assert grants(given(module, wanted, "aws-cn")) == grants(policy(wanted))


def test_a_name_that_it_does_not_know_is_an_error(module):
    """A right that is new in the example can't be left out in silence, nor lose its condition."""
    path = module.parents[1] / "iam-policy.json"
    text = path.read_text(encoding="utf-8")
    values = module / "terraform.tfvars.json"
    given(module, PLACES["the example's names"])
    try:
        for old in ('"arn:aws:s3:::my-raw-bucket"', '"source/*"'):
            path.write_text(text.replace(old, old.replace("/*", "/x/*").replace("bucket", "pail")), encoding="utf-8")
            done = terraform(module, "plan", "-no-color")
            assert done.returncode != 0
            assert "does not" in done.stderr
    finally:
        path.write_text(text, encoding="utf-8")
        values.unlink()


PLACE = {"bucket": "my-raw-bucket", "prefix": "source/"}, {"bucket": "my-hourly-bucket", "prefix": "target/"}
EKS = {
    "oidc_provider_arn": "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/ABC",
    "namespace": "s3-assets",
    "service_account": "s3-assets",
}


def planned(folder: Path, **values: Any) -> subprocess.CompletedProcess[str]:
    """Buckets and trust as they follow from these variables: what needs no provider is taken out and tried."""
    shutil.copy(TERRAFORM / "variables.tf", folder)
    parts = [(TERRAFORM / name).read_text(encoding="utf-8") for name in ("buckets.tf", "roles.tf")]
    found = [re.findall(r"^locals \{\n.*?^\}\n", text, re.MULTILINE | re.DOTALL) for text in parts]
    asked = 'output "seen" { value = { buckets = local.buckets, trust = local.trust } }\n'
    (folder / "main.tf").write_text("".join(one for some in found for one in some) + asked)
    given = {"source_objects": PLACE[0], "target": PLACE[1], **values}
    (folder / "terraform.tfvars.json").write_text(json.dumps(given))
    assert terraform(folder, "init", "-backend=false", "-no-color").returncode == 0
    return terraform(folder, "apply", "-auto-approve", "-no-color")


def test_buckets_and_trust_follow_from_the_variables(tmp_path):
    """A machine; a cluster of each kind with a backup, and a source bucket that is somebody else's."""
    done = planned(tmp_path)
    assert done.returncode == 0, done.stderr
    seen = json.loads(terraform(tmp_path, "output", "-json", "seen").stdout)
    assert set(seen["buckets"]) == {"source", "target"}
    assert [one["Principal"] for one in seen["trust"]] == [{"Service": "ec2.amazonaws.com"}]
    backup = {"bucket": "my-backup-bucket", "prefix": "events/"}
    done = planned(tmp_path, backup=backup, make_source_bucket=False, run_on=["ecs", "eks"], eks=EKS)
    assert done.returncode == 0, done.stderr
    seen = json.loads(terraform(tmp_path, "output", "-json", "seen").stdout)
    assert {name: one["bucket"] for name, one in seen["buckets"].items()} == {
        "target": "my-hourly-bucket",
        "backup": "my-backup-bucket",
    }
    ecs, eks = seen["trust"]
    assert ecs["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    host = "oidc.eks.eu-west-1.amazonaws.com/id/ABC"
    assert eks["Condition"]["StringEquals"][f"{host}:sub"] == "system:serviceaccount:s3-assets:s3-assets"


@pytest.mark.parametrize(
    "values",
    [
        {"target": PLACE[0]},
        {"target": {"bucket": "my-hourly-bucket", "prefix": "target"}},
        {"source_objects": {"bucket": "my-raw-bucket", "prefix": "so*ce/"}},
        {"backup": {"bucket": "my-raw-bucket", "prefix": "events/"}},
        {"keep_versions": 0},
        {"keep_versions_days": 1},
        {"run_on": ["ec3"]},
        {"run_on": ["eks"]},
        {"eks": EKS},
    ],
)
def test_what_would_break_a_promise_is_refused(tmp_path, values):
    """Before anything is made, with the reason."""
    done = planned(tmp_path, **values)
    assert done.returncode != 0
    assert "Invalid value for variable" in done.stderr


def rules() -> list[dict[str, Any]]:
    """The lifecycle's."""
    [found] = [
        one["aws_s3_bucket_lifecycle_configuration"]["this"]
        for one in read("buckets.tf")["resource"]
        if "aws_s3_bucket_lifecycle_configuration" in one
    ]
    return found["rule"]


def test_no_lifecycle_takes_a_row():
    """Nothing that stands expires or moves; of older versions some stay for good; uploads get time to end."""
    names = {name for rule in rules() for name in rule if not name.startswith("__")}
    assert names == {"id", "status", "filter", "noncurrent_version_expiration", "abort_incomplete_multipart_upload"}
    [older] = [rule["noncurrent_version_expiration"] for rule in rules() if "noncurrent_version_expiration" in rule]
    assert older[0]["newer_noncurrent_versions"] == "${var.keep_versions}"
    assert older[0]["noncurrent_days"] == "${var.keep_versions_days}"
    text = (TERRAFORM / "buckets.tf").read_text(encoding="utf-8")
    days = [int(number) for number in re.findall(r"abort_days = (\d+)", text)]
    assert len(days) == 3
    assert min(days) >= 2  # a run may take 12 hours


def test_no_bucket_can_be_destroyed_or_opened():
    """By a change of names, or by a policy of somebody else's."""
    found = {kind: body["this"] for one in read("buckets.tf")["resource"] for kind, body in one.items()}
    assert found["aws_s3_bucket"]["lifecycle"][0]["prevent_destroy"] is True
    block = {key: value for key, value in found["aws_s3_bucket_public_access_block"].items() if "public" in key}
    assert list(block.values()) == [True] * 4
    assert found["aws_s3_bucket_versioning"]["versioning_configuration"][0]["status"] == "Enabled"


def test_the_queue_is_as_documented():
    """docs/hints.md gives the numbers and their reasons."""
    text = (DEPLOY.parent / "docs" / "hints.md").read_text(encoding="utf-8")
    queues = {
        name: body
        for one in read("hints.tf")["resource"]
        for kind, found in one.items()
        if kind == "aws_sqs_queue"
        for name, body in found.items()
    }
    hints = queues["hints"]
    assert f"VisibilityTimeout={hints['visibility_timeout_seconds']}" in text
    assert f"MessageRetentionPeriod={hints['message_retention_seconds']}" in text
    assert "maxReceiveCount" in hints["redrive_policy"]
    source = (TERRAFORM / "hints.tf").read_text(encoding="utf-8")
    assert int(re.findall(r"maxReceiveCount += (\d+)", source)[0]) >= 100
