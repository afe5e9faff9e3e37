"""`doctor`: is this deployment fit to run? Each line as it is found; and the least IAM policy."""

from __future__ import annotations

import json
import logging
import os
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Final, NoReturn

import click

from s3_assets.cli.options import json_option
from s3_assets.cli.render import printable
from s3_assets.doctor.findings import AREAS, Verdict
from s3_assets.errors import SettingsError

if TYPE_CHECKING:
    from s3_assets.doctor.findings import Finding

EXIT_INTERRUPTED: Final = 130
"""As shells have it: 128 and the number of SIGINT."""

_COLOURS = {Verdict.PASS: "green", Verdict.WARN: "yellow", Verdict.FAIL: "red", Verdict.SKIP: "bright_black"}


@click.command()
@click.option("--policy", "print_policy", is_flag=True, help="Only print the least IAM policy for these settings.")
@click.option("--without", type=click.Choice(AREAS), multiple=True, help="Leave an area out; may be given again.")
@click.option(
    "--races",
    "rounds",
    type=click.IntRange(1, 1000),
    help="So many races of writers of each kind [default: as many as fit into six seconds, ten at most]",
)
@json_option
def doctor(*, print_policy: bool, without: tuple[str, ...], rounds: int | None, as_json: bool) -> None:
    """Check settings, credentials, both prefixes, the store's promises, clock, hints, backup, Dagster and Slack.

    Each with the calls that the pipeline makes. Below the target, scratch keys are written and removed again; below the
    source nothing is written. Exit 0: nothing failed (a warning is no failure). Exit 1: something did.
    """
    if print_policy:
        if without or as_json or rounds:
            raise click.UsageError("--policy goes alone: it prints JSON, for all there is")
        click.echo(json.dumps(_policy(), indent=2))
        return
    from s3_assets.doctor.checkup import checkup

    found: list[tuple[str, Finding]] = []
    try:
        with closing(checkup(os.environ, without=without, rounds=rounds)) as findings:
            for area, finding in findings:
                found.append((area, finding))
                if not as_json:
                    _print(area, finding)
    except KeyboardInterrupt:
        _end_interrupted()
    counts = {verdict: sum(finding.verdict is verdict for _, finding in found) for verdict in Verdict}
    if as_json:
        click.echo(json.dumps(_document(found, counts), indent=2, ensure_ascii=False))
    else:
        click.echo(", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count))
    sys.exit(1 if counts[Verdict.FAIL] else 0)


def _end_interrupted() -> NoReturn:
    """End at once, also where a thread waits for a store that does not answer, which Python would wait for."""
    from s3_assets.doctor.checkup import THREAD

    click.echo("interrupted", err=True)
    if any(thread.name.startswith(THREAD) for thread in threading.enumerate()):
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(EXIT_INTERRUPTED)
    sys.exit(EXIT_INTERRUPTED)


def _policy() -> dict[str, object]:
    """The policy for the settings of the environment.

    Raises:
        SettingsError: They can't be used.
    """
    from s3_assets.doctor.policy import policy, wants
    from s3_assets.doctor.settings import load
    from s3_assets.store.s3_client import S3Clients

    loaded = load(os.environ)
    problems = [finding.seen for finding in loaded.findings if finding.verdict is Verdict.FAIL]
    if problems:
        raise SettingsError(problems)
    clients = S3Clients("any-bucket")
    region = str(clients.boto.meta.region_name)
    return policy(wants(loaded.hourly, loaded.backup, is_aws=clients.is_aws, region=region))


def _print(area: str, finding: Finding) -> None:
    verdict = click.style(f"{finding.verdict:<4}", fg=_COLOURS[finding.verdict])
    click.echo(f"{verdict}  {area:<11}  {printable(finding.seen)}")
    if finding.todo:
        click.echo(f"{'':<19}-> {printable(finding.todo)}")


def _document(found: list[tuple[str, Finding]], counts: dict[Verdict, int]) -> dict[str, object]:
    return {
        "findings": [
            {"area": area, "verdict": str(one.verdict), "seen": one.seen, "todo": one.todo} for area, one in found
        ],
        "counts": {str(verdict): count for verdict, count in counts.items()},
        "fit": not counts[Verdict.FAIL],
    }
