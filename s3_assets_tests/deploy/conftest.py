"""Tests marked `deploy` need the extra `deploy` and programs that not every machine has: only `-m deploy` runs them."""

from __future__ import annotations

import pytest


@pytest.hookimpl(tryfirst=True)  # before pytest looks at -m
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip them in every other run."""
    if "deploy" in config.getoption("markexpr"):
        return
    for item in items:
        if item.get_closest_marker("deploy"):
            item.add_marker(pytest.mark.skip(reason="only in make test-deploy"))
