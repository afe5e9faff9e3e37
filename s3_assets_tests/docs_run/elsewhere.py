"""Which commands are run as they stand, and which are not: why, and which tests show instead that they do what is said.

Nothing is run that nobody thought of: what is in no table here is not typed, and fails a test. How commands are written
is checked all the same where their program has a parser (`parsing`). A command is known by its first line, without the
folder of its program; one that stands in no document any more must go from here, too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from s3_assets_tests.docs_run.documents import Command

PROGRAMS_RUN_HERE = frozenset({"s3-assets", "export", "unset", "echo", ""})
"""Programs whose commands are run as they stand, alone in a line, if no table says otherwise.

Without a name: a variable is set.
"""

RUN_HERE = frozenset(
    {
        "make help",
        "dagster instance concurrency set hour_files 2",
        "dagster instance concurrency set hour_files 16",
        "dagster instance concurrency set s3_assets_backup 1",
        'export DAGSTER_HOME=$PWD/.dagster; mkdir -p "$DAGSTER_HOME"',
        'cp deploy/dagster.yaml "$DAGSTER_HOME"',
        "diff -r /tmp/drill /var/lib/events | grep -v '^Only in /var/lib/events'",
    }
)
"""Commands that are, too."""

_MORE_THAN_ONE = re.compile(r"[`\n;&|<>]|\$\(")


@dataclass(frozen=True)
class Elsewhere:
    """Why a command is not run with the others.

    Attributes:
        why: In words.
        tests: Which run it, or what it starts: a path below s3_assets_tests, `::` and a name.
    """

    why: str
    tests: tuple[str, ...] = ()


_LIVE = "docs_run/test_live.py::test_dagster_runs_as_the_readme_starts_it"
_DEMO = "dagster/test_live.py::test_late_files_and_backfills_go_through_the_daemon"
_DOCUMENT = "cli/test_questions.py::test_every_command_of_the_document_prints_what_it_says"

AWS = Elsewhere(
    "it needs the AWS CLI, which is no package of this project",
    (
        "docs_run/test_live.py::test_hints_are_set_up_as_the_document_says",
        "hints/test_notifications.py::test_what_is_put_is_what_is_looked_at",
    ),
)
QUESTIONS = Elsewhere("its output is compared, too", (_DOCUMENT,))

_TABLE: Mapping[Elsewhere, str] = {
    Elsewhere("it installs for a minute, and these tests run in what it made"): """
        make install
        pip install ../.. dagster-dg-cli dagster-webserver
        """,
    Elsewhere("it runs these tests"): """
        make test
        make soak
        make soak SHARE=0.2
        make test-deploy
        DAGSTER_CHART=/tmp/dagster make test-deploy
        """,
    Elsewhere("it starts a whole deployment", ("demo/test_demo_once.py::test_once_is_right_and_leaves_nothing",)): """
        make demo
        make demo ONCE=1
        """,
    Elsewhere("it is typed beside the demo", (_DEMO,)): """
        . .demo/environment.sh
        python -c "import boto3; boto3.client('s3').put_object(Bucket='demo', Key='source/customer_new_customer_event/2021-09-01/07_59_late.csv', Body='customer_id\\n200\\n')"
        s3-assets plan --explain customer_new_customer_event 2021-09-01-07:00
        s3-assets history customer_new_customer_event 2021-09-01-07:00
        python -c "import boto3; boto3.client('s3').put_object(Bucket='demo', Key='target/customer_new_customer_event/2021-09-01/08.csv.gz', Body='garbage')"
        python -c "import boto3; boto3.client('s3').put_object(Bucket='demo', Key='source/customer_new_customer_event/2021-09-01/08_59_late.csv', Body='customer_id\\n201\\n')"
        s3-assets plan --explain customer_new_customer_event 2021-09-01-08:00
        """,  # noqa: E501
    Elsewhere("it needs Dagster running", (_LIVE,)): """
        dagster dev
        dagster asset materialize --select hourly_gzip --partition 'payments|2024-06-01-07:00' -m s3_assets.dagster.definitions
        dagster-daemon run
        dagster sensor cursor alerts_sensor --delete
        s3-assets replay
        s3-assets replay --from 2024-06-01 --to 2024-06-30
        s3-assets replay --event payments --from 2024-03-01 --to 2024-03-31
        """,  # noqa: E501
    Elsewhere(
        "it needs Dagster running",
        (
            "cli/test_replay.py::test_a_replay_is_cancelled_as_a_whole_and_nothing_else_is",
            "deploy/test_celery.py::test_a_late_file_goes_before_what_is_left_of_a_replay",
        ),
    ): """
        s3-assets replay --cancel ID
        S3_ASSETS_MEGABYTES_PER_RUN=1000 s3-assets replay --from 2023-01-01 --to 2023-12-31
        """,
    Elsewhere(
        "it goes on until it is ended",
        (
            "dagster/test_hourly_pipeline.py::test_two_pipelines_and_an_asset_of_ones_own_work_side_by_side",
            "dagster/test_split.py::test_a_daemon_over_the_workspace_makes_all_hours_each_in_its_location",
            "dagster/test_component.py::test_dg_checks_the_example",
        ),
    ): """
        dagster dev -f definitions.py
        dagster dev -w workspace.yaml
        dg dev
        """,
    Elsewhere(
        "it loads a project in processes of its own",
        (
            "dagster/test_component.py::test_dg_checks_the_example",
            "dagster/test_component.py::test_dg_says_what_is_wrong_and_where",
            "dagster/test_component.py::test_dg_lists_the_component_and_its_definitions",
        ),
    ): """
        dg check defs
        dg check yaml
        dg list defs
        dg list components
        """,
    Elsewhere("it writes docs/settings.md", ("test_settings.py::test_the_document_is_up_to_date",)): """
        python -m s3_assets.settings
        """,
    Elsewhere("it writes docs/questions.md", (_DOCUMENT,)): """
        python -m s3_assets_tests.cli.questions
        """,
    Elsewhere("it measures for minutes, with the machine for itself, or writes down what was measured"): """
        make bench
        make bench QUICK=1
        make bench ONLY="late_100mb ticks_100k"
        python -m bench.document
        python -m bench.live backlog
        python -m bench.live chaos
        python -m bench.live latency --by hints
        python -m bench.partitions
        python -m bench.partitions --work /tmp/grid
        python -m bench.partitions --work /tmp/grid --size 10
        python -m bench.partitions --work /tmp/grid --table
        python -m bench.rates
        python -m bench.scale_document
        python -m bench.scale_document > docs/scale.md
        python -m bench.scale_run listing
        python -m bench.scale_run listing --ticks 12
        python -m bench.scale_run records
        python -m bench.ticks seaweedfs
        python -m bench.workers --to /tmp/found
        """,
    Elsewhere("it follows a file that the reader names"): """
        tail -F
        """,
    Elsewhere("it changes the machine", ("docs_run/test_docs_run.py::test_units_call_what_the_program_takes",)): """
        systemctl enable --now s3-assets-watchdog.timer
        systemctl list-timers
        """,
    Elsewhere(
        "it needs workers and a broker",
        ("deploy/test_celery.py::test_a_worker_that_is_told_to_stop_ends_its_run_first",),
    ): """
        PYTHONPATH=deploy/celery .venv/bin/celery -A dagster_celery.app worker -n worker-1@%h --concurrency=1 --prefetch-multiplier=1
        dagster-celery worker start -y worker.yaml
        celery -A dagster_celery.app inspect active
        systemctl stop
        """,  # noqa: E501
    Elsewhere(
        "it sets a machine up",
        (
            "deploy/test_files_units.py::test_systemd_takes_them",
            "deploy/test_files_instances.py::test_it_makes_an_instance_that_works",
        ),
    ): """
        apt-get install postgresql python3-venv
        useradd --system --home-dir /srv/dagster --create-home dagster
        python3 -m venv /srv/s3_assets/.venv
        cd /srv/s3_assets && .venv/bin/pip install -c constraints.txt '.[deploy]'
        su postgres -c 'createuser dagster && createdb --owner dagster dagster'
        install -m 600 deploy/single/s3_assets.env.example /etc/s3_assets.env
        install -m 644 deploy/single/dagster.yaml deploy/single/workspace.yaml /srv/dagster/
        cp deploy/single/*.service deploy/s3-assets-watchdog.service deploy/s3-assets-watchdog.timer /etc/systemd/system/
        systemctl daemon-reload
        systemctl enable --now s3-assets-code s3-assets-webserver s3-assets-daemon s3-assets-watchdog.timer
        systemctl restart s3-assets-code
        systemctl edit s3-assets-code
        systemd-run --pipe --wait --uid=dagster -p EnvironmentFile=/etc/s3_assets.env -E DAGSTER_HOME=/srv/dagster /srv/s3_assets/.venv/bin/s3-assets doctor
        systemd-analyze verify
        git pull
        pip install
        dagster instance migrate
        """,  # noqa: E501
    Elsewhere(
        "it needs Docker's engine",
        (
            "deploy/test_files_compose.py::test_compose_reads_it",
            "deploy/test_files_image.py::test_its_command_serves_and_its_health_check_tells",
        ),
    ): """
        cd deploy/compose
        cp env.example .env
        docker compose up --build --detach --wait
        docker compose exec daemon s3-assets doctor
        docker compose config
        docker build --file deploy/Dockerfile --tag 123456789012.dkr.ecr.eu-west-1.amazonaws.com/s3-assets:1 .
        docker push 123456789012.dkr.ecr.eu-west-1.amazonaws.com/s3-assets:1
        dagster api grpc-health-check
        """,
    Elsewhere("it needs a cluster", ("deploy/test_files_helm.py::test_helm_renders_them",)): """
        kubectl create namespace s3-assets
        kubectl -n s3-assets create secret generic dagster-postgresql --from-literal=postgresql-password="$PASSWORD"
        kubectl -n s3-assets create secret generic s3-assets --from-literal=S3_ASSETS_SLACK_TOKEN="$TOKEN"
        kubectl -n s3-assets apply -f deploy/helm/settings.yaml
        kubectl -n s3-assets exec deploy/dagster-dagster-user-deployments-s3-assets -- s3-assets doctor --without dagster
        helm repo add dagster https://dagster-io.github.io/helm
        helm upgrade --install dagster dagster/dagster --version 1.13.27 -n s3-assets --values deploy/helm/values.yaml
        helm pull dagster/dagster --version 1.13.27 --untar --untardir /tmp
        """,  # noqa: E501
    Elsewhere("it needs AWS", ("deploy/test_files_ecs.py::test_ecs_would_take_it",)): """
        aws ecs create-cluster --cluster-name s3-assets
        aws logs create-log-group --log-group-name /s3-assets
        aws ecs register-task-definition --cli-input-json file://deploy/ecs/task-definition.json
        aws ecs create-service --cluster s3-assets --service-name s3-assets --task-definition s3-assets --desired-count 1 --launch-type FARGATE --deployment-configuration maximumPercent=100,minimumHealthyPercent=0 --network-configuration "awsvpcConfiguration={subnets=[$SUBNETS],securityGroups=[$GROUP],assignPublicIp=DISABLED}"
        """,  # noqa: E501
    Elsewhere("it needs AWS, and Terraform", ("deploy/test_files_terraform.py::test_it_is_valid",)): """
        cd deploy/terraform
        cat > my.tfvars <<'TFVARS'
        terraform init
        terraform plan -var-file=my.tfvars
        terraform apply -var-file=my.tfvars
        terraform output environment
        """,
}

ELSEWHERE: Mapping[str, Elsewhere] = {
    line.strip(): why for why, lines in _TABLE.items() for line in lines.strip().splitlines()
}

BLOCKS: Mapping[str, Elsewhere] = {"docs/hints.md": AWS, "docs/questions.md": QUESTIONS}
"""Documents all of whose blocks are run by a test of their own."""


def elsewhere(command: Command) -> Elsewhere | None:
    """Why a command is not run with the others; None where it is, or should be."""
    if command.in_block and command.document in BLOCKS:
        return BLOCKS[command.document]
    return ELSEWHERE.get(command.plain.partition("\n")[0])


def runs_here(command: Command) -> bool:
    """Whether it is typed by a test, with all that it does."""
    if elsewhere(command) is not None:
        return False
    alone = command.program in PROGRAMS_RUN_HERE and not _MORE_THAN_ONE.search(command.text)
    return alone or command.plain in RUN_HERE
