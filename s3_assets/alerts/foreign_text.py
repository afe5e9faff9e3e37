"""Text that comes from elsewhere, made fit to be shown: error words quote addresses and headers, names hold anything.

Nothing that goes into a message or into the state comes by here only in part: what `shown` gives holds no secret that
can be told by its form, no control character, and nothing that turns the direction of writing.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

REDACTED: Final = "[redacted]"

MOST_SHOWN: Final = 8000
"""Characters of a text that are looked at: an error may be of any length, and more than these are never shown."""

_WHOLE = re.compile(
    r"""
    -----BEGIN[ A-Z]*PRIVATE[ ]KEY-----.*?(?:-----END[ A-Z]*PRIVATE[ ]KEY-----|\Z)
    | \b(?:AKIA|ASIA|AROA|AIDA|ABIA|ACCA)[A-Z0-9]{12,124}\b          # AWS access keys and their like
    | \bxox[a-z](?:[.-][A-Za-z0-9_%-]+)+ | \bxapp-[A-Za-z0-9-]+        # Slack's tokens
    | hooks\.slack\.com/(?:services|workflows|triggers)/[^\s"'<>]+    # its webhooks
    | \bgh[pousr]_[A-Za-z0-9]{16,} | \bgithub_pat_[A-Za-z0-9_]{16,}
    | \beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*)?  # a JWT
    """,
    re.VERBOSE | re.DOTALL,
)
_USER = re.compile(r"(?<=://)[^\s/?#@]*(?:/[^\s/?#@]*)?@(?=[^\s/])")
"""`user:password@` in an address, also where the password holds a slash."""

_BEARER = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{8,}", re.IGNORECASE)
_NAMED = re.compile(
    r"""
    (?P<name>(?:secret|passw(?:or)?d|token|credential|signature|api[_-]?key|access[_-]?key)
        (?:[_-]?(?:id|key|value|token)){0,3})  # bounded: else a long run of such words takes its square
    (?P<between>["']?\s*(?:=\s*|:\s*(?=["']|[^\s"'<>&,;)}\]]{6})))
    (?P<value>"[^"]*"|'[^']*'|[^\s"'<>&,;)}\]]+)
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""`name=value` and `"name": "value"`, where the name says that the value is a secret. After a colon, a bare word of up
to five letters is prose: `InvalidAccessKeyId: The key ...`."""

_AWS_SECRET = re.compile(
    r"(?<![A-Za-z0-9/+=_.-])"
    r"(?=[A-Za-z0-9/+]{0,39}[a-z])(?=[A-Za-z0-9/+]{0,39}[A-Z])(?=[A-Za-z0-9/+]{0,39}[0-9])"
    r"[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=_.-])"
)
"""Forty characters with both cases and digits: an AWS secret key has no other mark. A digest has one case."""


def redact(text: str) -> str:
    """`text` without what looks like a key, a token or a password.

    It errs on the side of taking out: a word of forty mixed characters goes, a hexadecimal digest stays.
    """
    text = _WHOLE.sub(REDACTED, text)
    text = _USER.sub(f"{REDACTED}@", text)
    text = _BEARER.sub(rf"\1 {REDACTED}", text)
    text = _NAMED.sub(rf"\g<name>\g<between>{REDACTED}", text)
    return _AWS_SECRET.sub(REDACTED, text)


def visible(text: str, *, lines: bool = False) -> str:
    """`text` with what can't be seen, or makes others be seen elsewhere, written as an escape.

    Args:
        text: Anything, lone surrogates included.
        lines: Whether line breaks are kept.
    """
    return "".join(
        char if char.isprintable() or (lines and char == "\n") or unicodedata.category(char) == "Zs" else _escape(char)
        for char in (text.replace("\r\n", "\n") if lines else text)
    )


def _escape(char: str) -> str:
    return ascii(char)[1:-1]


def shown(text: str, *, lines: bool = False) -> str:
    """The first `MOST_SHOWN` characters of `text` without secrets, and with nothing invisible."""
    return visible(redact(text[:MOST_SHOWN]), lines=lines)


def cut(text: str, most: int) -> str:
    """The start of `text`, at most `most` bytes of UTF-8, with a mark where something is missing."""
    data = text.encode("utf-8", "backslashreplace")
    return data.decode() if len(data) <= most else data[: most - 3].decode("utf-8", "ignore") + "…"
