"""Runs the demo and takes the screenshots in docs/images from it: `make screenshots`.

Needs Chromium on this machine and the `docs` extra.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from s3_assets.demo.live import LiveDemo
from s3_assets.hour_file.keys import label_of

IMAGES = Path(__file__).parent / "images"
TIMEOUT_MS = 60_000
FIRST_CHANGE_S = 240


def main() -> None:
    """Start the demo, wait until a late file was taken in, and visit each page."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this machine: on Debian and Ubuntu, apt-get install chromium")
    lines: list[str] = []

    def note(line: str) -> None:
        lines.append(line)
        sys.stdout.write(f"{line}\n")

    with (
        tempfile.TemporaryDirectory() as folder,
        LiveDemo(Path(folder), note, clock=lambda: datetime.now(UTC)) as demo,
    ):
        until = time.monotonic() + FIRST_CHANGE_S
        reported = False
        while not (reported and any("hour file changed  payments" in line for line in lines)):
            if time.monotonic() > until:
                sys.exit("no hour file changed in time, or not all of the first ones were made")
            demo.step()
            reported = reported or demo.report() is not None
            time.sleep(1)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
            )
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(TIMEOUT_MS)
            visit(page, demo.stack.url)
            browser.close()


def visit(page: Page, ui: str) -> None:
    """The pages that a person uses, once what they are about can be seen."""
    page.goto(f"{ui}/asset-groups")
    page.get_by_text("Passed").first.wait_for()
    save(page, "assets")
    page.goto(f"{ui}/assets/hourly_gzip?view=partitions")
    page.get_by_text("payments", exact=True).locator("visible=true").first.click()
    page.get_by_text(label_of(datetime.now(UTC)), exact=True).locator("visible=true").last.click()
    page.get_by_text("newest_sources").locator("visible=true").first.wait_for()
    save(page, "partitions")
    page.goto(f"{ui}/assets/hourly_gzip?view=events")
    page.get_by_text("newest_sources").locator("visible=true").first.wait_for()
    save(page, "materialization")
    page.goto(f"{ui}/assets/delivery_report?view=partitions")
    page.get_by_text("page_views", exact=True).locator("visible=true").first.click()
    page.get_by_alt_text("arrivals by minute").locator("visible=true").first.wait_for()
    save(page, "report")
    page.goto(f"{ui}/locations/s3_assets/sensors/source_sensor")
    page.get_by_text("run requested").first.wait_for()
    save(page, "sensor")


def save(page: Page, name: str) -> None:
    """What is on the page once nothing more is loading."""
    page.wait_for_timeout(1_500)
    page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
