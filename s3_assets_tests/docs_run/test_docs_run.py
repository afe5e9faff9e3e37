"""Every command of the documents is run over a deployment that is set up by README.md, and ends as they say.

What can't be run is in one table, `elsewhere`; a command that is neither there nor one that runs here fails.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING

import click
import pytest

from s3_assets.errors import SettingsError
from s3_assets.settings import (
    load_alert_settings,
    load_backup_settings,
    load_log_settings,
    load_metrics_settings,
    load_settings,
)
from s3_assets_tests.docs_run.documents import ROOT, Command, blocks, commands, of_the_documents
from s3_assets_tests.docs_run.elsewhere import BLOCKS, ELSEWHERE, RUN_HERE, elsewhere, runs_here
from s3_assets_tests.docs_run.parsing import TAKES, words_of
from s3_assets_tests.docs_run.reader import LATER
from s3_assets_tests.watchdog.instance import Home, make_home

if TYPE_CHECKING:
    from pathlib import Path

    from s3_assets_tests.docs_run.reader import Said, Site

pytestmark = pytest.mark.xdist_group("documents")

FILLED = {
    "s3-assets backup --date": "s3-assets backup --date 2026-11-20",
    "s3-assets history": "s3-assets history payments 2024-06-01-07:00",
    "s3-assets history EVENT HOUR": "s3-assets history payments 2024-06-01-07:00",
    "s3-assets plan --explain": "s3-assets plan --explain payments 2024-06-01-07:00",
    "python -m bench.partitions": "python -m bench.partitions --work /tmp/grid",
    "s3-assets replay --cancel ID": "s3-assets replay --cancel 20260901T071500-3fa94c",
    "s3-assets sync …": "s3-assets sync",
}
"""What is named between backticks without its arguments, or with a word for them."""

ALL = list(of_the_documents())
TYPED = [one for one in ALL if runs_here(one)]
WITH_BLOCKS = list(dict.fromkeys(one.document for one in TYPED if one.in_block))
IN_BLOCKS = {one.plain for one in TYPED if one.in_block}
FILLED_IN = dict.fromkeys(FILLED.get(one.plain, one.plain) for one in TYPED if not one.in_block)
BETWEEN_BACKTICKS = [text for text in FILLED_IN if text not in IN_BLOCKS]


# --- none slips by -----------------------------------------------------------------------------------------


def unaccounted(found: list[Command]) -> list[str]:
    """Those that are neither run nor in the table."""
    return [f"{one.document}:{one.line}: {one.text}" for one in found if elsewhere(one) is None and not runs_here(one)]


def test_every_command_is_run_or_has_a_reason() -> None:
    """A new one either runs here, or gets into `elsewhere` with why it does not."""
    assert unaccounted(ALL) == []


def test_the_tables_name_what_stands_in_the_documents() -> None:
    """An entry whose command is gone goes, too."""
    there = {one.plain.partition("\n")[0] for one in ALL}
    assert (ELSEWHERE.keys() | RUN_HERE | FILLED.keys()) - there == set()
    assert BLOCKS.keys() - {one.document for one in ALL if one.in_block} == set()


@pytest.mark.parametrize("why", dict.fromkeys([*ELSEWHERE.values(), *BLOCKS.values()]), ids=lambda one: one.why)
def test_the_tests_that_run_it_elsewhere_are_there(why) -> None:
    """By file and name."""
    for test in why.tests:
        path, _, name = test.partition("::")
        assert f"\ndef {name}(" in (ROOT / "s3_assets_tests" / path).read_text(encoding="utf-8"), test


def test_the_collector_sees_all_sorts_of_commands() -> None:
    """Blocks of a shell and of its prompt, what is set in, what goes on, what stands in the text; and no prose."""
    text = (
        "Say `kubectl apply -f\nx.yaml`, `sync --rebuild` or `run lost`.\n\n"
        "```sh\n# nothing\nexport A='# b'   # c\nX=$(aws sts y \\\n  --z)\nA=b C='d e' bin/rm x\nA='b c'\n"
        "cat > f <<END\n`no b`\nEND\nbin/some-tool x\n```\n"
        "1. so\n\n   ```sh\n   set in\n   ```\n\n```console\n$ s3-assets plan\n3 hours\n```\n\n"
        "```\nok    daemons\ndocker ps\n```\n\n    python -m bench.new --to x   # it\n    words\n\n## `make heading`\n"
    )
    assert [(one.program, one.plain, one.comment, one.in_block) for one in commands(text)] == [
        ("export", "export A='# b'", "c", True),
        ("aws", "X=$(aws sts y --z)", "", True),
        ("rm", "A=b C='d e' bin/rm x", "", True),
        ("", "A='b c'", "", True),
        ("cat", "cat > f <<END\n`no b`\nEND", "", True),
        ("some-tool", "some-tool x", "", True),
        ("set", "set in", "", True),
        ("s3-assets", "s3-assets plan", "", True),
        ("docker", "docker ps", "", True),
        ("python", "python -m bench.new --to x", "it", True),
        ("kubectl", "kubectl apply -f x.yaml", "", False),
        ("s3-assets", "s3-assets sync --rebuild", "", False),
    ]
    lines = [(one.line, one.program) for one in commands(text)]
    assert [lines[at] for at in (0, 5, 7, 10)] == [(6, "export"), (14, "some-tool"), (23, "s3-assets"), (1, "kubectl")]
    assert [line.rpartition(": ")[2] for line in unaccounted(list(commands(text)))] == [
        "X=$(aws sts y --z)", "A=b C='d e' bin/rm x", "cat > f <<END\n`no b`\nEND", "bin/some-tool x", "set in",
        "docker ps", "python -m bench.new --to x", "kubectl apply -f x.yaml",
    ]  # fmt: skip


# --- what is not run is at least written right -------------------------------------------------------------


@pytest.mark.parametrize("text", dict.fromkeys(one.plain for one in ALL if one.program in TAKES and elsewhere(one)))
def test_programs_take_what_is_written(text: str) -> None:
    """Asked of the parser of each."""
    words = words_of(FILLED.get(text, text))
    with suppress(click.exceptions.Exit):
        TAKES[words[0]](words)


@pytest.mark.parametrize(
    "text",
    [
        "s3-assets synk",
        "s3-assets sync --evnt payments",
        "make no-such-target",
        "aws sqs create-queue",
        "aws sqs create-queues --queue-name x",
        "aws events put-rule --name x --event-patern file://rule.json",
        "python -m bench.ticks",
        "python -m bench.live latency",
        "python -m bench.hours --too /tmp/x",
        "python -m bench.none",
        "python -m s3_assets.errors",
        "dagster sensor cursors",
        "dagster dev --no-such",
        "dagster-daemon runs",
        "dg check def",
    ],
)
def test_a_command_that_is_written_wrong_is_noticed(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """By each of them."""
    words = words_of(text)
    with pytest.raises((AssertionError, click.UsageError, SystemExit)):
        TAKES[words[0]](words)


def test_a_share_of_a_soak_is_handed_on() -> None:
    """`make soak SHARE=0.2`; and ONCE=1 to the demo."""
    assert "S3_ASSETS_SOAK=0.2 " in str(TAKES["make"](["make", "soak", "SHARE=0.2"]))
    assert "s3-assets demo --once" in str(TAKES["make"](["make", "demo", "ONCE=1"]))


def test_units_call_what_the_program_takes() -> None:
    """What systemd and cron are told to run."""
    for name in ("s3-assets-watchdog.service", "s3-assets-watchdog.crontab"):
        [line] = re.findall(r"^[^#\n]*/bin/s3-assets (.*)$", (ROOT / "deploy" / name).read_text(), re.MULTILINE)
        TAKES["s3-assets"](["s3-assets", *words_of(line)])


# --- and the rest is run -----------------------------------------------------------------------------------


def check(command: Command, said: Said) -> None:
    """How it ended, and what else the document says of it on its line."""
    what = f"{command.document}:{command.line}: {command.text}\n{said.printed}"
    if "says nothing" in command.comment:
        assert said.printed == "", what
    else:
        assert said.code == 0, what
    assert not said.wrote, what


def readable(environ: dict[str, str]) -> None:
    """What is exported are settings, with values that can be used.

    Raises:
        SettingsError: They are not.
    """
    for needed, load in (
        ({"S3_ASSETS_SOURCE", "S3_ASSETS_TARGET"}, load_settings),
        ({"S3_ASSETS_SLACK_TOKEN", "S3_ASSETS_SLACK_CHANNEL"}, load_alert_settings),
        ({"S3_ASSETS_BACKUP_DIR", "S3_ASSETS_BACKUP_TARGET", "S3_ASSETS_BACKUP_START_DATE"}, load_backup_settings),
        (set(), load_log_settings),
        (set(), load_metrics_settings),
    ):
        if needed <= environ.keys():
            load(environ)


@pytest.mark.parametrize("document", WITH_BLOCKS)
def test_blocks_are_run(site: Site, document: str) -> None:
    """In their order, each after what the document exports. README.md's were, before all others, and are not again."""
    if document == "README.md":
        for command, said in site.readme:
            check(command, said)
        readable(site.settings)
        return
    reader = site.reader(**{**site.settings, **LATER})
    by_now = {command.plain for command, _ in site.readme if command.program == "s3-assets"}
    for command in TYPED:
        if command.in_block and command.document == document and command.plain not in by_now:
            check(command, site.type(reader, command))
    readable(reader.environ)


@pytest.mark.parametrize("text", BETWEEN_BACKTICKS)
def test_what_stands_between_backticks_is_run(site: Site, text: str) -> None:
    """Each once, with arguments in place of those that are left out."""
    command = next(commands(f"`{text}`"))
    is_backup = command.text.startswith("s3-assets backup")
    reader = site.reader(**(site.backup_settings if is_backup else {**site.settings, **LATER}))
    check(command, site.type(reader, command))


@pytest.mark.parametrize(
    "line",
    [
        "s3-assets show payments 2024-06-01-23:00",
        "s3-assets sync --evnt payments",
        "s3-assets sync --rebuild --event payments  # writes nothing",
        "echo said; false",
        "echo said                                  # says nothing",
        "export S3_ASSETS_TARGET=s3://my-raw-bucket/source/target/",
        "export S3_ASSETS_LOG_FORMAT=xml",
    ],
)
def test_what_ends_otherwise_is_noticed(site: Site, line: str) -> None:
    """An exit code, a write, a word, a setting."""
    reader = site.reader(**site.settings)

    def follow() -> None:
        command = next(commands(f"```sh\n{line}\n```"))
        check(command, site.type(reader, command))
        readable(reader.environ)

    with pytest.raises((AssertionError, SettingsError)):
        follow()


def test_what_the_watchdog_shows_is_what_it_says(site: Site, tmp_path: Path) -> None:
    """The lines of docs/watchdog.md, with other numbers, where all daemons but one have died."""
    make_home(tmp_path / "home")
    home = Home(tmp_path / "home")
    with home.instance:
        home.sensor("source_sensor", 600)
        home.sensor("alerts_sensor", 600)
        home.beat()
        home.beat(600, but="SCHEDULER")
    reader = site.reader(**site.settings | {"DAGSTER_HOME": str(home.folder)})
    said = reader.type("s3-assets watchdog --dry-run")
    [shown] = blocks((ROOT / "docs/watchdog.md").read_text(encoding="utf-8"), "")
    lines = shown.splitlines()
    assert len(lines) == 4
    for line in lines:
        pattern = re.sub(r"\d+", r"\\d+", re.escape(line)).replace("…", ".+")
        assert re.search(f"^{pattern}$", said.printed, re.MULTILINE), (line, said.printed)
    assert said.code == 1
