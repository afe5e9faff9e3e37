"""Whether a program takes a command, asked of the program's own parser: nothing is done by it.

For commands that can't be run here. Each check raises an AssertionError or the parser's own error where it does not.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import shlex
import subprocess
import sys
import warnings
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore.session
import click
import pytest
from botocore import xform_name

from s3_assets.cli.main import cli
from s3_assets_tests.docs_run.documents import ROOT, SET_BEFORE

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType


def click_takes(command: click.Command, name: str, arguments: Sequence[str]) -> None:
    """A program that is written with click.

    Raises:
        click.UsageError: There is no such command, option or value.
        click.exceptions.Exit: It only shows something, as `--help` does.
    """
    rest = list(arguments)
    context: click.Context | None = None
    while True:
        context = command.make_context(name, rest, parent=context)
        rest = [*context._protected_args, *context.args]
        if not isinstance(command, click.Group) or not rest:
            return
        found_name, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, name = found, found_name or ""


def make_takes(words: Sequence[str]) -> str:
    """`make -n`: what make would do; it has the target."""
    done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def aws_takes(words: Sequence[str]) -> None:
    """The AWS CLI, whose commands and options are those of botocore's descriptions of the services."""
    service = "s3" if words[1] == "s3api" else words[1]
    model = _service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    assert words[2] in names, f"aws {words[1]} has no {words[2]}"
    shape = model.operation_model(names[words[2]]).input_shape
    members = {xform_name(name, "-"): name for name in shape.members} if shape else {}
    required = {xform_name(name, "-") for name in shape.required_members} if shape else set()
    options = {word.removeprefix("--") for word in words if word.startswith("--")}
    assert (
        options - members.keys() - {"query", "output", "region", "profile", "endpoint-url", "cli-input-json"} == set()
    )
    assert "cli-input-json" in options or required <= options


def python_takes(words: Sequence[str]) -> None:
    """A module of ours that is a program; one that has options takes these. A line of Python is one."""
    if words[1] == "-c":
        compile(words[2], "<typed>", "exec")
        return
    assert words[1] == "-m", words
    spec = importlib.util.find_spec(words[2])
    assert spec is not None, f"there is no module {words[2]}"
    assert spec.origin is not None
    origin = Path(spec.origin)
    origin = origin.with_name("__main__.py") if spec.submodule_search_locations else origin
    source = origin.read_text(encoding="utf-8")
    assert origin.name == "__main__.py" or '__name__ == "__main__"' in source, f"{words[2]} is no program"
    if "ArgumentParser(" not in source:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", list(words[2:]))
        patch.setattr(argparse.ArgumentParser, "parse_args", _parse_and_stop)
        with pytest.raises(_ParsedError):
            importlib.import_module(words[2]).main()


class _ParsedError(Exception):
    """The arguments are taken; nothing is to be done with them."""


def _parse_and_stop(parser: argparse.ArgumentParser, *_: Any) -> None:
    _, unknown = parser.parse_known_args(sys.argv[1:])
    assert unknown == []
    raise _ParsedError


@cache
def _service_model(service: str) -> Any:
    return botocore.session.Session().get_service_model(service)


def dagster_takes(words: Sequence[str]) -> None:
    """One of Dagster's programs, found by the name under which it is installed; to load it takes seconds."""
    [entry] = entry_points(group="console_scripts", name=words[0])
    module = importlib.import_module(entry.module)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # `dagster dev` says that there is `dg dev`
        click_takes(_click_program(module), words[0], words[1:])


def _click_program(module: ModuleType) -> click.Command:
    [create] = [made for name, made in vars(module).items() if name.startswith("create_") and name.endswith("_cli")]
    program = create()
    assert isinstance(program, click.Command)
    return program


TAKES: Mapping[str, Callable[[Sequence[str]], object]] = {
    "s3-assets": lambda words: click_takes(cli, words[0], words[1:]),
    "make": make_takes,
    "aws": aws_takes,
    "python": python_takes,
    "dagster": dagster_takes,
    "dagster-daemon": dagster_takes,
    "dagster-webserver": dagster_takes,
    "dg": dagster_takes,
}
"""By program."""


def words_of(text: str) -> list[str]:
    """A command's words: of the first of several in a row, without what is set for it or done with its output.

    Args:
        text: As `Command.plain`; its output may go into a variable.
    """
    inner = text.partition("$(")[2].rpartition(")")[0] if text.partition("=$(")[1] else text
    words = shlex.split(SET_BEFORE.sub("", f"{inner} "))
    ends = [at for at, word in enumerate(words) if word in {"|", ">", ">>", "2>", "&&", "||", ";", "&"}]
    return words[: ends[0]] if ends else words
