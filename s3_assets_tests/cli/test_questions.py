"""docs/questions.md: every command in it is run, and prints what the document says."""

from __future__ import annotations

import pytest

from s3_assets_tests.cli.questions import BUCKET, DOCUMENT, made, rewritten, settings_over, settled


@pytest.mark.timeout(300)
def test_every_command_of_the_document_prints_what_it_says(running, tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for times, ids, sizes and columns. `python -m s3_assets_tests.cli.questions` writes the document anew."""
    server = running("seaweedfs")
    for name, value in settings_over(server, tmp_path).items():
        monkeypatch.setenv(name, value)
    text = DOCUMENT.read_text(encoding="utf-8")
    assert settled(rewritten(text, made(server, tmp_path))).splitlines() == settled(text).splitlines()


@pytest.mark.parametrize(
    "one, other",
    [
        ("rows 24 to 54 of 121", "rows 24 to 55 of 121"),
        ("118 get, 5 list", "119 get, 5 list"),
        ("s3-assets plan", "s3-assets sync"),
        (f"s3://{BUCKET}/source/x", f"s3://{BUCKET}/source/y"),
        ("payments 2021-09-03-09:00", "payments 2021-09-03-10:00"),
        ("0.0001 USD", "0.0002 USD"),
    ],
)
def test_the_comparison_lets_no_fact_slip(one, other) -> None:
    """What is evened out is volatile, and nothing else."""
    assert settled(one) != settled(other)
    assert settled("written 2026-11-22 09:22:27 UTC, 3.6 kB  x") == settled("written 2031-01-02 01:02:03 UTC, 9 B x")
