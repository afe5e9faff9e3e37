"""What an operator may decide for one event: how its sources are read, merged and kept, and when they are expected.

A value, nothing else: no file, no environment. `s3_assets.settings` reads the TOML that fills it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


def _meaning(text: str) -> dict[str, str]:
    return {"meaning": text}


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
    on_schema_change: Literal["union", "quarantine"] = field(
        default="union",
        metadata=_meaning(
            "What to do with a source whose columns differ from the hour's: `union` re-lays its rows, by name, to a "
            "header with the columns of all; `quarantine` leaves it out and says so."
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
            "With `drop`: the largest share of the known sources, 0 to 1, that may vanish at once. With more, nothing "
            "is written and the hour fails until somebody decides. 1 lets all go."
        ),
    )
    compression: Literal["default", "fast", "small"] = field(
        default="default",
        metadata=_meaning(
            "`default` is zlib-ng level 7, about as small as `gzip -9`; `fast` is ISA-L level 2, several times as fast "
            "and larger; `small` is zlib-ng level 8, the smallest that was found and half as fast as `default`."
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

    def row_settings(self) -> dict[str, str]:
        """The fields that decide how a source's rows are read, by name: where one changes, sources are read again."""
        return {"header": str(self.header).lower(), "on_schema_change": self.on_schema_change}

    def content_token(self) -> str:
        """The fields that decide which rows an hour file holds, as a short text that is the same for equal fields.

        Part of every fingerprint: where it changes, every hour of the event is looked at again. Compression,
        the breaker and what is expected change no rows, so they are not in it.
        """
        shaping = {**self.row_settings(), "on_vanished": self.on_vanished}
        return ";".join(f"{name}={value}" for name, value in shaping.items())
