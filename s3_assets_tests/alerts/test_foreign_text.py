"""Text from elsewhere: no secret that can be told by its form, nothing invisible, and no more taken out than that."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3_assets.alerts.foreign_text import REDACTED, cut, redact, shown, visible

SECRET_KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
TEXT = st.text(st.characters(exclude_categories=()))


@pytest.mark.parametrize(
    "text, secret",
    [
        ("The key AKIAIOSFODNN7EXAMPLE is not known", "AKIAIOSFODNN7EXAMPLE"),
        ("ASIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"),
        (f"signed with {SECRET_KEY}, which", SECRET_KEY),
        (f"aws_secret_access_key = {SECRET_KEY}", SECRET_KEY),
        ('{"SecretAccessKey": "short", "x": 1}', "short"),
        ("AWS_SESSION_TOKEN=FwoGZXIvYXdzEBYaD", "FwoGZXIvYXdzEBYaD"),
        ("GET /a.csv?X-Amz-Signature=0f1e2d3c&X-Amz-Date=2024", "0f1e2d3c"),
        ("?X-Amz-Credential=AKIDEXAMPLE%2F20240601&x", "AKIDEXAMPLE"),
        ("https://user:hunter2@host/x", "hunter2"),
        ("https://user:hun/ter2@host/x", "ter2"),
        ("Authorization: Bearer abcdef123456", "abcdef123456"),
        ("Authorization: Basic dXNlcjpwYXNz", "dXNlcjpwYXNz"),
        ("token xoxb-1234-5678-AbCdEf is revoked", "5678-AbCdEf"),
        ("xoxe.xoxp-1-Mi0yLTM", "Mi0yLTM"),
        ("https://hooks.slack.com/services/T000/B000/XXXX failed", "B000"),
        ("password=hunter2", "hunter2"),
        ("password: 'a b c'", "a b c"),
        ("postgresql+psycopg2://dagster:hunter2@db:5432/x", "hunter2"),
        ("ghp_abcdefghijklmnopqrst0123456789", "ghp_abcdefghijklmnopqrst0123456789"),
        ("eyJhbGciOi.eyJzdWIiOi.SflKxwRJ", "SflKxwRJ"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\nowIB\n-----END RSA PRIVATE KEY-----", "owIB"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\ncut", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text, secret):
    """Keys, tokens and passwords, by their form or by the name before them."""
    assert secret in text
    assert secret not in redact(text)
    assert REDACTED in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "target 'payments/2024-06-01/07.csv.gz' is damaged: the footer's digest is 9f86d081884c7d659a2feaa0c55ad015",
        "etag 356a192b7913b04c54574d18c28d46e6395428ab of source/payments/2024-06-01/07_00_x.csv",
        "InvalidAccessKeyId: The AWS Access Key Id you provided does not exist in our records",
        "SignatureDoesNotMatch: The request signature we calculated does not match",
        "GetObject 'a': no access (check the credentials and what they and the bucket's policy allow)",
        "s3://bucket/source/payments/2024-06-01/07_00_file_123.csv",
        "run 0b3ff1b6-9c0e-4a8e-a4a4-3f4f5d7f8e9a",
    ],
)
def test_what_an_operator_needs_stays(text):
    """Keys of objects, digests, runs and the store's own words."""
    assert redact(text) == text


def test_what_is_invisible_is_written_out():
    """Control characters, line breaks, other directions of writing, lone surrogates."""
    assert visible("a\x00b\nc\u202ed\ud800e\u2028") == r"a\x00b\nc\u202ed\ud800e\u2028"
    assert visible("a\r\nb\tc", lines=True) == "a\nb\\tc"
    assert visible("결제 événement\u00a0x") == "결제 événement\u00a0x"


def test_an_endless_error_is_no_work():
    """Whatever it repeats; and it is never shown in full."""
    for piece in ("a", "secret", "token=", "://", "xoxb-", "eyJ", "A1b", "-----BEGIN PRIVATE KEY-----"):
        began = time.process_time()
        assert len(shown(piece * 300_000)) < 100_000
        assert time.process_time() - began < 1


@given(TEXT)
def test_what_is_shown_can_be_sent_and_read_in_one_line(text):
    """Whatever it was, it is UTF-8 without line breaks, and showing it again changes nothing visible."""
    line = shown(text)
    line.encode()
    assert len(line.splitlines()) <= 1
    assert visible(line) == line


@given(TEXT, st.integers(3, 40))
def test_a_cut_text_is_its_start(text, most):
    """In bytes, between characters, with a mark."""
    kept = cut(text, most)
    assert len(kept.encode()) <= most
    whole = text.encode("utf-8", "backslashreplace").decode()
    assert kept == whole or (kept.endswith("…") and whole.startswith(kept[:-1]))


def test_many_names_of_secrets_in_a_row_take_no_time():
    """A log line may be 40,000 characters of anything; this took a quarter of a minute."""
    began = time.process_time()
    assert redact("token_" * 6000 + " token=abcdef") == "token_" * 6000 + " token=[redacted]"
    assert time.process_time() - began < 2
