"""What an operator may decide for one event: how its sources are read, merged and kept, and when they are expected.

A value, nothing else: no file, no environment. `s3_assets.settings` reads the TOML that fills it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

from s3_assets.hour_file.rows import MAX_ROW_BYTES


def _meaning(text: str, *, least: int = 0, most: int = 10_000) -> dict[str, Any]:
    """What a field means and, of a whole number, its bounds."""
    return {"meaning": text, "least": least, "most": most}


@dataclass(frozen=True, slots=True)
class EventPolicy:
    """The decisions for one event.

    Each field says what it means in its metadata: messages and docs/settings.md are made from there. The values
    that a field takes are its type.
    """

    header: bool = field(
        default=True,
        metadata=_meaning("Whether every source starts with a header line, which the hour file holds once."),
    )
    columns: tuple[str, ...] = field(
        default=(),
        metadata=_meaning(
            "Pins the columns of the hour files, in this order; empty lets the sources decide. A source may lack some. "
            "One with a column that is not listed is quarantined. With `header = false`: the names of the columns of "
            "its sources, which the hour files then begin with."
        ),
    )
    check_header: bool = field(
        default=True,
        metadata=_meaning(
            "Whether a first line must look like a header: names, none blank or twice, and no values, prose, markup or "
            "JSON. Otherwise its source is quarantined, so that no row is mistaken for a header. `false` takes any "
            "first line for a header."
        ),
    )
    on_schema_change: Literal["union", "quarantine"] = field(
        default="union",
        metadata=_meaning(
            "What to do with a source whose columns differ from the hour's: `union` lays its rows out by name, and "
            "adds its new columns at the end of the hour's header; `quarantine` leaves it out and says so."
        ),
    )
    on_vanished: Literal["keep", "drop"] = field(
        default="keep",
        metadata=_meaning(
            "What to do with the rows of a source that is gone: `keep` them, as when a lifecycle rule expires raw "
            "files, or `drop` them, so that the hour file follows the source prefix."
        ),
    )
    max_vanished_share: float = field(
        default=0.5,
        metadata=_meaning(
            "The largest share of an hour's known sources, 0 to 1, that may lose all their rows at once: because they "
            "vanished (with `drop`), or because they were rewritten with content that has no usable row. With more, "
            "nothing is written, and the hour fails until it is decided. 1 lets all go."
        ),
    )
    compression: Literal["default", "fast", "small"] = field(
        default="default",
        metadata=_meaning(
            "`default` is zlib-ng level 7, about as small as `gzip -9`; `fast` is ISA-L level 2, several times as fast "
            "and larger; `small` is zlib-ng level 8, the smallest that was found and half as fast as `default`."
        ),
    )
    max_columns: int = field(
        default=2_000,
        metadata=_meaning(
            "The most columns of an hour file. A source that would add more waits.", least=1, most=100_000
        ),
    )
    max_header_bytes: int = field(
        default=64 * 1024,
        metadata=_meaning(
            "The longest header line of a source, in bytes; longer, and it is quarantined. All the different header "
            "lines of an hour together may have 64 times as many.",
            least=64,
            most=1024 * 1024,
        ),
    )
    max_row_bytes: int = field(
        default=MAX_ROW_BYTES,
        metadata=_meaning(
            "The longest row of a source, in bytes; with a longer one it is quarantined.", least=64, most=MAX_ROW_BYTES
        ),
    )
    max_growth: int = field(
        default=20,
        metadata=_meaning(
            "How many times as large the rows of an hour may become by laying them out to the columns of all its "
            "sources, beyond 64 MiB. A source that would make them larger waits.",
            least=1,
        ),
    )
    expect_every_hours: int = field(
        default=0,
        metadata=_meaning(
            "How often a new hour is expected: 1 for every hour, 24 for one a day, 0 for nothing. Choose more than the "
            "longest quiet time, such as a night. Where none comes in time an alert says whether its sources are "
            "missing, or are there and not made into an hour file. See [alerts.md](alerts.md)."
        ),
    )
    late_by_minutes: int = field(
        default=30,
        metadata=_meaning(
            "With `expect_every_hours`: how long after its end an expected hour may still be without sources, or "
            "without an hour file, before an alert says so."
        ),
    )

    def breaker(self, lost: int, known: int) -> str | None:
        """Why `lost` of an hour's `known` sources must not lose all their rows at once; None where they may."""
        if lost <= self.max_vanished_share * known:
            return None
        return (
            f"{lost:,} of {known:,} known sources vanished or lost all their rows at once, more than the share "
            f"{self.max_vanished_share:g} that max_vanished_share lets pass: nothing is written"
        )

    def row_settings(self) -> dict[str, str]:
        """The fields that decide how a source's rows are read, by name: where one changes, sources are read again.

        A field that came after the first version is in it only where it has another value than its default, so that
        hour files of before are up to date.
        """
        first = {"header": str(self.header).lower(), "on_schema_change": self.on_schema_change}
        later = {name: getattr(self, name) for name in _LATER if getattr(self, name) != getattr(_DEFAULTS, name)}
        return first | {name: json.dumps(value) for name, value in later.items()}

    def changed_settings(self, built_with: dict[str, str]) -> list[str]:
        """The names in `row_settings` that have another value than in `built_with`, the settings of a ledger."""
        now = self.row_settings()
        names = [name for name in (*_FIRST, *_LATER) if name in now or name in built_with]
        return [
            name for name in names if (name in built_with or name in _LATER) and now.get(name) != built_with.get(name)
        ]

    def content_token(self) -> str:
        """The fields that decide which rows an hour file holds, as a short text that is the same for equal fields.

        Part of every fingerprint: where it changes, every hour of the event is looked at again. Compression,
        the breaker and what is expected change no rows, so they are not in it.
        """
        shaping = {**self.row_settings(), "on_vanished": self.on_vanished}
        return ";".join(f"{name}={value}" for name, value in shaping.items())


_FIRST = ("header", "on_schema_change")
_LATER = ("columns", "check_header", "max_columns", "max_header_bytes", "max_row_bytes", "max_growth")
_DEFAULTS = EventPolicy()
