"""How values look in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def console() -> Console:
    """Stdout, wide where it is no terminal, so that tables are not cut for a screen that isn't there."""
    out = Console(highlight=False)
    if not out.is_terminal:
        out.width = PLAIN_WIDTH
    return out


def with_progress(outcomes: Iterable[T], total: int, what: str = "hours") -> Iterator[T]:
    """The same outcomes, with a progress bar on stderr where that is a terminal."""
    terminal = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal, transient=True, disable=not terminal.is_terminal) as progress:
        yield from progress.track(outcomes, total=total, description=what)


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
