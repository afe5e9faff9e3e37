"""In a soak: what the documents say of a Dagster that runs, and of AWS's own command line."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from s3_assets.cli.webserver import Webserver, WebserverError
from s3_assets.demo.seaweedfs import free_port_pairs
from s3_assets.demo.supervise import ProcessGroup
from s3_assets_tests.docs_run.documents import of_the_documents
from s3_assets_tests.docs_run.reader import RAW
from s3_assets_tests.soak.living import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from s3_assets_tests.docs_run.reader import Said, Site
    from s3_assets_tests.servers import Server

pytestmark = [
    pytest.mark.soak,
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    # dagster-graphql 1.13 calls gql 4 in a way that gql deprecates
    pytest.mark.filterwarnings("ignore:Using variable_values and operation_name arguments:DeprecationWarning"),
]
START_S = 240
BOUND_S = 300


@pytest.mark.xdist_group("live")
def test_dagster_runs_as_the_readme_starts_it(site: Site) -> None:
    """`dagster dev` in a checkout, and the commands that need it: hours are replayed, and then all is well."""
    [port] = free_port_pairs(1)
    url = f"http://127.0.0.1:{port}"
    reader = site.reader(**site.settings, S3_ASSETS_DAGSTER_URL=url, DAGSTER_DISABLE_TELEMETRY="1")

    def said(command: str) -> Said:
        one = reader.type(command)
        assert one.code == 0, one.printed
        return one

    said('export DAGSTER_HOME=$PWD/.live; mkdir -p "$DAGSTER_HOME"; cp deploy/dagster.yaml "$DAGSTER_HOME"')
    dev = ProcessGroup(
        "dagster dev",
        [*shlex.split(".venv/bin/dagster dev"), "--host", "127.0.0.1", "--port", str(port)],
        log_path=site.folder / "dev.log",
        cwd=site.checkout,
        env=reader.environ,
    )
    try:
        dev.wait_until(lambda: is_ready(url), timeout_s=START_S)
        assert "nothing was launched" in said("s3-assets replay --from 2024-06-01 --to 2024-06-30 --dry-run").printed
        assert " SUCCESS, " in said("s3-assets replay --from 2024-06-01 --to 2024-06-30").printed
        assert "0 of" in said("s3-assets plan --from 2024-06-01 --to 2024-06-30").printed
        said(".venv/bin/dagster sensor start source_sensor")  # the UI does no more
        wait_until(lambda: reader.type("s3-assets doctor").code == 0, BOUND_S, "a checkup without a fault")
        wait_until(lambda: reader.type("s3-assets watchdog").code == 0, BOUND_S, "a watchdog that is content")
        alone = ".venv/bin/dagster asset materialize --select hourly_gzip --partition 'payments|2024-06-01-07:00' -m"
        alone += " s3_assets.dagster.definitions"
        wait_until(lambda: reader.type(alone).code == 0, BOUND_S, "one hour made from the shell")
        assert "cursor" in said(".venv/bin/dagster sensor cursor alerts_sensor --delete").printed.lower()
    finally:
        dev.stop()


def is_ready(url: str) -> bool:
    """Whether the code location is loaded and a daemon takes runs from the queue."""
    try:
        web = Webserver(url)
        web.home_of_the_jobs(["hourly_gzip_job"], None)
        return not web.queue_problem(time.time())
    except WebserverError:
        return False


@pytest.mark.xdist_group("documents")
def test_hints_are_set_up_as_the_document_says(site: Site, running: Callable[[str], Server]) -> None:
    """All blocks of docs/hints.md in one shell: then an object that is put is a message in the queue."""
    if shutil.which("aws") is None:
        pytest.skip("there is no AWS CLI on this machine")
    server = running("ministack")
    server.client().create_bucket(Bucket=RAW, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    folder = site.folder / "hints"
    folder.mkdir()
    script = "\n".join(one.text for one in of_the_documents() if one.document == "docs/hints.md" and one.in_block)
    environ = {**site.reader().environ, **server.environment()}
    count = 'aws sqs get-queue-attributes --queue-url "$QUEUE_URL" --attribute-names ApproximateNumberOfMessages'
    script = (
        # its version 1 asks AWS for queues, whatever AWS_ENDPOINT_URL says
        'set -eux\naws() { command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@"; }\n'
        f"{script}\necho a > a; aws s3api put-object --bucket {RAW} --key source/e/2024-06-01/07_00_a.csv "
        f"--body a\nfor _ in $(seq 60); do {count} --output text | grep -v '0$' && exit 0; sleep 1; done; exit 1"
    )
    done = subprocess.run(
        ["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "S3_ASSETS_HINTS_QUEUE=http" in done.stdout
