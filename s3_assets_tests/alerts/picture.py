"""Takes the picture of alerts in docs/images: `python -m s3_assets_tests.alerts.picture docs/images/alerts.png`.

The messages are made as they are sent; their blocks are laid out by Slack's rules, in a page that Chromium draws.
Needs Chromium on this machine and the `docs` extra.
"""

from __future__ import annotations

import html
import re
import shutil
import sys
from pathlib import Path
from typing import Any

from s3_assets.alerts.compose import Composed, compose
from s3_assets.alerts.problems import QUARANTINED
from s3_assets.alerts.state import AlertState
from s3_assets_tests.alerts.making import MINUTE, NOW, decided, failing, said

UI = "https://dagster.example.com"
EMOJI = {
    ":red_circle:": '<span class="dot" style="background:#dd2e44"></span>',
    ":large_yellow_circle:": '<span class="dot" style="background:#fdcb58"></span>',
    ":white_check_mark:": '<span class="tick">&#10003;</span>',
}
STYLE = """
body { margin: 0; padding: 16px 20px; width: 760px; font: 15px/1.46 Lato, "Noto Sans", "DejaVu Sans", sans-serif;
       color: #1d1c1d; background: #fff; }
.message { display: flex; gap: 10px; margin-bottom: 18px; }
.avatar { width: 36px; height: 36px; border-radius: 6px; background: #4f43dd; color: #fff; text-align: center;
          font: bold 17px/36px sans-serif; flex: none; }
.name { font-weight: 700; } .app { background: #ddd; color: #616061; font-size: 10px; padding: 1px 4px;
        border-radius: 2px; margin: 0 5px; } .time { color: #616061; font-size: 12px; }
.body { flex: 1; min-width: 0; } .section { margin: 2px 0 6px; }
.fields { display: grid; grid-template-columns: 1fr 1fr; gap: 8px 16px; margin: 8px 0 4px; }
pre { margin: 4px 0; padding: 8px; background: #f8f8f8; border: 1px solid #ddd; border-radius: 4px;
      font: 12px/1.5 "DejaVu Sans Mono", monospace; white-space: pre-wrap; overflow-wrap: anywhere; }
.context { color: #616061; font-size: 13px; } a { color: #1264a3; text-decoration: none; }
.dot { display: inline-block; width: 14px; height: 14px; border-radius: 50%; vertical-align: -2px; }
.tick { display: inline-block; width: 16px; height: 16px; border-radius: 3px; background: #77b255; color: #fff;
        text-align: center; font: bold 13px/16px sans-serif; vertical-align: -2px; }
"""


def messages() -> list[tuple[str, Composed]]:
    """A first failure, a storm on top of a warning, and an end: what a channel sees in an hour."""
    foreign = (
        "target 'target/payments/2026-11-22/09.csv.gz' is damaged: there is no ledger at its end: s3_assets did not "
        "write it, or it was cut (it may be someone's data: move it away, or `s3-assets sync --rebuild "
        "--event payments --from 2026-11-22-09:00 --to 2026-11-22-09:00` to replace it)"
    )
    one = failing(
        hour=9,
        day="2026-11-22",
        words=foreign,
        heals="somebody has to do what the error says; then it is tried again by itself, within a day",
        owner="@payments-team",
        page="runs/0b3ff1b6-9c0e-4a8e",
        page_name="run 0b3ff1b6",
    )
    storm = [
        failing(
            event,
            hour,
            "2026-11-22",
            cause="StoreUnavailableError",
            words="ListObjectsV2 'source/': no answer within 60 s (ConnectTimeoutError)",
            since=NOW + 9 * MINUTE,
            tries=3,
            by_itself=True,
            heals="it is tried again at 12:24 UTC, and from then on until it is right",
            page="runs/7d1e22aa-51b0-4c55",
            page_name="run 7d1e22aa",
        )
        for event, count in (("page_views", 12), ("clicks", 11), *((f"event_{n}", 6) for n in range(42)))
        for hour in range(count)
    ]
    bad = failing(
        "refunds",
        11,
        "2026-11-22",
        kind=QUARANTINED,
        cause="",
        words="11_30_export_7.csv: unclosed quote (a quote that opens in line 212 is never closed)",
        since=NOW + 14 * MINUTE,
        heals="its producer has to mend, replace or remove the object; the hour's other rows are there",
        page="assets/hourly_gzip",
        page_name="refunds 2026-11-22-11:00",
    )
    state, shown = AlertState(), []
    for minutes, problems in ((0, [one]), (20, [one, *storm, bad]), (51, [one, bad])):
        now = NOW + minutes * MINUTE
        decision = decided(problems, state, now)
        shown += [(f"{now:%H:%M}", compose(message, now, UI)) for message in decision.messages]
        state = said(decision)
    return shown


def page(shown: list[tuple[str, Composed]]) -> str:
    """The channel as HTML."""
    parts = [
        f'<div class="message"><div class="avatar">s3</div><div class="body"><span class="name">s3_assets</span>'
        f'<span class="app">APP</span><span class="time">{time}</span>{"".join(map(_block, one.blocks))}</div></div>'
        for time, one in shown
    ]
    return f"<!doctype html><meta charset='utf-8'><style>{STYLE}</style>{''.join(parts)}"


def _block(block: dict[str, Any]) -> str:
    if block["type"] == "context":
        return f'<div class="context">{" ".join(_mrkdwn(each["text"]) for each in block["elements"])}</div>'
    if "fields" in block:
        fields = "".join(f"<div>{_mrkdwn(each['text'])}</div>" for each in block["fields"])
        return f'<div class="fields">{fields}</div>'
    return f'<div class="section">{_mrkdwn(block["text"]["text"])}</div>'


def _mrkdwn(text: str) -> str:
    """Slack's markup as HTML. Its escapes are HTML's own."""
    if text.startswith("```"):
        return f"<pre>{text.strip('`')}</pre>"
    text = re.sub(r"<(https?://[^|>]+)\|([^>]+)>", lambda m: f'<a href="{html.escape(m[1])}">{m[2]}</a>', text)
    text = re.sub(r"(?<![\w*])\*(?=\S)(.+?)(?<=\S)\*(?![\w*])", r"<b>\1</b>", text)
    for name, sign in EMOJI.items():
        text = text.replace(name, sign)
    return text.replace("\n", "<br>")


def main(target: Path) -> None:
    """Draw the page into `target`."""
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("no Chromium on this machine: on Debian and Ubuntu, apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        tab = browser.new_page(viewport={"width": 800, "height": 200})
        tab.set_content(page(messages()))
        tab.screenshot(path=target, full_page=True)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
