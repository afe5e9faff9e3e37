"""Which paths the backup takes, and to which group each belongs.

Pure. A glob is a path with `/` between folders: `*` stands for any part of one name, `?` for one character of it,
`**` as a whole name for any number of folders, at the end for all that is below. All else is itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

OTHER_GROUP = "other"
"""The group of files that no named group takes."""

_ANY_PATH = "**"


def compile_glob(glob: str) -> re.Pattern[str]:
    """The pattern that a whole path must match."""
    *folders, last = glob.split("/")
    text = "".join("(?:[^/]+/)*" if name == _ANY_PATH else f"{_name(name)}/" for name in folders)
    text += ".+" if last == _ANY_PATH else _name(last)
    return re.compile(text, re.DOTALL)


def _name(glob: str) -> str:
    signs = {"*": "[^/]*", "?": "[^/]"}
    return "".join(signs.get(char) or re.escape(char) for char in glob)


@dataclass(frozen=True)
class Selection:
    """The files that are backed up.

    Attributes:
        include: Globs; a file must match one.
        exclude: Globs; a file that matches one is left out, and so is a folder all of whose content one names.
        groups: Globs by the name of a group; a file belongs to the first that names it.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...]
    groups: Mapping[str, tuple[str, ...]]

    def takes(self, path: str) -> bool:
        """Whether the file is backed up."""
        return _any(self._include, path) and not _any(self._exclude, path)

    def enters(self, folder: str) -> bool:
        """Whether anything below the folder may be backed up, as far as `exclude` tells."""
        return not _any(self._closed, f"{folder}/x")

    def group(self, path: str) -> str:
        """The group of the file."""
        return next((name for name, globs in self._groups if _any(globs, path)), OTHER_GROUP)

    @cached_property
    def _include(self) -> list[re.Pattern[str]]:
        return [compile_glob(glob) for glob in self.include]

    @cached_property
    def _exclude(self) -> list[re.Pattern[str]]:
        return [compile_glob(glob) for glob in self.exclude]

    @cached_property
    def _closed(self) -> list[re.Pattern[str]]:
        """Those that name all that is below some folder."""
        return [compile_glob(glob) for glob in self.exclude if glob.split("/")[-1] == _ANY_PATH]

    @cached_property
    def _groups(self) -> list[tuple[str, list[re.Pattern[str]]]]:
        return [(name, [compile_glob(glob) for glob in globs]) for name, globs in self.groups.items()]


def _any(patterns: Iterable[re.Pattern[str]], path: str) -> bool:
    return any(pattern.fullmatch(path) for pattern in patterns)
