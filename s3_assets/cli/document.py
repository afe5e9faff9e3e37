"""docs/cli.md, out of the commands' own help: `python -m s3_assets.cli.document > docs/cli.md`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from s3_assets.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

WIDTH = 100

HEAD = """\
# The command line

<!-- Made from the commands' own help: python -m s3_assets.cli.document > docs/cli.md -->

What each command answers, with real output: [questions.md](questions.md). Exit codes: 0 when all is right, 1 when
something is not, 2 on bad usage or settings.
"""


def document() -> str:
    """The whole document."""
    parts = [f"## `{path}`\n\n```text\n{text.rstrip()}\n```\n" for path, text in _helps(cli, "s3-assets")]
    return "\n".join([HEAD, *parts])


def _helps(command: click.Command, path: str) -> Iterator[tuple[str, str]]:
    """The help of a command and of all below it."""
    names = cli.context_settings["help_option_names"]
    context = click.Context(
        command, info_name=path, terminal_width=WIDTH, max_content_width=WIDTH, help_option_names=names
    )
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            if (below := command.get_command(context, name)) is not None:
                yield from _helps(below, f"{path} {name}")


if __name__ == "__main__":
    click.echo(document(), nl=False)
