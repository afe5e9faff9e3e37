"""A demo that has run for a while, and a browser that looks at it. Only in a soak, and only where Chromium is."""

from __future__ import annotations

import shutil
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from s3_assets.demo.live import LiveDemo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

BOUND_S = 300
PAGE_MS = 120_000

RUN = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.fixture(scope="session")
def chromium() -> str:
    """The machine's own browser."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed: the extra `docs` has it")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no Chromium on this machine: on Debian and Ubuntu, apt-get install chromium")
    return found


@pytest.fixture(scope="session")
def demo(chromium: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveDemo]:
    """Its first hour files are made, a late source is taken in, and today's report is there."""
    lines: list[str] = []
    folder = tmp_path_factory.mktemp("demo")
    with LiveDemo(folder, lines.append, clock=lambda: datetime.now(UTC), drop_s=3) as live:
        until = time.monotonic() + BOUND_S
        run_id = None
        while run_id is None or _status(live, run_id) != "SUCCESS":
            assert time.monotonic() < until, f"no report within {BOUND_S} s\n" + "\n".join(lines)
            assert run_id is None or _status(live, run_id) != "FAILURE"
            live.step()
            run_id = run_id or live.report()
            time.sleep(0.5)
        yield live


def _status(live: LiveDemo, run_id: str) -> str:
    found: str = live.stack.ask(RUN, {"id": run_id})["data"]["runOrError"]["status"]
    return found


@pytest.fixture
def page(chromium: str, demo: LiveDemo) -> Iterator[Page]:
    """A new window. No page may have an error: in its script, in an answer of the server, or in words."""
    from playwright.sync_api import sync_playwright

    problems: list[str] = []

    def note(answer: Any) -> None:
        if answer.status >= 400:
            problems.append(f"{answer.status} {answer.url}")

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        window = browser.new_page(viewport={"width": 1440, "height": 900})
        window.set_default_timeout(PAGE_MS)
        window.on("pageerror", lambda error: problems.append(str(error)))
        window.on("response", note)
        yield window
        for words in ("PythonError", "An unexpected error", "Unhandled", "Something went wrong"):
            assert window.get_by_text(words).locator("visible=true").count() == 0, words
        browser.close()
    assert problems == []
