"""How values look in a terminal."""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from io import StringIO
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.markup import escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.progress import Progress
    from rich.table import Table

T = TypeVar("T")

SLOW_S = 5
"""After so many seconds a person wonders whether anything happens."""

PLAIN_WIDTH = 100_000
"""Columns that a row may take which goes to a file or a pipe: it is never wrapped."""


def print_tables(*tables: Table) -> None:
    """To stdout, with an empty line between two; where that is no terminal, a row is one line without padding."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out = Console(highlight=False, width=PLAIN_WIDTH, file=StringIO())
    for number, table in enumerate(tables):
        if number:
            out.print()
        out.print(table)
    if isinstance(out.file, StringIO):
        for line in out.file.getvalue().splitlines():
            click.echo(line.rstrip())


def with_progress(outcomes: Iterable[T], total: int, what: str = "hours") -> Iterator[T]:
    """The same outcomes, with a progress bar on stderr where that is a terminal."""
    if not Console(stderr=True).is_terminal:
        yield from outcomes
        return
    with progress_bar() as progress:
        yield from progress.track(outcomes, total=total, description=what)


def progress_bar() -> Progress:
    """A progress bar on stderr, which shows nothing where that is not a terminal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal)


@contextmanager
def said_when_slow(what: str) -> Iterator[None]:
    """Say after a while, once and on stderr where that is a terminal, that it is still at `what`, an address.

    A store that does not answer is asked again for the better part of a minute before it counts as away.
    """
    words = f"still at {printable(what)} after {SLOW_S:g} s; a store that does not answer is asked again for a while"
    timer = threading.Timer(SLOW_S, click.echo, (words,), {"err": True})
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def printable(text: str) -> str:
    """Text with control characters spelled out: a key may hold any, and a terminal would obey them."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def plain(text: str) -> str:
    """The same for a table's cell, where nothing is to be taken for markup."""
    return escape(printable(text))


def human_bytes(count: int) -> str:
    """`1.4 MB`, in powers of 1,000 as clouds bill them."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:  # noqa: PLR2004  (the unit)
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
