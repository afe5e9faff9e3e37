"""Headers of an hour's sources to the hour's header: what each source's rows need to fit under it.

A pure function of the sources' own headers in key order (and of those that can't be read again, which bind): the
order of arrival does not show.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from s3_assets.hour_file.rows import column_names, split_fields, unquote

if TYPE_CHECKING:
    from collections.abc import Sequence

Names = tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Headed:
    """A source object as the schema sees it.

    Attributes:
        key: Which.
        header: Its own header row, with its line end; None where it has none (no bytes, or an event without).
        rows: How many rows follow; a source without rows has no say unless none has any.
        bound: It is gone from the source, so its rows must stay whatever the others say.
    """

    key: str
    header: bytes | None
    rows: int
    bound: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """An hour's header and who doesn't fit.

    Attributes:
        header: The header row, with its line end; None where no source has one.
        refused: Keys of the sources that must be quarantined, with the reason in words.
    """

    header: bytes | None
    refused: dict[str, str]

    @property
    def names(self) -> Names:
        """The columns."""
        return () if self.header is None else column_names(self.header)


def layout(own: bytes, header: bytes) -> list[int | None] | None:
    """How rows under `own` are laid out under `header`: for each column, where it stands in `own`.

    Returns:
        None where they fit as they are.
    """
    own_names, names = column_names(own), column_names(header)
    if own_names == names:
        return None
    places = {name: place for place, name in enumerate(own_names)}
    return [places.get(name) for name in names]


def agree(
    sources: Sequence[Headed], on_change: Literal["union", "quarantine"], *, pinned: bytes | None = None
) -> Schema:
    """The header of an hour whose sources, in key order, are `sources`.

    `union`: the columns of the first source, then those that the next ones add, in order of appearance.
    `quarantine`: the header that most sources have (the first of those, if they are as many), and no other.
    `pinned`: a header that must stay, because rows stand under it that can neither be laid out nor read again;
    sources with other columns than its own are refused.
    """
    headed = [source for source in sources if source.header is not None]
    speaking = [source for source in headed if source.rows] or headed
    if not speaking:
        return Schema(None, {})
    if pinned is not None:
        return _keep_to(pinned, speaking)
    names = {source.header: column_names(source.header) for source in speaking if source.header is not None}
    votes: Counter[Names] = Counter()
    for source in speaking:
        if source.header is not None:
            votes[names[source.header]] += 1
    anchor = max(votes, key=votes.__getitem__)  # the first of equals: a Counter keeps the order of insertion
    bound = [names[s.header] for s in speaking if s.bound and s.header is not None]
    if on_change == "union":  # what can't be matched by name stands alone: rows that must stay decide who gives way
        bound = [own for own in bound if _names_one_twice(own)] or (bound if _names_one_twice(anchor) else [])
    anchor = bound[0] if bound else anchor
    union: list[bytes] = []
    header: bytes | None = None
    refused: dict[str, str] = {}
    for source in speaking:
        if source.header is None:
            continue
        own = names[source.header]
        reason = None if source.bound else _misfit(own, anchor, on_change)
        if reason is not None:
            refused[source.key] = reason
            continue
        if header is None:
            header, union = source.header, list(own)
            continue
        known = set(union)
        union.extend(name for name in own if name not in known)
    if header is None or tuple(union) == column_names(header):
        return Schema(header, refused)
    return Schema(_header_row(header, speaking, union), refused)


def _keep_to(pinned: bytes, speaking: Sequence[Headed]) -> Schema:
    names = column_names(pinned)
    reason = f"its columns don't fit {_spell(names)}, under which stand rows that can't be laid out anew"

    def fits(own: Names) -> bool:
        return own == names or (set(own) <= set(names) and not _names_one_twice(own) and not _names_one_twice(names))

    refused = {
        source.key: reason
        for source in speaking
        if source.header is not None and not source.bound and not fits(column_names(source.header))
    }
    return Schema(pinned, refused)


def _names_one_twice(names: Names) -> bool:
    return len(set(names)) != len(names)


def _misfit(own: Names, anchor: Names, on_change: str) -> str | None:
    """Why columns `own` can't stand with columns `anchor`; None where they can."""
    if own == anchor:
        return None
    if on_change == "quarantine":
        return f"its columns {_spell(own)} are not the hour's {_spell(anchor)}"
    if not (set(own) & set(anchor)) - {b""}:
        return (
            f"its first line shares no column with the hour's header {_spell(anchor)}; "
            "if the event's files have no header line, set header = false"
        )
    for columns, whose in ((own, "its header"), (anchor, "the hour's header")):
        if _names_one_twice(columns):
            return f"columns can't be matched by name: {whose} {_spell(columns)} names one twice"
    return None


def _header_row(first: bytes, speaking: Sequence[Headed], union: Sequence[bytes]) -> bytes:
    """The union's header row: each name as it was first written, the first header's line end."""
    written: dict[bytes, bytes] = {}
    for source in speaking:
        if source.header is not None:
            for text in split_fields(source.header):
                written.setdefault(unquote(text), text)
    return b",".join(written[name] for name in union) + (b"\r\n" if first.endswith(b"\r\n") else b"\n")


def _spell(names: Names) -> str:
    text = ",".join(name.decode("utf-8", "backslashreplace") for name in names)
    return repr(text if len(text) <= 200 else text[:200] + "…")  # noqa: PLR2004
