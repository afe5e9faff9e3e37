"""Which commands the documents hold: in shell blocks, in indented blocks, between backticks. Nothing is run here.

A command is one line of a shell, with the lines that it goes on with (a backslash, a here-document), without its
comment. What stands between backticks is one if it begins with a program that is known here and has a second word, or
is a command of `s3-assets` with an option.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from s3_assets.cli.main import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]
DOCUMENTS += [ROOT / "bench" / "README.md"]

PROGRAMS = re.compile(
    "apt(-get)?|aws|bash|celery|cp|createdb|crontab|curl|dagster(-celery|-daemon|-webserver)?|dg|diff|docker(-compose)?|"
    "export|git|helm|journalctl|kill|kubectl|make|mkdir|pip3?|podman|psql|pytest|python3?|redis-(cli|server)|rm|s3-assets|"
    "sh|source|sqlite3|sudo|systemctl|systemd-analyze|tail|terraform|uv|weed|zcat"
)
"""By which a command is known where no block says that it is one. `gzip` is a format, too, and not here."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<kind>\w*)\n(?P<body>.*?)^ *```$", re.MULTILINE | re.DOTALL)
_SHELLS = ("sh", "bash", "shell", "console")
_INDENTED = re.compile(r"(?<=\n\n)(?: {4}.*\n)+")
_SPAN = re.compile(r"`((?:[^`\n]|\n(?!\n))+)`")
_HEADING = re.compile(r"^#.*$", re.MULTILINE)
_HERE = re.compile(r"<<-?\s*'?(\w+)'?")
_PROMPT = "$ "


SET_BEFORE = re.compile(r"""^(?:\w+=(?:"[^"]*"|'[^']*'|[^\s"'])*\s+)+""")
"""Variables that are set for one command."""


@dataclass(frozen=True)
class Command:
    """One command of a document.

    Attributes:
        document: Its path, relative to the project.
        line: Where it begins there, counted from 1; that of the span or the block's first line.
        text: Without its comment.
        comment: What the document says of it on the same line, without the `#`.
        in_block: Whether it stands in a block, where it is whole. Between backticks arguments may be left out.
    """

    document: str
    line: int
    text: str
    comment: str = ""
    in_block: bool = True

    @property
    def plain(self) -> str:
        """Without the folder of the program; by this it is known in tables."""
        return re.sub(r"^[\w./-]*/(?=[\w-]+( |$))", "", self.text)

    @property
    def program(self) -> str:
        """The program's name, also where its output goes into a variable; empty where variables are all that is set."""
        inner = re.sub(r"^\w+=\$\(", "", self.text)
        inner = SET_BEFORE.sub("", f"{inner} ")
        return re.split(r"[\s;|&<>]", inner, maxsplit=1)[0].rpartition("/")[2]


def commands(text: str, document: str = "") -> Iterator[Command]:
    """All of a document: those of its blocks in their order, then those between backticks."""
    prose = text
    for block in _FENCE.finditer(text):
        prose = prose.replace(block[0], "\n" * block[0].count("\n"), 1)
        lines = [line.removeprefix(block["indent"]) for line in block["body"].splitlines()]
        first = text.count("\n", 0, block.start()) + 2
        if block["kind"] == "console":
            prompts = [(at, line) for at, line in enumerate(lines, first) if line.startswith(_PROMPT)]
            found = [(at, line.removeprefix(_PROMPT)) for at, line in prompts]
        elif block["kind"] in _SHELLS:
            found = list(_whole(lines, first))
        else:
            found = [one for one in _whole(lines, first) if not block["kind"] and _is_known(one[1])]
        yield from (Command(document, at, *_cut(line)) for at, line in found)
    for block in _INDENTED.finditer(prose):
        lines = [line[4:] for line in block[0].splitlines()]
        first = prose.count("\n", 0, block.start()) + 1
        yield from (Command(document, at, *_cut(line)) for at, line in _whole(lines, first) if _is_known(line))
    prose = _HEADING.sub("", _INDENTED.sub(lambda found: "\n" * found[0].count("\n"), prose))
    for span in _SPAN.finditer(prose):
        words = " ".join(span[1].split())
        if re.match(rf"({'|'.join(cli.commands)}) --", words):
            words = f"s3-assets {words}"
        if _is_known(words):
            yield Command(document, prose.count("\n", 0, span.start()) + 1, words, in_block=False)


def blocks(text: str, kind: str) -> list[str]:
    """What stands in a document's blocks of a kind; of none where it is empty."""
    return [block["body"] for block in _FENCE.finditer(text) if block["kind"] == kind]


def of_the_documents() -> Iterator[Command]:
    """All of all documents, README.md's first."""
    for path in DOCUMENTS:
        yield from commands(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT)))


def _is_known(line: str) -> bool:
    first, _, rest = line.partition(" ")
    return bool(rest.strip()) and PROGRAMS.fullmatch(first.rpartition("/")[2]) is not None


def _whole(lines: list[str], first: int) -> Iterator[tuple[int, str]]:
    """Lines joined with those that they go on with; empty ones and comments left out."""
    numbered = iter(enumerate(lines, first))
    for at, line in numbered:
        whole = line
        while whole.endswith("\\"):
            whole = f"{whole[:-1].rstrip()} {next(numbered)[1].strip()}"
        if here := _HERE.search(whole):
            for _, more in numbered:
                whole += f"\n{more}"
                if more.strip() == here[1]:
                    break
        if whole.strip() and not whole.lstrip().startswith("#"):
            yield at, whole.strip()


def _cut(line: str) -> tuple[str, str]:
    """A line and its comment."""
    if "\n" in line:
        return line, ""
    quote = ""
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character == "#" and line[at - 1] == " ":
            return line[:at].rstrip(), line[at + 1 :].strip()
    return line, ""
