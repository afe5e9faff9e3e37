"""What the documents say of this project is so: their commands parse, their links lead somewhere.

docs/questions.md goes further: its commands are run, and print what stands there. docs/settings.md and docs/cli.md are
generated.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from s3_assets.cli.document import document
from s3_assets.cli.main import cli

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
DOCUMENTS += [ROOT / "bench" / "README.md"]
IDS = [str(path.relative_to(ROOT)) for path in DOCUMENTS]

_BLOCK = re.compile(r"^```(sh|console|bash|)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"(?:\S*/)?s3-assets +(.*)")
_MENTION = re.compile(r"`s3-assets ([^`]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """The arguments of every `s3-assets` in a document's shell blocks."""
    found = []
    for kind, block in _BLOCK.findall(text):
        lines = block.replace("\\\n", " ").splitlines()
        lines = [line[2:] for line in lines if line.startswith("$ ")] if kind == "console" else lines
        found += [match[1] for line in lines if (match := _COMMAND.match(line))]
    return [shlex.split(re.split(r"\s[|>;]|&&", one)[0], comments=True) for one in found]


def mentions(text: str) -> list[list[str]]:
    """The same between backticks, where arguments may be left out."""
    return [shlex.split(one) for one in _MENTION.findall(text)]


def parse(arguments: list[str]) -> None:
    """As the program would, and without doing it.

    Raises:
        click.UsageError: There is no such command, option or value.
    """
    command: click.Command = cli
    name: str | None = "s3-assets"
    context: click.Context | None = None
    while True:
        context = command.make_context(name, list(arguments), parent=context)
        arguments = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or not arguments:
            return
        name, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_commands_are_what_the_program_takes(path: Path) -> None:
    """Names, options and the form of values; `…` and names in capitals stand for the reader's own."""
    text = path.read_text(encoding="utf-8")
    wrong = []
    for arguments, is_whole in [*((one, True) for one in commands(text)), *((one, False) for one in mentions(text))]:
        if "…" in " ".join(arguments) or any(word.isupper() for word in arguments):
            continue
        try:
            parse(arguments)
        except click.exceptions.Exit:
            continue  # --help and the like
        except click.UsageError as error:
            if is_whole or not isinstance(error, click.MissingParameter | click.BadOptionUsage):
                wrong.append(f"s3-assets {' '.join(arguments)}: {error.format_message()}")
    assert wrong == []


def test_a_wrong_command_is_noticed() -> None:
    """An option that is none, and a command that is none."""
    text = "```sh\n.venv/bin/s3-assets sync --evnt payments  # x\n```\nand `s3-assets synk`"
    assert commands(text) == [["sync", "--evnt", "payments"]]
    for arguments in [*commands(text), *mentions(text)]:
        with pytest.raises(click.UsageError):
            parse(arguments)


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w\- ]", "", heading.lower().replace("`", "")).replace(" ", "-")
        for heading in _HEADING.findall(text)
    }


@pytest.mark.parametrize("path", DOCUMENTS, ids=IDS)
def test_links_lead_somewhere(path: Path) -> None:
    """Files of the project and headings in them; the web is not asked."""
    broken = []
    for link in _LINK.findall(path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        file = (path.parent / name).resolve() if name else path
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file.read_text())):
            broken.append(link)
    assert broken == []


def test_the_command_line_is_documented_as_it_is() -> None:
    """`python -m s3_assets.cli.document > docs/cli.md` writes it."""
    assert (ROOT / "docs" / "cli.md").read_text() == document()


def test_every_document_is_found_from_the_readme() -> None:
    """Each is linked there."""
    linked = {link.partition("#")[0] for link in _LINK.findall((ROOT / "README.md").read_text())}
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - linked == set()
