"""Globs: what they stand for, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.backup.globs import OTHER_GROUP, Selection, compile_glob

NAMES = st.text("ab.[*?\n한", min_size=1, max_size=4).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
GLOBS = st.lists(NAMES | st.just("**"), min_size=1, max_size=4).map("/".join)


def matches(glob: list[str], path: list[str]) -> bool:
    """What the documentation says, told in another way."""
    if not glob:
        return not path
    if glob[0] == "**":
        if len(glob) == 1:
            return bool(path)
        return matches(glob[1:], path) or (len(path) > 0 and matches(glob, path[1:]))
    return bool(path) and name_matches(glob[0], path[0]) and matches(glob[1:], path[1:])


def name_matches(glob: str, name: str) -> bool:
    """The same of one name."""
    if not glob:
        return not name
    if glob[0] == "*":
        return name_matches(glob[1:], name) or (bool(name) and name_matches(glob, name[1:]))
    return bool(name) and glob[0] in ("?", name[0]) and name_matches(glob[1:], name[1:])


@given(GLOBS, PATHS)
def test_a_glob_matches_what_its_definition_says(glob, path):
    """Compared with a second implementation, over names with every sign in them."""
    assert bool(compile_glob(glob).fullmatch(path)) == matches(glob.split("/"), path.split("/"))


@pytest.mark.parametrize(
    "glob, yes, no",
    [
        ("**/*.json", ["a.json", "x/y/z.json", ".json", "x/.a.json"], ["a.json.tmp", "a.jsonl", "x.json/y"]),
        ("*/*/*.json", ["a/b/c.json"], ["a/c.json", "a/b/x/c.json"]),
        ("tmp/**", ["tmp/a", "tmp/b/c"], ["tmp", "x/tmp/a"]),
        ("**/error/**", ["error/a", "x/error/y/a"], ["error", "errors/a"]),
        ("a[1].json", ["a[1].json"], ["a1.json"]),
    ],
)
def test_globs_as_people_write_them(glob, yes, no):
    """The default among them."""
    pattern = compile_glob(glob)
    assert [path for path in yes if not pattern.fullmatch(path)] == []
    assert [path for path in no if pattern.fullmatch(path)] == []


@given(st.lists(GLOBS, max_size=3), st.lists(NAMES, min_size=1, max_size=3).map("/".join), PATHS)
def test_a_folder_that_is_not_entered_holds_nothing_that_is_taken(exclude, folder, below):
    """Leaving out whole folders is only faster."""
    selection = Selection(("**",), tuple(exclude), {})
    assert selection.enters(folder) or not selection.takes(f"{folder}/{below}")


def test_a_folder_all_of_which_is_excluded_is_not_entered():
    """So that one that may not be read is no problem once it is left out."""
    selection = Selection(("**/*.json",), ("tmp/**", "a/*"), {})
    assert not selection.enters("tmp")
    assert not selection.enters("tmp/inner")
    assert selection.enters("a")
    assert selection.takes("a/b/c.json")


def test_a_file_is_of_the_first_group_that_names_it():
    """And of `other` where none does."""
    selection = Selection(("**",), (), {"error": ("**/*_error.json",), "overspeed": ("**/overspeed/**",)})
    assert selection.group("overspeed/1.json") == "overspeed"
    assert selection.group("overspeed/1_error.json") == "error"
    assert selection.group("1.json") == OTHER_GROUP
