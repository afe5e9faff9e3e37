"""What a person must find on each page, of Dagster 1.13's UI over the demo's data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from s3_assets.demo.sample import PAGE_VIEWS, PAYMENTS, REVIEWS
from s3_assets.hour_file.keys import Hour, label_of
from s3_assets.report.charts import WIDTH

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

    from s3_assets.demo.live import LiveDemo

pytestmark = [pytest.mark.soak, pytest.mark.browser, pytest.mark.xdist_group("browser"), pytest.mark.timeout(600)]

CHARTS = {
    "arrivals_by_minute": "arrivals by minute after the hour began",
    "arrivals_by_hour": "sources by the hour in their names, late ones orange",
    "minutes_with_sources": "hours that have a source, by minute in its name",
    "source_sizes": "sources by size",
}


def seen(page: Page, text: str, *, exact: bool = False) -> Locator:
    """The first place where a text can be seen, once it can."""
    found = page.get_by_text(text, exact=exact).locator("visible=true").first
    found.wait_for()
    return found


def test_the_graph_shows_what_is_made_of_what(demo: LiveDemo, page: Page) -> None:
    """Three assets and the verdict of the checks."""
    page.goto(f"{demo.stack.url}/asset-groups")
    for name in ("source_csv", "hourly_gzip", "delivery_report"):
        seen(page, name, exact=True)


def test_the_overview_says_whose_and_what_an_asset_is(demo: LiveDemo, page: Page) -> None:
    """Description, kinds, tag."""
    page.goto(f"{demo.stack.url}/assets/hourly_gzip?view=overview")
    seen(page, "holds every row of the hour's source objects once")
    seen(page, "gzip", exact=True)
    seen(page, "s3_assets/layer")


def test_the_partitions_have_a_row_for_each_event(demo: LiveDemo, page: Page) -> None:
    """Also for one that is not written in Latin letters; a click on one, then on an hour, shows the hour's numbers."""
    page.goto(f"{demo.stack.url}/assets/hourly_gzip?view=partitions")
    for event in (PAYMENTS, PAGE_VIEWS, REVIEWS):
        seen(page, event, exact=True)
    seen(page, PAYMENTS, exact=True).click()
    label = label_of(datetime.now(UTC) - timedelta(hours=1))  # its first file was there when the demo began
    page.get_by_text(label, exact=True).locator("visible=true").last.click()
    seen(page, f"{PAYMENTS}|{label}")
    seen(page, "newest_sources", exact=True)


def test_one_materialization_tells_of_its_hour(demo: LiveDemo, page: Page) -> None:
    """Why, how many rows, of which sources, how late, and where the file is."""
    hour = Hour(PAYMENTS, label_of(datetime.now(UTC) - timedelta(hours=1)))
    page.goto(f"{demo.stack.url}/assets/hourly_gzip?view=partitions&partition={quote(hour.partition_key)}")
    for name in ("verdict", "rows", "late_share", "newest_sources", "compression_ratio"):
        seen(page, name, exact=True)
    seen(page, f"s3://{demo.bucket.store.bucket}/target/")


def test_the_sensor_says_what_its_ticks_saw(demo: LiveDemo, page: Page) -> None:
    """At least one asked for a run."""
    page.goto(f"{demo.stack.url}/locations/s3_assets/sensors/source_sensor")
    seen(page, "run requested")


def test_a_report_shows_its_charts_in_place(demo: LiveDemo, page: Page) -> None:
    """Each is an image that the browser could draw, with no click between."""
    page.goto(f"{demo.stack.url}/assets/delivery_report?view=events")
    for name, title in CHARTS.items():
        seen(page, name, exact=True)
        image = page.get_by_alt_text(title).locator("visible=true").first
        image.wait_for()
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == WIDTH
    assert page.get_by_text("[Show Markdown]").count() == 0
    for name in ("late_share", "missing_minutes", "hours_without_sources", "sources_at"):
        seen(page, name, exact=True)


def test_the_schedule_of_reports_is_there_and_off(demo: LiveDemo, page: Page) -> None:
    """Nobody is surprised by what it asks S3 for."""
    page.goto(f"{demo.stack.url}/locations/s3_assets/schedules/delivery_report_schedule")
    seen(page, "delivery_report_job")
    assert page.get_by_role("switch").or_(page.get_by_role("checkbox")).first.is_checked() is False
